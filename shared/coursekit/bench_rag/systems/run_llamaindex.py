"""LlamaIndex's hybrid retrieval as its documentation builds it: PGVectorStore, BM25Retriever, QueryFusionRetriever.

Its defaults: no vector index (an exact scan), bm25s with an English stemmer and stop words, in memory. Fused by
reciprocal rank as its page "Reciprocal Rerank Fusion Retriever" does; no model writes further questions (num_queries 1),
and one question after the other needs no event loop (use_async off, which is the faster way here).
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Mapping, Sequence

from llama_index.core import Settings, StorageContext, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.retrievers.fusion_retriever import FUSION_MODES
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index.vector_stores.postgres import PGVectorStore
from sqlalchemy import make_url

from .harness import TOP_K, Chunk, Clock, Search, Vectors, database_url, folder_argument, measure, say

BATCH = 2048  # VectorStoreIndex's own insert_batch_size
PACKAGES = ("llama-index-core", "llama-index-vector-stores-postgres", "llama-index-retrievers-bm25", "bm25s")


class NoModel(BaseEmbedding):
    """Every vector is given, so nothing may be embedded."""

    def _get_query_embedding(self, query: str) -> list[float]:
        raise RuntimeError("a question came without its vector")

    async def _aget_query_embedding(self, query: str) -> list[float]:
        raise RuntimeError("a question came without its vector")

    def _get_text_embedding(self, text: str) -> list[float]:
        raise RuntimeError("a text came without its vector")


class LlamaIndex:
    """The store and both retrievers in one process, as the documentation shows them."""

    name = "llamaindex"

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        Settings.llm = MockLLM()

    def ingest(self, chunks: Sequence[Chunk], vectors: Vectors, clock: Clock) -> Mapping[str, str]:
        with clock("texts and vectors stored"):
            store = PGVectorStore.from_params(
                connection_string=self._url.set(drivername="postgresql+psycopg2"),
                async_connection_string=self._url.set(drivername="postgresql+asyncpg"),
                embed_dim=vectors.shape[1],
            )
            nodes = [
                TextNode(
                    text=chunk.text,
                    metadata={"document": chunk.document},
                    excluded_embed_metadata_keys=["document"],  # else a number of ours becomes a word of the text
                    embedding=vector.tolist(),
                )
                for chunk, vector in zip(chunks, vectors, strict=True)
            ]
            context = StorageContext.from_defaults(vector_store=store)
            index = VectorStoreIndex(nodes=[], storage_context=context, embed_model=NoModel())
            for start in range(0, len(nodes), BATCH):
                index.insert_nodes(nodes[start : start + BATCH])
                say("chunks ingested", min(start + BATCH, len(nodes)), len(nodes))
        with clock("keyword index"):
            keywords = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=TOP_K)
        self._retriever = QueryFusionRetriever(
            [index.as_retriever(similarity_top_k=TOP_K), keywords],
            similarity_top_k=TOP_K,
            num_queries=1,
            mode=FUSION_MODES.RECIPROCAL_RANK,
            use_async=False,
        )
        return {}

    def searches(self) -> Mapping[str, Search]:
        def hybrid(text: str, vector: Vectors) -> list[str]:
            found = self._retriever.retrieve(QueryBundle(text, embedding=vector.tolist()))
            return [str(scored.node.metadata["document"]) for scored in found]

        return {"hybrid": hybrid}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    measure(
        LlamaIndex(database_url()), folder_argument(), {name: importlib.metadata.version(name) for name in PACKAGES}
    )

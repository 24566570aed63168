"""LangChain's hybrid retrieval as its documentation builds it: PGVectorStore, BM25Retriever, EnsembleRetriever.

Its defaults: no vector index (an exact scan), rank-bm25 with texts split at white space, both retrievers with equal
weights, reciprocal rank fusion with c = 60. PGVector, the older class, is deprecated by its authors in favour of this one.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Mapping, Sequence

from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_core.embeddings import Embeddings
from langchain_postgres import PGEngine, PGVectorStore

from .harness import TOP_K, Chunk, Clock, Lookup, Search, Vectors, database_url, folder_argument, measure, say

TABLE = "bench"
BATCH = 1000
PACKAGES = ("langchain-core", "langchain-classic", "langchain-community", "langchain-postgres", "rank-bm25")


class Given(Embeddings):
    """An embedding model whose vectors are known: those of the chunks by text, that of the question set beforehand."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.question: list[float] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self.lookup(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        return self.question


class LangChain:
    """The store and both retrievers in one process, as the documentation shows them."""

    name = "langchain"

    def __init__(self, url: str) -> None:
        self._engine = PGEngine.from_connection_string(url.replace("postgresql://", "postgresql+psycopg://", 1))

    def ingest(self, chunks: Sequence[Chunk], vectors: Vectors, clock: Clock) -> Mapping[str, str]:
        texts = [chunk.text for chunk in chunks]
        metadatas = [{"document": chunk.document} for chunk in chunks]
        self._given = Given(Lookup(texts, vectors))
        with clock("texts and vectors stored"):
            self._engine.init_vectorstore_table(TABLE, vectors.shape[1])
            store = PGVectorStore.create_sync(self._engine, self._given, TABLE)
            for start in range(0, len(texts), BATCH):
                store.add_texts(texts[start : start + BATCH], metadatas[start : start + BATCH])
                say("chunks ingested", min(start + BATCH, len(texts)), len(texts))
        with clock("keyword index"):
            keywords = BM25Retriever.from_texts(texts, metadatas, k=TOP_K)
        semantic = store.as_retriever(search_kwargs={"k": TOP_K})
        self._retriever = EnsembleRetriever(retrievers=[keywords, semantic], weights=[0.5, 0.5])
        self._given.lookup = Lookup([], vectors[:0])
        return {}

    def searches(self) -> Mapping[str, Search]:
        def hybrid(text: str, vector: Vectors) -> list[str]:
            self._given.question = vector.tolist()
            return [str(found.metadata["document"]) for found in self._retriever.invoke(text)]

        return {"hybrid": hybrid}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    measure(LangChain(database_url()), folder_argument(), {name: importlib.metadata.version(name) for name in PACKAGES})

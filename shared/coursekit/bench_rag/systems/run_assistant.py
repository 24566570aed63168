"""The assembled assistant: `ingest`, `create_index`, `refresh_postings`, `retrieve`, as its modules define them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import psycopg
from pgvector.psycopg import register_vector

from .assembled import part
from .harness import TOP_K, Chunk, Clock, Lookup, Search, Vectors, database_url, folder_argument, measure, say

chunking, documents, ingesting = part("chunking"), part("documents"), part("ingest")
keyword, retrieval, store = part("keyword"), part("retrieval"), part("store")

LABELS = ("all",)
BATCH = 512
INDEX_MEMORY = (
    "512MB"  # a graph that does not fit into maintenance_work_mem (64 MB by default) is built several times slower
)


class Assistant:
    """One connection, as a request handler would hold one."""

    name = "assistant"

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute(f"SET maintenance_work_mem = '{INDEX_MEMORY}'")
        ingesting.create_schema(self._connection)
        register_vector(self._connection)
        self._model = store.EmbeddingModel("bench", 1)

    def ingest(self, chunks: Sequence[Chunk], vectors: Vectors, clock: Clock) -> Mapping[str, str]:
        connection, self._model = self._connection, store.EmbeddingModel("bench", vectors.shape[1])
        ready = {
            document: [chunking.Chunk(document, chunk.position, chunk.headings, chunk.body) for chunk in own]
            for document, own in groupby(chunks, key=lambda chunk: chunk.document)
        }

        def incoming() -> Iterator[Any]:
            for number, (document, own) in enumerate(ready.items(), start=1):
                if number % 500 == 0:
                    say("documents ingested", number, len(ready))
                title = own[0].headings[0] if own[0].headings else document
                yield documents.Document(document, title, "", {}, LABELS)

        with clock("documents, chunks and vectors stored"):
            report = ingesting.ingest(
                connection,
                incoming(),
                chunk=lambda document: ready[document.id],
                embed=Lookup((chunk.text for chunk in chunks), vectors),
                model_id=self._model.id,
                batch_size=BATCH,
            )
        with clock("vector index"):
            store.create_index(connection, self._model)
            store.activate(connection, self._model)
        with clock("postings"):
            keyword.create_postings(connection)
            keyword.refresh_postings(connection)
        failed: Mapping[str, str] = report.failed
        return failed

    def searches(self) -> Mapping[str, Search]:
        connection, model = self._connection, self._model

        def found(hits: Sequence[Any]) -> list[str]:
            return [hit.document_id for hit in hits]

        return {
            "hybrid": lambda text, vector: found(retrieval.retrieve(connection, text, vector, TOP_K, labels=LABELS)),
            "keywords": lambda text, _: found(keyword.search_keywords(connection, text, TOP_K, labels=LABELS)),
            "vectors": lambda _, vector: found(store.search_vectors(connection, model, vector, TOP_K, labels=LABELS)),
        }


if __name__ == "__main__":
    measure(Assistant(database_url()), folder_argument(), {"psycopg": psycopg.__version__})

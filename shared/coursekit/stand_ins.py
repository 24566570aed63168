"""What checks put in the place of real things: an embeddings endpoint that can be spoiled, a small store of chunks.

They belong to the checks of several modules and hold no knowledge that an exercise asks for.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from coursekit import database

Connection = Any  # psycopg's: `coursekit.database` is the door to it

Rows = list[list[float]]


@dataclass
class ReplyItem:
    """One vector of a reply, and the number of the text that it belongs to."""

    index: int
    embedding: list[float]


@dataclass
class Reply:
    """What an embeddings endpoint answers."""

    data: list[ReplyItem]


class SlowEndpoint:
    """Stands for an openai client: takes its time, counts requests (`requests`, `most_at_once`), can spoil its replies.

    The vector of the text "… 7" is [8, 1, 1, …]; of a text without a number [1, 1, …].

    Args:
        dimensions: of its vectors.
        wait_s, jitter_s: how long a request takes, and how much longer every second one.
        spoil: changes the vectors of a reply.
        reverse: the reply lists its items backwards.
    """

    def __init__(
        self,
        dimensions: int,
        wait_s: float = 0.0,
        jitter_s: float = 0.0,
        spoil: Callable[[Rows], Rows] = list,
        reverse: bool = False,
    ) -> None:
        self.dimensions, self.wait_s, self.jitter_s = dimensions, wait_s, jitter_s
        self.spoil, self.reverse = spoil, reverse
        self.requests = self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.embeddings = self  # client.embeddings.create(…)

    def create(self, *, input: Sequence[str], **options: Any) -> Reply:
        with self.lock:
            self.requests += 1
            number = self.requests
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.wait_s + (self.jitter_s if number % 2 else 0.0))
        rest = [1.0] * (self.dimensions - 1)
        rows = [[1.0 + int("".join(filter(str.isdigit, text)) or 0), *rest] for text in input]
        items = [ReplyItem(i, row) for i, row in enumerate(self.spoil(rows))]
        with self.lock:
            self.at_once -= 1
        return Reply(items[::-1] if self.reverse else items)

    def with_options(self, **options: Any) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


class Shelf:
    """Ingestion's tables with a few chunks of one document, known by their texts; `connection` commits each statement.

    Args:
        create_schema: makes the tables.
        hash_of: a text's content hash.
    """

    def __init__(
        self,
        connection: Connection,
        create_schema: Callable[[Connection], object],
        hash_of: Callable[[str], str],
    ) -> None:
        self.connection, self.hash_of, self.count = connection, hash_of, 0
        create_schema(connection)
        connection.execute(
            "INSERT INTO documents (id, title, content_hash, metadata, access) VALUES ('doc', 'Doc', 'x', '{}', '{all}')"
        )

    def add(self, *texts: str, labels: Sequence[str] = ("all",)) -> None:
        """New chunks, each under the heading "H"."""
        rows = [(self.count + i, ["H"], text, self.hash_of(text), list(labels)) for i, text in enumerate(texts)]
        self.count += len(texts)
        self.connection.cursor().executemany(
            "INSERT INTO chunks (document_id, position, headings, text, content_hash, access)"
            " VALUES ('doc', %s, %s, %s, %s, %s)",
            rows,
        )

    def embed(self, model_id: str, vectors: Mapping[str, Sequence[float]]) -> None:
        """Vectors by text, into the ledger."""
        self.connection.cursor().executemany(
            "INSERT INTO embeddings (model_id, content_hash, embedding) VALUES (%s, %s, %s)",
            [(model_id, self.hash_of(text), np.array(row, dtype=np.float32)) for text, row in vectors.items()],
        )

    def forget(self, model_id: str, text: str) -> None:
        """Out of the ledger."""
        delete = "DELETE FROM embeddings WHERE model_id = %s AND content_hash = %s"
        self.connection.execute(delete, (model_id, self.hash_of(text)))

    def rewrite(self, text: str, new: str) -> None:
        """Another text under the same chunk id, as a careless repair script would do it."""
        update = "UPDATE chunks SET text = %s, content_hash = %s WHERE text = %s"
        self.connection.execute(update, (new, self.hash_of(new), text))

    def relabel(self, text: str, labels: Sequence[str]) -> None:
        self.connection.execute("UPDATE chunks SET access = %s WHERE text = %s", (list(labels), text))

    def remove(self, text: str) -> None:
        self.connection.execute("DELETE FROM chunks WHERE text = %s", (text,))

    def index(self, table: str, model_id: str) -> None:
        """Copy what the ledger has under a model into its index table, without the exercises' help."""
        self.connection.execute(
            f"INSERT INTO {table} SELECT c.id, c.content_hash, c.access, e.embedding FROM chunks c"
            " JOIN embeddings e USING (content_hash) WHERE e.model_id = %s ON CONFLICT DO NOTHING",
            (model_id,),
        )

    def indexed(self, table: str) -> list[tuple[str, list[float], list[str]]]:
        """(text, vector, labels) of an index table, by chunk id."""
        query = (
            "SELECT c.text, i.embedding::real[], i.access FROM {} i JOIN chunks c ON c.id = i.chunk_id ORDER BY c.id"
        )
        return list(self.connection.execute(query.format(table)))


@contextmanager
def own_schema(settings: str = "") -> Iterator[Connection]:
    """An empty schema in the notebook's database, dropped afterwards; `settings` as in libpq's `options`."""
    url, schema = os.environ["DATABASE_URL"], f"shelf_{uuid.uuid4().hex[:12]}"
    with database.connect(url, autocommit=True) as admin:
        admin.execute(f"CREATE SCHEMA {schema}")
        try:
            options = f"-csearch_path={schema},public {settings}".strip()
            with database.connect(url, autocommit=True, options=options) as connection:
                yield connection
        finally:
            admin.execute(f"DROP SCHEMA {schema} CASCADE")


@contextmanager
def own_database() -> Iterator[Connection]:
    """An empty database, dropped afterwards: for what depends on tables that do not exist yet."""
    with database.scratch("shelf") as url, database.connect(url, autocommit=True) as connection:
        yield connection

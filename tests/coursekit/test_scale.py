"""Material at scale is drawn the same each time, and fills ingestion's tables as they are."""

from __future__ import annotations

import numpy as np
import pytest

from coursekit import scale
from coursekit.corpus.python_docs import PythonDocument
from coursekit.stand_ins import Shelf, SlowEndpoint, own_schema

PAGES = tuple(
    PythonDocument(f"lib{n % 3}/m{n}", f"m{n}", f"lib{n % 3}", "1", "\n\n".join([f"p{n} " * 60] * 4)) for n in range(9)
)
TABLES = """
CREATE TABLE documents (id text PRIMARY KEY, title text, content_hash text, metadata jsonb, access text[]);
CREATE TABLE chunks (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, document_id text REFERENCES documents,
    position int, headings text[], text text, content_hash text, access text[]);
CREATE TABLE embeddings (model_id text, content_hash text, embedding vector, PRIMARY KEY (model_id, content_hash));
"""


def test_pieces_are_whole_paragraphs_of_bounded_length() -> None:
    text = "\n\n".join(["w " * 40, "w " * 40, " ", "w " * 300, "w"])
    assert [len(piece.split()) for piece in scale.join_paragraphs(text)] == [80, 300, 1]
    assert scale.join_paragraphs("") == []


def test_pieces_are_drawn_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale.python_docs, "load", lambda: PAGES)
    drawn = scale.paragraphs(10, seed=7)
    assert drawn == scale.paragraphs(10, seed=7) and drawn != scale.paragraphs(10, seed=8)
    assert len(scale.paragraphs(10_000, seed=7)) == 9 * 4
    assert {piece.label for piece in drawn} <= {"uses:lib0", "uses:lib1", "uses:lib2"}


def test_the_tables_hold_every_piece_under_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    from coursekit import database

    monkeypatch.setattr(scale.python_docs, "load", lambda: PAGES)
    pieces = scale.paragraphs(12, seed=1)
    vectors = np.arange(24, dtype=np.float32).reshape(12, 2)
    with database.scratch("scale") as url:
        monkeypatch.setenv("DATABASE_URL", url)
        with own_schema() as connection:
            connection.execute(TABLES)
            scale.fill(connection, pieces, vectors, lambda piece: piece.text[:5])
            rows = connection.execute(
                "SELECT c.id, c.text, l.embedding::real[], l.access = c.access FROM chunks c JOIN library l"
                " ON l.chunk_id = c.id AND l.content_hash = c.content_hash ORDER BY c.id"
            ).fetchall()
    assert rows == [(i + 1, piece.text, [2.0 * i, 2.0 * i + 1], True) for i, piece in enumerate(pieces)]


def test_a_shelf_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    from coursekit import database

    count = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'shelf%'"
    with database.scratch("shelf") as url, database.connect(url, autocommit=True) as outside:
        monkeypatch.setenv("DATABASE_URL", url)
        with own_schema("-cenable_sort=off") as connection:
            shelf = Shelf(connection, lambda c: c.execute(TABLES), str)
            shelf.add("a", "b")
            shelf.embed("m", {"a": [1, 0]})
            assert connection.execute("SHOW enable_sort").fetchone() == ("off",)
            assert outside.execute(count).fetchone() == (1,)
        assert outside.execute(count).fetchone() == (0,)


def test_the_endpoints_double_counts_and_spoils() -> None:
    double = SlowEndpoint(dimensions=2, spoil=lambda rows: rows[:1], reverse=True)
    assert [item.embedding for item in double.embeddings.create(input=["text 7", "b"]).data] == [[8.0, 1.0]]
    assert (double.requests, double.most_at_once) == (1, 1)

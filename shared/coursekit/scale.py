"""Material for experiments at scale: tens of thousands of real paragraphs, and ingestion's tables filled with them.

The paragraphs come from the big corpus (`coursekit.corpus.python_docs`); each belongs to a library, and the label
`uses:<library>` stands for the teams that use it. Loading is by COPY and skips ingestion, which would take minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coursekit.corpus import python_docs

Connection = Any  # psycopg's: `coursekit.database` is the door to it
MOST_WORDS = 100


@dataclass(frozen=True)
class Paragraphs:
    """Some paragraphs of one page, about as long as a chunk."""

    document_id: str
    title: str
    position: int
    text: str
    library: str

    @property
    def label(self) -> str:
        return f"uses:{self.library}"


def paragraphs(count: int, seed: int) -> list[Paragraphs]:
    """So many pieces, drawn at random from the big corpus, in its order; all there are when there are fewer.

    Raises:
        CorpusError: as `python_docs.load`.
    """
    pieces = [
        Paragraphs(page.id, page.title, position, text, page.source)
        for page in python_docs.load()
        for position, text in enumerate(join_paragraphs(page.text))
    ]
    drawn = np.random.default_rng(seed).permutation(len(pieces))[:count]
    return [pieces[number] for number in np.sort(drawn)]


def join_paragraphs(text: str, most_words: int = MOST_WORDS) -> list[str]:
    """Whole paragraphs, joined while they have at most so many words together; a longer one stands alone.

    >>> join_paragraphs("one two\\n\\nthree\\n\\nfour five six", most_words=3)
    ['one two\\n\\nthree', 'four five six']
    """
    packed: list[str] = []
    words = 0
    for paragraph in filter(str.strip, text.split("\n\n")):
        more = len(paragraph.split())
        if packed and words + more <= most_words:
            packed[-1] += "\n\n" + paragraph
            words += more
        else:
            packed.append(paragraph)
            words = more
    return packed


def fill(
    connection: Connection,
    pieces: Sequence[Paragraphs],
    vectors: NDArray[np.float32],
    content_hash: Callable[[Paragraphs], str],
) -> None:
    """Fill empty tables `documents` and `chunks`, and make `library`: chunk_id, content_hash, access, embedding.

    Chunk ids are 1, 2, 3 … in the order of `pieces`.
    """
    documents = {piece.document_id: (piece.document_id, piece.title, "", "{}", [piece.label]) for piece in pieces}
    insert = "INSERT INTO documents (id, title, content_hash, metadata, access) VALUES (%s, %s, %s, %s, %s)"
    connection.cursor().executemany(insert, list(documents.values()))
    hashes = [content_hash(piece) for piece in pieces]
    _copy(
        connection,
        "chunks (id, document_id, position, headings, text, content_hash, access)",
        ["int8", "text", "int4", "text[]", "text", "text", "text[]"],
        (
            (number, piece.document_id, piece.position, [piece.title], piece.text, content, [piece.label])
            for number, (piece, content) in enumerate(zip(pieces, hashes, strict=True), start=1)
        ),
    )
    connection.execute(
        "CREATE TABLE library (chunk_id bigint NOT NULL, content_hash text NOT NULL, access text[] NOT NULL,"
        f" embedding vector({vectors.shape[1]}) NOT NULL)"
    )
    labels = ([piece.label] for piece in pieces)
    rows = zip(range(1, len(pieces) + 1), hashes, labels, vectors, strict=True)
    _copy(connection, "library", ["int8", "text", "text[]", "vector"], rows)


def _copy(connection: Connection, target: str, types: list[str], rows: Iterable[Sequence[Any]]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)

"""How the baselines cut documents."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from coursekit.corpus import Corpus, Document
from coursekit.corpus.baseline.pieces import PIECE_WORDS, cut_document


def _document(text: str) -> Document:
    return Document(
        id="a",
        title="The title",
        kind="howto",
        service="s",
        owner="o",
        version="1.0",
        updated=date(2026, 1, 1),
        access="public-internal",
        text=text,
        path=Path("a.md"),
    )


def _bodies(text: str, limit: int = PIECE_WORDS) -> list[str]:
    pieces = cut_document(_document(text), limit)
    assert all(piece.startswith("The title\n\n") for piece in pieces)
    return [piece.removeprefix("The title\n\n") for piece in pieces]


@pytest.mark.parametrize("limit", [1, 7, 40, PIECE_WORDS])
def test_pieces_lose_no_word_of_any_document_and_keep_their_order(corpus: Corpus, limit: int) -> None:
    for document in corpus.documents:
        pieces = cut_document(document, limit)
        bodies = [piece.removeprefix(f"{document.title}\n\n") for piece in pieces]
        assert " ".join(bodies).split() == document.text.split()
        assert all(0 < len(body.split()) <= limit for body in bodies)


def test_paragraphs_are_packed_until_the_next_one_does_not_fit() -> None:
    assert _bodies("a b\n\nc d\n\ne f g", limit=4) == ["a b\n\nc d", "e f g"]


def test_code_with_blank_lines_and_tables_stay_whole_when_they_fit() -> None:
    code, table = "```\none\n\ntwo\n```", "| k | v |\n|---|---|\n| a | 1 |"
    assert _bodies(f"x y\n\n{code}\n\n{table}", limit=13) == [f"x y\n\n{code}", table]


def test_a_table_that_is_too_long_is_cut_between_rows() -> None:
    rows = [f"| key{i} | {i} |" for i in range(4)]
    assert _bodies("\n".join(rows), limit=10) == ["\n".join(rows[:2]), "\n".join(rows[2:])]


def test_a_line_that_is_too_long_is_cut_between_words() -> None:
    assert _bodies("a b c d e", limit=2) == ["a b", "c d", "e"]


def test_an_open_code_fence_ends_with_the_document() -> None:
    assert _bodies("```\none\n\ntwo", limit=9) == ["```\none\n\ntwo"]


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one word"):
        cut_document(_document("a"), 0)

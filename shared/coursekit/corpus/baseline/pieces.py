"""Cut documents into pieces of about 120 words, by plain code.

Blocks (paragraphs, lists, tables, code between fences) are packed in order until the next one would not fit; the
document's title stands in front of every piece. A block that is too long by itself is cut between lines, a line that
is too long between words. Headings stay wherever they fall: reading the structure is the learner's work.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from coursekit.corpus import Document

PIECE_WORDS = 120


def cut_document(document: Document, limit: int = PIECE_WORDS) -> list[str]:
    """The document as texts of at most `limit` words (split at white space) plus its title; no word is lost.

    Raises:
        ValueError: `limit` is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}: a piece holds at least one word")
    blocks = (part for block in _blocks(document.text) for part in _fitting(block, limit))
    return [f"{document.title}\n\n{body}" for body in _packed(blocks, limit, "\n\n")]


def _blocks(text: str) -> Iterator[str]:
    """What blank lines separate; blank lines inside a code fence do not."""
    held: list[str] = []
    in_fence = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            in_fence = not in_fence
        if line.strip() or in_fence:
            held.append(line)
        elif held:
            yield "\n".join(held)
            held = []
    if held:
        yield "\n".join(held)


def _fitting(block: str, limit: int) -> Iterable[str]:
    """The block itself, or parts of it that fit."""
    if _count(block) <= limit:
        return [block]
    lines = (part for line in block.splitlines() for part in _lines(line, limit))
    return _packed(lines, limit, "\n")


def _lines(line: str, limit: int) -> Iterable[str]:
    return [line] if _count(line) <= limit else _packed(line.split(), limit, " ")


def _packed(parts: Iterable[str], limit: int, glue: str) -> Iterator[str]:
    """Neighbours joined by `glue` until the next one would pass `limit` words."""
    held: list[str] = []
    size = 0
    for part in parts:
        words = _count(part)
        if held and size + words > limit:
            yield glue.join(held)
            held, size = [], 0
        held.append(part)
        size += words
    if held:
        yield glue.join(held)


def _count(text: str) -> int:
    return len(text.split())

"""Generated sections of a documentation page: the text between two markers, and Markdown tables to put there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from coursekit import readme
from coursekit.errors import CorpusError, CourseError
from coursekit.exporting import write_atomically

PAGE = "docs/corpus.md"


def write_section(page: Path, name: str, text: str) -> Path:
    """Put text between the page's `name` markers; everything else stays. Gives the page.

    Raises:
        CorpusError: the page cannot be read, or lacks the markers.
    """
    try:
        write_atomically(page, readme.with_section(_read(page), name, text))
    except CourseError as error:
        raise _unmarked(page, name) from error
    return page


def read_section(page: Path, name: str) -> str:
    """What stands between the page's `name` markers; raises as `write_section` does."""
    try:
        return readme.section(_read(page), name)
    except CourseError as error:
        raise _unmarked(page, name) from error


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    rule = ["---", *(["--:"] * (len(head) - 1))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def _read(page: Path) -> str:
    try:
        return page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{page} cannot be read: {error}. Restore it from git.") from error


def _unmarked(page: Path, name: str) -> CorpusError:
    return CorpusError(
        f"{page} must be readable and hold <!-- {name}:begin --> and, after it, <!-- {name}:end -->, once each. "
        "Put them where the tables belong."
    )

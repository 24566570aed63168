"""What the big corpus consists of: one record per document, and what reading an installation gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[int, int], None]
"""Called as `progress(files_read, files_in_all)`."""


@dataclass(frozen=True, slots=True)
class PythonDocument:
    """One module's docstrings, one help topic of Python, or one distribution's README.

    Attributes:
        id: unique, and the same for the same installation: `stdlib/asyncio.events`, `topics/assignment`,
            `numpy/linalg._linalg`, `numpy/README`.
        title: the module's full dotted name, the topic's name or the distribution's.
        source: `stdlib`, `topics`, or the distribution's normalised name (lower case, hyphens).
        version: Python's version for `stdlib` and `topics`, else the distribution's.
        text: Markdown headings around text as its authors wrote it; topics and docstrings often hold reStructuredText.
    """

    id: str
    title: str
    source: str
    version: str
    text: str


@dataclass(frozen=True)
class Reading:
    """Everything that one installation gave.

    Attributes:
        documents: standard library, topics, then distributions by name.
        skipped: how many files were `unreadable` or `too large`, how many documents `too short` or `duplicate`.
    """

    documents: tuple[PythonDocument, ...]
    skipped: dict[str, int]

"""The generated section of docs/bench.md, and the picture beside it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

from coursekit.bench_rag import picture
from coursekit.bench_rag.running import Comparison
from coursekit.bench_rag.table import COLUMNS, cells, label, remarks, summary
from coursekit.corpus.page import read_section, table, write_section

SECTION = "bench-rag"
PICTURE = "images/bench-rag.png"


def check(page: Path) -> None:
    """Before the work: a page without the markers cannot take the tables. Raises CorpusError."""
    read_section(page, SECTION)


def write(page: Path, comparisons: Sequence[Comparison], command: str) -> list[Path]:
    """Put the tables between the page's markers and draw the picture into `images/` beside it; gives both files."""
    target = page.parent / PICTURE
    target.parent.mkdir(exist_ok=True)
    picture.save(comparisons, target)
    return [write_section(page, SECTION, markdown(comparisons, command)), target]


def markdown(comparisons: Sequence[Comparison], command: str) -> str:
    """The whole section."""
    machine = f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
    parts = [f"One run on {machine}. Made by `{command}`; do not edit."]
    for comparison in comparisons:
        parts += [f"### {comparison.name}", f"{summary(comparison)}.", _table(comparison)]
        parts.append("\n".join(f"- {remark}" for remark in remarks(comparison)))
        parts.append(f"Versions: {'; '.join(_versions(comparison))}.")
    return "\n\n".join(parts)


def _table(comparison: Comparison) -> str:
    return table(COLUMNS, [[label(row), *cells(row)] for row in comparison.rows])


def _versions(comparison: Comparison) -> Iterator[str]:
    for outcome in comparison.outcomes.values():
        if outcome.versions:
            yield ", ".join(f"{name} {version}" for name, version in outcome.versions.items())

"""What `course bench rag` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from coursekit.bench_rag.running import OURS, Comparison
from coursekit.bench_rag.scoring import Quality, Row

LABELS = {OURS: "the assistant", "langchain": "LangChain", "llamaindex": "LlamaIndex"}
COLUMNS = ("system", "chunks/s", "p50 ms", "p95 ms", "nDCG@10", "difference", "recall@5", "difference", "MB")


def label(row: Row) -> str:
    """`the assistant`, or `the assistant, keywords alone`."""
    name = LABELS.get(row.system, row.system)
    return name if row.search == "hybrid" else f"{name}, {row.search} alone"


def cells(row: Row) -> list[str]:
    """A row's figures as text, without its label; a difference is this row's minus the assistant's, with its 95 % interval."""
    if row.problem or row.quality is None:
        return ["–"] * (len(COLUMNS) - 1)
    qualities = [
        part for quality in row.quality.values() for part in (f"{quality.mean:.3f}", _interval(row, quality, 3))
    ]
    return [_speed(row), _ms(row.p50_ms), _ms(row.p95_ms), *qualities, _memory(row)]


def _narrow(row: Row) -> list[str]:
    """The same for a terminal of 80 columns: the intervals stand below their means."""
    if row.problem or row.quality is None:
        return ["–"] * (len(COLUMNS) - 3)
    qualities = [f"{quality.mean:.3f}\n{_interval(row, quality, 2)}".rstrip() for quality in row.quality.values()]
    return [_speed(row), _ms(row.p50_ms), _ms(row.p95_ms), *qualities, _memory(row)]


def _interval(row: Row, quality: Quality, digits: int) -> str:
    is_base = row.system == OURS and row.search == "hybrid"
    return "" if is_base else f"{quality.low:+.{digits}f}…{quality.high:+.{digits}f}"


def _speed(row: Row) -> str:
    return "" if row.chunks_per_s is None else f"{row.chunks_per_s:,.0f}"


def _ms(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _memory(row: Row) -> str:
    return "" if row.resident_mb is None else f"{row.resident_mb:,.0f}"


def summary(comparison: Comparison) -> str:
    """One sentence about the workload."""
    return (
        f"{comparison.chunks:,} chunks of {comparison.documents:,} documents, {comparison.queries:,} questions, "
        f"vectors by {comparison.embedding} ({comparison.dimensions} dimensions)"
    )


def remarks(comparison: Comparison) -> Iterator[str]:
    """What was left out or failed, and what the assistant's ingestion consists of."""
    yield from comparison.notes
    for row in comparison.rows:
        if row.problem:
            yield f"{label(row)} could not run: {row.problem}"
    for system, outcome in comparison.outcomes.items():
        if outcome.failed:
            document, reason = next(iter(outcome.failed.items()))
            yield f"{LABELS[system]} did not take {len(outcome.failed)} documents (number {document}: {reason})"
        if outcome.stages:
            stages = ", ".join(f"{stage} {seconds:,.1f} s" for stage, seconds in outcome.stages.items())
            yield f"{LABELS[system]} ingested in {outcome.ingest_seconds:,.1f} s: {stages}"


def render(comparisons: Sequence[Comparison]) -> RenderableType:
    """One table per workload."""
    parts: list[RenderableType] = []
    for comparison in comparisons:
        table = Table(box=box.SIMPLE_HEAD, title=comparison.name, title_justify="left", pad_edge=False)
        for number, column in enumerate(column for column in COLUMNS if column != "difference"):
            table.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in comparison.rows:
            is_part = row.search != "hybrid"
            table.add_row(f"  {row.search}" if is_part else label(row), *_narrow(row), style="dim" if is_part else "")
        below = "below a mean: the 95 % interval of its difference to the assistant's hybrid search"
        notes = "\n".join([summary(comparison), *remarks(comparison), below])
        parts += [table, Text(notes, style="dim")]
    return Group(*parts)

"""The results in the terminal, and a line that says how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.table import Table

from coursekit.corpus.baseline import findings
from coursekit.corpus.baseline.baselines import Baselines, Estimate
from coursekit.corpus.baseline.measures import MEASURES
from coursekit.corpus.baseline.page import groups


def main_table(results: Baselines) -> RenderableType:
    """Every table of the results and the sentences below them; means over their 95 % intervals."""
    n, test = len(results.questions), sum(question.split == "test" for question in results.questions)
    parts: list[RenderableType] = [_measures(results, None, f"all {n} questions that have an answer")]
    if test:
        parts.append(_measures(results, "test", f"the {test} of the test split"))
    parts += _categories(results)
    parts.append(Markdown("\n".join(f"- {sentence}" for sentence in findings.sentences(results))))
    return Group(*parts)


def _measures(results: Baselines, split: str | None, title: str) -> Table:
    table = _empty(title, "method", MEASURES)
    for name, row in results.table(split).items():
        table.add_row(results.label(name), *map(_cell, row.values()))
    return table


def _categories(results: Baselines) -> Iterable[Table]:
    rows = results.by_category(findings.MEASURE)
    for methods in groups():
        table = _empty(f"{findings.MEASURE} by category", "category", methods)
        for category, row in rows.items():
            table.add_row(f"{category} ({row[methods[0]].n})", *(_cell(row[method]) for method in methods))
        yield table


def _empty(title: str, first: str, columns: Iterable[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column(first)
    for column in columns:
        table.add_column(column.replace("-", "-\n"), justify="right", no_wrap=True)
    return table


def _cell(estimate: Estimate) -> str:
    low, high = (f"{bound:.2f}".removeprefix("0") for bound in (estimate.low, estimate.high))
    return f"{estimate.mean:.2f}\n[dim]{low}–{high}[/]"


@contextmanager
def progress_line() -> Iterator[Callable[[str], None]]:
    """Show the sentence that it was last given: on one line of a terminal, on a line each elsewhere (stderr)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield console.print
        return
    with console.status("reading the corpus") as status:
        yield status.update

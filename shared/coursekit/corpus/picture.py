"""A corpus on one page: document lengths, documents by kind, questions by category and split, relevant documents by grade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from coursekit import plots
from coursekit.corpus.summary import Summary
from coursekit.corpus.vocabulary import SPLITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(summary: Summary, name: str) -> Figure:
    """Draw the four pictures; `name` heads the page. The caller saves and closes the figure."""
    plots.use_style()
    figure, axes = plt.subplots(2, 2, figsize=(11, 8))
    figure.suptitle(
        f"{name}: {len(summary.lengths)} documents, {summary.questions} questions, {summary.judged:,} judgments",
        x=0.01,
        ha="left",
        fontsize=13,
    )
    _lengths(axes[0][0], summary)
    _kinds(axes[0][1], summary)
    _questions(axes[1][0], summary)
    _grades(axes[1][1], summary)
    return figure


def _lengths(axes: Axes, summary: Summary) -> None:
    axes.hist(summary.lengths, bins=20, color=plots.BLUE, edgecolor="white", linewidth=0.6)
    median, p90 = summary.length(0.5), summary.length(0.9)
    axes.axvline(median, color=plots.ORANGE, label=f"median {median}")
    axes.axvline(p90, color=plots.INK, linestyle="--", label=f"p90 {p90}")
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(_whole_numbers())
    axes.set_xlabel("words")
    axes.set_ylabel("documents")
    axes.set_title("How long the documents are")
    axes.legend()


def _kinds(axes: Axes, summary: Summary) -> None:
    kinds = summary.documents["kind"]
    drawn = axes.barh(list(kinds), list(kinds.values()), color=plots.BLUE, height=0.65)
    axes.bar_label(drawn, padding=3, fontsize=8.5)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.margins(x=0.1)
    axes.set_xlabel("documents")
    axes.set_title("Documents by kind")


def _questions(axes: Axes, summary: Summary) -> None:
    rows = [(row.category, [row.by_split[split] for split in SPLITS]) for row in summary.categories]
    _stacked(axes, rows, list(SPLITS), [plots.BLUE, plots.ORANGE])
    axes.set_xlabel("questions")
    axes.set_title("Questions by category and split")


def _grades(axes: Axes, summary: Summary) -> None:
    rows = [(row.category, [row.grades[2], row.grades[1]]) for row in summary.categories]
    _stacked(axes, rows, ["2 answers", "1 helps"], [plots.GREEN, plots.ORANGE])
    axes.set_xlabel("judgments above 0")
    axes.set_title("Relevant documents by category and grade")


def _whole_numbers() -> MaxNLocator:
    return MaxNLocator(integer=True, steps=[1, 2, 5, 10])


def _stacked(axes: Axes, rows: list[tuple[str, list[int]]], parts: list[str], colours: list[str]) -> None:
    names = [name for name, _ in rows]
    left = [0] * len(rows)
    for index, (part, colour) in enumerate(zip(parts, colours, strict=True)):
        counts = [row[index] for _, row in rows]
        axes.barh(names, counts, left=left, color=colour, height=0.65, label=part)
        left = [start + count for start, count in zip(left, counts, strict=True)]
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(_whole_numbers())
    axes.margins(x=0.06)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=len(parts))

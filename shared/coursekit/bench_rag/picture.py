"""One picture: ingestion, time of a question and quality, by system and size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from coursekit import plots
from coursekit.bench_rag.running import Comparison
from coursekit.bench_rag.scoring import Row
from coursekit.bench_rag.table import LABELS

_PANELS: dict[str, tuple[Callable[[Row], float], str]] = {
    "ingestion, chunks/s": (lambda row: row.chunks_per_s or 0.0, "{:,.0f}"),
    "one question, p50 ms (log)": (lambda row: row.p50_ms, "{:,.1f}"),
    "nDCG@10": (lambda row: row.quality["nDCG@10"].mean if row.quality else 0.0, "{:.3f}"),
}
_COLOURS = (plots.BLUE, plots.ORANGE, plots.GREEN, plots.RED, plots.GREY)


def draw(comparisons: Sequence[Comparison]) -> Figure:
    """Horizontal bars of each system's hybrid search, one colour per workload; a system that did not run has none."""
    plots.use_style()
    systems = list(dict.fromkeys(row.system for comparison in comparisons for row in comparison.rows))
    figure, axes = plt.subplots(1, len(_PANELS), figsize=(10, 0.5 + 0.8 * len(systems)), sharey=True)
    height = 0.8 / len(comparisons)
    for panel, (title, (figure_of, form)) in zip(axes, _PANELS.items(), strict=True):
        for number, comparison in enumerate(comparisons):
            rows = {row.system: row for row in comparison.rows if row.search == "hybrid" and row.quality}
            values = [figure_of(rows[system]) if system in rows else 0.0 for system in systems]
            places = np.arange(len(systems)) + (number - (len(comparisons) - 1) / 2) * height
            name = f"{comparison.chunks:,} chunks"
            bars = panel.barh(places, values, height * 0.92, color=_COLOURS[number % len(_COLOURS)], label=name)
            panel.bar_label(bars, [form.format(value) if value else "–" for value in values], padding=3, fontsize=8)
        panel.set_title(title)
        panel.margins(x=0.25)
    shown = [row.p50_ms for comparison in comparisons for row in comparison.rows if row.p50_ms]
    axes[1].set_xscale("log")
    axes[1].set_xlim(left=min([1.0, *(0.5 * p50 for p50 in shown)]))
    plots.log_ticks(axes[1].xaxis)
    axes[0].set_yticks(np.arange(len(systems)), [LABELS.get(system, system) for system in systems])
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(comparisons))
    return figure


def save(comparisons: Sequence[Comparison], target: Path) -> None:
    """Draw it as PNG."""
    figure = draw(comparisons)
    try:
        figure.savefig(target, dpi=140, metadata={"Software": None})  # no version in the file
    finally:
        plt.close(figure)

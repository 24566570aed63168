"""The few pictures that several notebooks share: the architecture, a guess beside its measurement, bars, intervals.

One look for the whole course: `use_style` sets it, the colours have names. Axes carry their unit; bars start at 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib
import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

BLUE = "#2a6f97"
ORANGE = "#e07a2f"
GREEN = "#4f9d69"
RED = "#c8553d"
GREY = "#9aa5b1"
INK = "#22303c"

# The boxes of the system: name -> (column, row). The two rows are the question's path (0) and the documents' path (1).
STAGES: dict[str, tuple[float, float]] = {
    "settings": (0, 2),
    "guardrails": (1, 2),
    "cache": (2, 2),
    "evaluation": (3, 2),
    "telemetry": (4, 2),
    "question": (0, 1),
    "service": (1, 1),
    "retrieval": (2, 1),
    "prompt": (3, 1),
    "model": (4, 1),
    "documents": (0, 0),
    "chunking": (1, 0),
    "embedding": (2, 0),
    "store": (3, 0),
    "agent": (4, 0),
}
_FLOWS = [
    ("question", "service"), ("service", "retrieval"), ("retrieval", "prompt"), ("prompt", "model"),
    ("documents", "chunking"), ("chunking", "embedding"), ("embedding", "store"),
]  # fmt: skip


def use_style() -> None:
    """Set the course's look for every following picture."""
    matplotlib.rcParams.update(
        {
            "figure.figsize": (7.2, 3.4),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.titlelocation": "left",
            "axes.titlesize": 11,
            "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, RED, GREY]),
            "xtick.color": INK,
            "ytick.color": INK,
            "font.size": 9.5,
            "legend.frameon": False,
        }
    )


def log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers, at 1, 2 and 5 of each decade."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def architecture(today: Sequence[str], built: Sequence[str] = ()) -> Figure:
    """The whole system, the same picture in every module: today's boxes filled, the ones built before outlined in colour.

    Raises:
        ValueError: a name is not one of STAGES.
    """
    unknown = [name for name in [*today, *built] if name not in STAGES]
    if unknown:
        raise ValueError(f"not stages of the system: {', '.join(unknown)}; there are {', '.join(STAGES)}")
    figure, axes = plt.subplots(figsize=(7.6, 2.7))
    axes.set_xlim(-0.6, 4.6)
    axes.set_ylim(-0.45, 2.45)
    axes.axis("off")
    for name, (column, row) in STAGES.items():
        is_today, is_built = name in today, name in built
        box = FancyBboxPatch(
            (column - 0.4, row - 0.24),
            0.8,
            0.48,
            boxstyle="round,pad=0.02,rounding_size=0.08",
            facecolor=ORANGE if is_today else "white",
            edgecolor=ORANGE if is_today else BLUE if is_built else GREY,
            linewidth=1.6 if is_today or is_built else 0.9,
        )
        axes.add_patch(box)
        colour = "white" if is_today else INK if is_built else "#66727f"
        axes.text(
            column, row, name, ha="center", va="center", color=colour, fontsize=9, weight="bold" if is_today else None
        )
    for start, end in _FLOWS:
        (x0, y0), (x1, y1) = STAGES[start], STAGES[end]
        axes.add_patch(
            FancyArrowPatch((x0 + 0.43, y0), (x1 - 0.43, y1), arrowstyle="-|>", mutation_scale=9, color=GREY)
        )
    axes.add_patch(FancyArrowPatch((2.85, 0.27), (2.15, 0.73), arrowstyle="-|>", mutation_scale=9, color=GREY))
    return figure


def guess_and_measurement(
    labels: Sequence[str], guesses: Sequence[float | None], measured: Sequence[float], *, unit: str, title: str
) -> Axes:
    """Horizontal bars of what was measured, with the learner's guess as a mark on each; `None` is no guess."""
    figure, axes = plt.subplots(figsize=(7.2, 0.55 * len(labels) + 1.3))
    rows = range(len(labels))
    axes.barh(rows, measured, color=BLUE, height=0.55, label="measured")
    guessed = [(row, guess) for row, guess in zip(rows, guesses, strict=True) if guess is not None]
    if guessed:
        axes.scatter(
            [g for _, g in guessed], [r for r, _ in guessed], marker="D", color=ORANGE, zorder=3, label="your guess"
        )
    widest = max([*measured, *(g for _, g in guessed)], default=1.0) or 1.0
    for row, (value, guess) in enumerate(zip(measured, guesses, strict=True)):
        is_near = guess is not None and -0.02 < (guess - value) / widest < 0.09  # the mark would cover the number
        right_of = value if guess is None or not is_near else max(value, guess + widest * 0.015)
        axes.text(right_of + widest * 0.015, row, f"{value:.3g}", va="center", fontsize=8.5)
    axes.set_yticks(list(rows), list(labels))
    axes.invert_yaxis()
    axes.set_xlim(0, widest * 1.12)
    if all(float(value).is_integer() for value in measured):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(unit)
    axes.set_title(title)
    figure.legend(loc="outside lower right", ncols=2, fontsize=8.5)  # below the axes: over no bar and no title
    return axes


def bars(values: Mapping[str, float], *, unit: str, title: str, highlight: Sequence[str] = ()) -> Axes:
    """One vertical bar per label, from 0; highlighted labels in orange."""
    _, axes = plt.subplots()
    colours = [ORANGE if label in highlight else BLUE for label in values]
    drawn = axes.bar(list(values), list(values.values()), color=colours, width=0.6)
    axes.bar_label(drawn, fmt="%.3g", padding=2, fontsize=8.5)
    axes.set_ylabel(unit)
    axes.set_title(title)
    return axes


def intervals(
    values: Mapping[str, tuple[float, float, float]], *, unit: str, title: str, guess: float | None = None
) -> Axes:
    """One horizontal line per label, from low to high with a point at the mean: label -> (low, mean, high)."""
    _, axes = plt.subplots(figsize=(7.2, 0.45 * len(values) + 1.3))
    for row, (low, mean, high) in enumerate(values.values()):
        axes.plot([low, high], [row, row], color=BLUE, linewidth=3)
        axes.plot(mean, row, "o", color=BLUE)
        axes.annotate(f"{mean:.3g}", (high, row), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8.5)
    if guess is not None:
        axes.axvline(guess, color=ORANGE, linestyle=":", label="your guess")
        axes.legend(loc="best", fontsize=8.5)
    axes.set_yticks(range(len(values)), list(values))
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xlabel(unit)
    axes.set_title(title)
    return axes

"""One picture of the results: recall@5 by category for words, vectors and both."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from coursekit import plots
from coursekit.corpus.baseline.baselines import Baselines
from coursekit.corpus.baseline.findings import MEASURE
from coursekit.errors import CorpusError

_SHOWN = {"bm25-stemmed": plots.BLUE, "minilm": plots.ORANGE, "convex": plots.GREEN}
_HEIGHT = 0.26


def save_picture(results: Baselines, target: Path) -> Path:
    """Draw the picture as PNG; gives its path.

    Raises:
        CorpusError: the file cannot be written.
    """
    figure = draw(results)
    try:
        figure.savefig(target, dpi=140, metadata={"Software": None})  # no version in the file: same numbers, same bytes
    except OSError as error:
        raise CorpusError(f"{target}: cannot be written ({error.strerror}); give another file name") from error
    finally:
        plt.close(figure)
    return target


def draw(results: Baselines) -> Figure:
    """Horizontal bars from 0 with 95 % intervals, one group per category."""
    plots.use_style()
    table = results.by_category(MEASURE)
    figure, axes = plt.subplots(figsize=(7.6, 0.62 * len(table) + 1.3))
    rows = np.arange(len(table))
    for position, (method, colour) in enumerate(_SHOWN.items()):
        estimates = [row[method] for row in table.values()]
        means = np.array([estimate.mean for estimate in estimates])
        below = means - [estimate.low for estimate in estimates]
        above = np.array([estimate.high for estimate in estimates]) - means
        axes.barh(
            rows + (position - 1) * _HEIGHT,
            means,
            height=_HEIGHT * 0.92,
            xerr=np.clip([below, above], 0, None),
            color=colour,
            label=results.label(method),
            error_kw={"ecolor": plots.INK, "elinewidth": 0.9, "capsize": 2},
        )
    axes.set_yticks(rows, [f"{category} ({row['convex'].n})" for category, row in table.items()])
    axes.margins(y=0.02)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.set_xlabel(f"{MEASURE}, with 95 % bootstrap interval over questions; number of questions in brackets")
    axes.set_title("What plain methods find, by category of question")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8.5)
    return figure

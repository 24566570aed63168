"""Percentile bootstrap over questions (Efron 1979; for retrieval: Sakai, SIGIR 2006)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 10_000
SEED = 0


def mean_intervals(values: ArrayLike, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intervals of the means of several columns; every column sees the same resamples.

    The interval of a difference is that of the column of differences, question by question (paired).

    Args:
        values: [questions, columns], at least one question.
        level: the share of resampled means that the interval holds.

    Returns:
        Lower and upper bounds, [columns] each; the same on every call.

    Raises:
        ValueError: there is no question.
    """
    table = np.asarray(values, dtype=np.float64)
    if len(table) == 0:
        raise ValueError("there are no values to resample")
    means = table.T @ _weights(len(table)).T
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return low, high


@lru_cache(maxsize=16)
def _weights(n: int) -> NDArray[np.float64]:
    """[RESAMPLES, n]: how often each resample drew each question, divided by n."""
    drawn = np.random.default_rng(SEED).integers(0, n, size=(RESAMPLES, n))
    drawn += np.arange(RESAMPLES)[:, None] * n
    return np.bincount(drawn.ravel(), minlength=RESAMPLES * n).reshape(RESAMPLES, n) / n


class Estimate(NamedTuple):
    """A mean over `n` cases with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of one value per case.

    Raises:
        ValueError: there is no case.
    """
    low, high = mean_intervals([[value] for value in values])
    return Estimate(sum(values) / len(values), float(low[0]), float(high[0]), len(values))

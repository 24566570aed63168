"""A share or a mean with its 95 % interval: percentile bootstrap over questions, the same on every call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coursekit.corpus.baseline.resampling import mean_intervals


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` cases and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of one value per case.

    Raises:
        ValueError: there is no case.
    """
    low, high = mean_intervals([[value] for value in values])
    return Estimate(sum(values) / len(values), float(low[0]), float(high[0]), len(values))

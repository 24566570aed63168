"""Draw one token from a sparse next-token distribution.

Temperature divides log-probabilities before the softmax; 0 means greedy. Nucleus sampling keeps the smallest set
of most probable tokens whose mass reaches `top_p` (Holtzman et al. 2020). Pure functions: the random number comes
from the caller, so that the same number always gives the same token.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """Next-token probabilities at temperature 1: `ids` [k] distinct, `probs` [k] positive, summing to 1."""

    ids: Ids
    probs: Probabilities

    def top(self, k: int) -> list[tuple[int, float]]:
        """The k most probable tokens with their probability, ties by token id."""
        if k == 0:
            return []
        kept = np.arange(len(self.ids))
        if len(kept) > 4 * k:
            kept = np.argpartition(-self.probs, 2 * k)[: 2 * k]
        order = kept[np.lexsort((self.ids[kept], -self.probs[kept]))][:k]
        return [(int(self.ids[i]), float(self.probs[i])) for i in order]

    def logprob(self, token: int) -> float:
        """Natural logarithm of a token's probability; -inf when it is impossible."""
        found = np.flatnonzero(self.ids == token)
        return math.log(float(self.probs[found[0]])) if len(found) else -math.inf


def reshape(probs: Probabilities, temperature: float) -> Probabilities:
    """Apply a temperature above 0 and renormalise. Shape [k] in, [k] out."""
    if temperature == 1.0:
        scaled: Probabilities = probs / probs.sum()
        return scaled
    logits = np.log(probs) / temperature
    weights: Probabilities = np.exp(logits - logits.max())
    weights /= weights.sum()
    return weights


def sample(distribution: Distribution, temperature: float, top_p: float, uniform: float) -> int:
    """Choose one token.

    Args:
        distribution: temperature-1 probabilities.
        temperature: 0 (greedy) to 2.
        top_p: nucleus mass in [0, 1]; 1 keeps everything, 0 keeps the most probable token.
        uniform: a random number in [0, 1).

    Returns:
        The id of the chosen token.
    """
    if temperature == 0.0 or top_p == 0.0:
        return int(distribution.ids[int(np.argmax(distribution.probs))])
    ids, probs = distribution.ids, reshape(distribution.probs, temperature)
    if top_p < 1.0:
        order = np.lexsort((ids, -probs))
        mass = np.cumsum(probs[order])
        order = order[: int(np.searchsorted(mass, top_p)) + 1]
        ids, probs = ids[order], probs[order]
    mass = np.cumsum(probs)
    index = int(np.searchsorted(mass, uniform * mass[-1], side="right"))
    return int(ids[min(index, len(ids) - 1)])


def generator(*parts: object) -> random.Random:
    """A random stream that depends on the given values only, on every platform and Python version."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode("utf-8", "surrogatepass")).digest()
    return random.Random(int.from_bytes(digest[:16], "big"))

"""What a skill hands to the generator: candidate replies with weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simllm.tools import Call

__all__ = ["BEST_SHARE", "Call", "Candidate", "Plan", "weigh"]

BEST_SHARE = 0.55  # the best candidate outweighs all others together, so greedy decoding copies it


@dataclass(frozen=True)
class Candidate:
    """One possible reply.

    `calls` follow the text (a plan that has any is decoded with `wander` 0); a `refusal` is told apart from an answer.
    """

    text: str
    weight: float
    calls: tuple[Call, ...] = ()
    refusal: bool = False


@dataclass(frozen=True)
class Plan:
    """What the model could say.

    Attributes:
        candidates: possible replies; empty means that the language model writes alone.
        wander: share of the language model per token; 0 keeps to the candidates (constrained decoding).
    """

    candidates: tuple[Candidate, ...]
    wander: float


def weigh(texts: Sequence[str], scores: Sequence[float], sharpness: float) -> tuple[Candidate, ...]:
    """Softmax of scores into weights; equal texts are merged; the first score counts as the best.

    Args:
        texts: replies, best first.
        scores: their scores, in the same order.
        sharpness: softmax scale in score units.
    """
    logits = (np.asarray(scores, dtype=np.float64) - max(scores)) / sharpness
    masses = np.exp(logits)
    merged: dict[str, float] = {}
    for text, mass in zip(texts, masses / masses.sum(), strict=True):
        merged[text] = merged.get(text, 0.0) + float(mass)
    best, *others = merged
    rest = sum(merged[text] for text in others)
    share = max(merged[best], BEST_SHARE) if others else 1.0
    weighed = [Candidate(best, share)]
    weighed += [Candidate(text, (1 - share) * merged[text] / rest) for text in others if merged[text] > 0]
    return tuple(weighed)

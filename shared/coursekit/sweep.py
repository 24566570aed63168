"""Try many weights of a hybrid search at the price of one: candidates and both their scores are fetched once.

For experiments. It mirrors a search that takes the best by keywords and the nearest by vectors, scores each candidate by
both as shares of the best, and adds the shares. It knows no database; the notebook says where rows and scores come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_TINY = 1e-9  # a score that counts as none


@dataclass(frozen=True)
class IndexRow:
    """One chunk of the index: its vector is of length 1."""

    chunk_id: int
    document_id: str
    access: Sequence[str]
    vector: Sequence[float]


class WeightSweep:
    """Document rankings of questions at any weight. `size`: candidates by keywords, and as many by vectors."""

    def __init__(self, rows: Sequence[IndexRow], *, size: int = 50) -> None:
        self._rows, self._size = list(rows), size
        self._matrix = np.array([row.vector for row in self._rows], dtype=np.float32)
        self._candidates: dict[str, tuple[list[str], NDArray[np.float64], NDArray[np.float64]]] = {}

    def add(
        self, question_id: str, keywords: Mapping[int, float], vector: NDArray[np.float32], labels: Sequence[str]
    ) -> None:
        """Fetch one question's candidates.

        Args:
            question_id: how `ranking` will call it.
            keywords: chunk id -> keyword score of every readable chunk that matches.
            vector: the question's, of length 1.
            labels: the asker's access labels.
        """
        word = np.array([keywords.get(row.chunk_id, 0.0) for row in self._rows], dtype=np.float64)
        readable = np.array([not set(row.access).isdisjoint(labels) for row in self._rows])
        cosine = np.maximum(self._matrix @ np.asarray(vector), 0.0) * readable
        nearest = np.argsort(-cosine, kind="stable")[: self._size]
        matching = [row for row in np.argsort(-word, kind="stable")[: self._size] if word[row] > _TINY]
        kept = np.union1d(np.array(matching, dtype=np.int64), nearest[cosine[nearest] > _TINY])
        pages = [self._rows[int(row)].document_id for row in kept]
        shares = (scores[kept] / max(float(scores.max()), _TINY) for scores in (word, cosine))
        self._candidates[question_id] = (pages, *shares)

    def ranking(self, question_id: str, weight: float) -> list[str]:
        """Document ids, best first, each by its best chunk, when vectors count `weight` and keywords the rest."""
        pages, word, cosine = self._candidates[question_id]
        order = np.argsort(-(1 - weight) * word - weight * cosine, kind="stable")
        return list(dict.fromkeys(pages[int(place)] for place in order))

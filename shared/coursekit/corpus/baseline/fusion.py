"""Two scores per document into one.

Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009) looks at ranks only; the convex combination of
min-max normalised scores (Bruch, Gai and Ingber, TOIS 2023) keeps how far apart the scores are, and has a weight to
choose. Both see only the documents that the asker may read, and all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coursekit.corpus.baseline.lexical import Scores

RRF_K = 60

Mask = NDArray[np.bool_]


def order_of(scores: Scores) -> list[int]:
    """Columns of one row of scores, best first; -inf is left out, ties go to the lower column (the lower document id)."""
    order = np.argsort(-scores, kind="stable")
    columns: list[int] = order[scores[order] > -np.inf].tolist()
    return columns


def by_rank(tables: Sequence[Scores], allowed: Mask, k: int = RRF_K) -> Scores:
    """Reciprocal rank fusion: the sum of 1 / (k + rank), ranks from 1; -inf where no table found the document.

    Args:
        tables: scores [questions, documents], -inf where a document was not found.
        allowed: which documents are ranked at all, per question.
    """
    fused = np.zeros(allowed.shape)
    for table in tables:
        for row, scores in enumerate(np.where(allowed, table, -np.inf)):
            columns = order_of(scores)
            fused[row, columns] += 1 / (k + np.arange(1, len(columns) + 1))
    return np.where(fused > 0, fused, -np.inf)


def by_score(lexical: Scores, semantic: Scores, allowed: Mask, alpha: float) -> Scores:
    """Convex combination: alpha times the semantic score plus 1 - alpha times the lexical one, each scaled to [0, 1].

    A document that one side did not find has 0 there; -inf where neither found it, or where it is not allowed.
    """
    lexical, semantic = (np.where(allowed, table, -np.inf) for table in (lexical, semantic))
    found = np.isfinite(lexical) | np.isfinite(semantic)
    mixed = alpha * _scaled(semantic, allowed) + (1 - alpha) * _scaled(lexical, allowed)
    return np.where(found, np.round(mixed, 9), -np.inf)  # rounded, so that equal scores stay equal


def _scaled(table: Scores, allowed: Mask) -> Scores:
    """Each row from its lowest to its highest score over the allowed documents; not found counts as the lowest."""
    scaled = np.zeros(table.shape)
    for row, scores in enumerate(table):
        found = np.isfinite(scores)
        if not found.any():
            continue
        low, high = scores[found].min(), scores[found].max()
        if found.sum() < allowed[row].sum():
            low = min(low, 0.0)  # a document that shares no word has BM25 0
        scaled[row, found] = (scores[found] - low) / (high - low) if high > low else 1.0
    return scaled

"""What each unit of the context means where it stands, compared with what the question means.

A sentence encoder reads the context a stretch at a time (see `simllm.part_vectors`). Of a long context only the stretches that
a quick look finds promising are read; what was skipped counts like the least fitting of what was read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from simllm.embeddings import Embedder
from simllm.minilm import normalise
from simllm.skills.layout import Passage
from simllm.skills.units import Unit

STRETCH_WORDS = 120  # fits the encoder's window
STRETCHES = 16  # that are read closely

Scores = NDArray[np.float64]


def meanings(
    questions: Mapping[str, float],
    units: Sequence[Unit],
    passages: Sequence[Passage],
    promise: Scores,
    embedder: Embedder,
) -> Scores:
    """Likeness [units] of the question with every unit in its context, a cosine.

    Args:
        questions: what is asked, and how much each part of it counts.
        promise: what a quick look makes of every unit, [units]; decides which stretches are read.
    """
    stretches = [part for _, group in groupby(units, key=lambda unit: unit.passage) for part in _stretches([*group])]
    parts = embedder.embed([text or " " for text in questions])
    asked = normalise(np.array([list(questions.values())], dtype=np.float32) @ parts)[0]
    best = sorted(stretches, key=lambda part: -max(promise[unit.order] for unit in part))[:STRETCHES]
    found = np.full(len(units), np.nan)
    for part in best:
        start, end = part[0].span[0], part[-1].span[1]
        spans = [(unit.span[0] - start, unit.span[1] - start) for unit in part]
        vectors = embedder.embed_parts(passages[part[0].passage].text[start:end], spans)
        found[[unit.order for unit in part]] = vectors @ asked
    return np.where(np.isnan(found), np.nanmin(found), found)


def _stretches(units: Sequence[Unit]) -> list[list[Unit]]:
    """A passage's units in runs of equal length, at most about `STRETCH_WORDS` words each."""
    ends = np.cumsum([len(unit.text.split()) for unit in units])
    size = ends[-1] / max(1, round(ends[-1] / STRETCH_WORDS))
    of = np.minimum((ends - 1) // size, ends[-1] // size).astype(int).tolist()
    return [[unit for _, unit in group] for _, group in groupby(zip(of, units, strict=True), key=lambda pair: pair[0])]

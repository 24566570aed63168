"""Vectors of the parts of a text, each part read in the context of the whole.

Late chunking (Günther et al. 2024, "Late Chunking: Contextual Chunk Embeddings"): the text runs through the model once and
the vectors of a part's word pieces are averaged afterwards, so that "it" in a sentence keeps what it stands for; and one run
serves all parts. Kept in memory only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simllm.minilm import DIMENSIONS, MiniLM, Reading, Vectors, normalise
from simllm.recent import Recent

_KEPT = 4_000  # texts; about 15 kB each

Span = tuple[int, int]


class PartVectors:
    """Embeds parts of texts; remembers the latest."""

    def __init__(self, model: MiniLM) -> None:
        self._model = model
        self._memory: Recent[Vectors | None] = Recent(lambda: None, _KEPT)

    def embed(self, text: str, spans: Sequence[Span]) -> Vectors:
        """Unit vectors, float32 [spans, 384]; a part that the model's window does not reach gets zeros.

        Args:
            text: the whole; the model reads its first 254 word pieces.
            spans: first character and the one after the last of each part; at least one.
        """
        key = f"{list(spans)}{text}"
        found = self._memory.find(key)
        if found is None:
            reading = self._model.read(text)
            found = self._memory[key] = normalise(np.stack([_mean(reading, span) for span in spans]))
        return found


def _mean(reading: Reading, span: Span) -> Vectors:
    inside = (reading.spans[:, 0] < span[1]) & (reading.spans[:, 1] > span[0])
    found: Vectors = reading.sixth[inside].mean(axis=0) if inside.any() else np.zeros(DIMENSIONS, dtype=np.float32)
    return found

"""Vectors of the words of a text, each read in the context of the whole: near to those of words that mean the same there.

The last two layers of MiniLM side by side; lower layers keep more of the word itself, the last one more of the sentence
(Ethayarajh 2019, "How Contextual are Contextualized Word Representations?"). Kept in memory only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simllm.minilm import MiniLM, Vectors, normalise
from simllm.recent import Recent

_KEPT = 256  # texts


@dataclass(frozen=True)
class Word:
    """A word of a text as MiniLM reads it there.

    Attributes:
        text: as it is written.
        start: its offset in the text.
        rank: its place in the vocabulary, which is ordered by frequency; the largest of its pieces.
        vector: float32 [768], of length 1.
    """

    text: str
    start: int
    rank: int
    vector: Vectors


class WordVectors:
    """Reads texts word by word; remembers the latest."""

    def __init__(self, model: MiniLM) -> None:
        self._model = model
        self._memory: Recent[tuple[Word, ...] | None] = Recent(lambda: None, _KEPT)

    def read(self, text: str) -> tuple[Word, ...]:
        """The words of a text's first 254 word pieces."""
        found = self._memory.find(text)
        if found is None:
            found = self._memory[text] = self._read(text)
        return found

    def _read(self, text: str) -> tuple[Word, ...]:
        reading = self._model.read(text)
        words = []
        for pieces in map(list, reading.words):
            halves = [normalise(layer[pieces].mean(axis=0, keepdims=True)) for layer in (reading.fifth, reading.sixth)]
            vector = normalise(np.concatenate(halves, axis=1))[0]
            start, end = int(reading.spans[pieces[0], 0]), int(reading.spans[pieces[-1], 1])
            words.append(Word(text[start:end], start, int(reading.ranks[pieces].max()), vector))
        return tuple(words)

"""Cosine similarity of embeddings: exact, in this process, through the course's cache of vectors.

The models are those of the simulated endpoint, so that these numbers are what a learner gets over HTTP. MiniLM reads
256 word pieces of a text; a piece of 120 words rarely has more, except where it is a table or code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from coursekit import settings
from coursekit.corpus.baseline.lexical import Scores
from simllm.embeddings import MINILM, WORDLLAMA, Embedder, Vectors, normalise
from simllm.tokenizer import Tokenizer

__all__ = ["MINILM", "WORDLLAMA", "Vectors", "cosine", "embed"]  # nothing else of this package imports simllm

_BATCH = 128


@contextmanager
def _embedder() -> Iterator[Embedder]:
    """The embedding models with the cache in `.course/cache`, shared with notebooks and servers."""
    embedder = Embedder(Tokenizer(), settings.load().state_dir / "cache")
    try:
        yield embedder
    finally:
        embedder.close()


def embed(texts: Sequence[str], model: str, progress: Callable[[str], None]) -> Vectors:
    """Unit vectors of texts, float32 [texts, dimensions], through the course's cache.

    Args:
        progress: told how far it is, a sentence per batch.
    """
    with _embedder() as embedder:
        parts: list[Vectors] = []
        for start in range(0, len(texts), _BATCH):
            progress(f"{model}: {start} of {len(texts)} texts embedded")
            parts.append(embedder.embed(texts[start : start + _BATCH], model))
    return np.concatenate(parts)


def cosine(pieces: Vectors, questions: Vectors, dimensions: int) -> Scores:
    """Cosine of every question with every piece.

    Args:
        pieces, questions: vectors of one model, [n, d].
        dimensions: how many of the d leading dimensions to keep.

    Returns:
        float64 [questions, pieces] in [-1, 1].
    """
    left, right = (normalise(vectors[:, :dimensions]).astype(np.float64) for vectors in (questions, pieces))
    scores: Scores = np.round(left @ right.T, 6)  # the float32 noise behind must not order two pieces of the same text
    return scores

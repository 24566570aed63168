"""Texts to vectors, with two real embedding models and a disk cache.

`minilm-l6-v2` is all-MiniLM-L6-v2 (see `simllm.minilm`): 384 dimensions; it reads the first 256 word pieces of a text and
silently ignores the rest, as the original does.
`wordllama-256` averages static token vectors: many times faster and weaker; `wordllama-64` keeps its first 64
dimensions, for which it was trained too (Matryoshka representations, Kusupati et al. 2022). The table is read straight from the
package's file, because importing `wordllama` reconfigures the root logger. Vectors are float32 of length 1.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from simllm.minilm import MiniLM, Vectors, normalise
from simllm.part_vectors import PartVectors
from simllm.tokenizer import TOKENIZER_FILE, Tokenizer
from simllm.vector_cache import VectorCache, content_key
from simllm.word_vectors import Word, WordVectors

MINILM = "minilm-l6-v2"
WORDLLAMA = "wordllama-256"
WORDLLAMA_64 = "wordllama-64"
_MEMORY = 50_000  # vectors kept in memory per model (77 MB for MiniLM when full)


class Encoder(Protocol):
    """Anything that turns texts into unit vectors [n, d]."""

    def encode(self, texts: Sequence[str]) -> Vectors: ...


class WordLlama:
    """Mean of static token vectors (the table loads in some 20 ms, on first use).

    Args:
        tokenizer: the table's own.
        dimensions: 256, or fewer to keep only the first ones.
    """

    def __init__(self, tokenizer: Tokenizer, dimensions: int = 256) -> None:
        self._tokenizer = tokenizer
        self._dimensions = dimensions

    @cached_property
    def table(self) -> Vectors:
        from safetensors.numpy import load_file

        weights = TOKENIZER_FILE.parent.parent / "weights" / "l2_supercat_256.safetensors"
        return np.ascontiguousarray(load_file(weights)["embedding.weight"][:, : self._dimensions].astype(np.float32))

    def encode(self, texts: Sequence[str]) -> Vectors:
        table = self.table
        return normalise(np.stack([table[self._tokenizer.encode(text)].mean(axis=0) for text in texts]))


class Embedder:
    """All models behind one method, with a memory and a disk cache in front."""

    def __init__(self, tokenizer: Tokenizer, cache_dir: Path | None = None, *, read_only: bool = False) -> None:
        self._minilm = MiniLM()
        self._wordllama = WordLlama(tokenizer)
        self._encoders: dict[str, Encoder] = {
            MINILM: self._minilm,
            WORDLLAMA: self._wordllama,
            WORDLLAMA_64: WordLlama(tokenizer, 64),
        }
        # wordllama is faster than the disk, so only MiniLM is cached
        self._disk = VectorCache(cache_dir, read_only=read_only) if cache_dir else None
        self._memory: OrderedDict[bytes, Vectors] = OrderedDict()
        self._parts = PartVectors(self._minilm)
        self._words = WordVectors(self._minilm)
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str], model_id: str = MINILM) -> Vectors:
        """Unit vectors of non-empty texts.

        Returns:
            float32 [len(texts), d], d = 384 for MiniLM, 256 or 64 for wordllama.

        Raises:
            ValueError: unknown model, or a text is empty (it has no direction).
        """
        if model_id not in self._encoders:
            raise ValueError(f"unknown embedding model {model_id!r}; the models are {', '.join(self._encoders)}")
        if not all(texts):
            raise ValueError("an empty text has no embedding; drop it before embedding")
        if not texts:
            width = {MINILM: 384, WORDLLAMA: 256, WORDLLAMA_64: 64}
            return np.empty((0, width[model_id]), dtype=np.float32)
        if model_id != MINILM:
            return self._encoders[model_id].encode(texts)
        with self._lock:  # one batch at a time: two at once would only share the same cores
            return self._embed_cached(texts)

    def _embed_cached(self, texts: Sequence[str]) -> Vectors:
        keys = [content_key(MINILM, text) for text in texts]
        found = {key: self._memory[key] for key in keys if key in self._memory}
        absent = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if absent and self._disk:
            found |= self._disk.get(list(absent))
            absent = {key: text for key, text in absent.items() if key not in found}
        if absent:
            fresh = dict(zip(absent, self._encoders[MINILM].encode(list(absent.values())), strict=True))
            found |= fresh
            if self._disk:
                self._disk.put(fresh)
        self._memory |= found
        for key in found:
            self._memory.move_to_end(key)
        while len(self._memory) > _MEMORY:
            self._memory.popitem(last=False)
        return np.stack([found[key] for key in keys])

    def embed_parts(self, text: str, spans: Sequence[tuple[int, int]]) -> Vectors:
        """Unit vectors of stretches of a text, each read in its context: see `PartVectors.embed`."""
        with self._lock:
            return self._parts.embed(text, spans)

    def words(self, text: str) -> tuple[Word, ...]:
        """The words of a text, each read in its context: see `WordVectors.read`."""
        with self._lock:
            return self._words.read(text)

    def token_table(self) -> Vectors:
        """wordllama's own vectors, float32 [vocabulary, 256], one per token, not scaled; do not change them."""
        return self._wordllama.table

    def close(self) -> None:
        """Close the disk cache."""
        if self._disk:
            self._disk.close()

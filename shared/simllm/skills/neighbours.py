"""Words of nearly the same meaning, without a thesaurus.

Candidates are whole words of the tokenizer's vocabulary whose static vectors lie near (Mikolov et al. 2013), ranked
again by the sentence embedding. Honest and limited: rare words have no neighbours, and some neighbours are only
related. Known opposites and other forms of the same word are left out.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from simllm.embeddings import MINILM, WORDLLAMA, Embedder, Vectors, normalise
from simllm.skills.opposites import OPPOSED
from simllm.skills.words import STOP_WORDS, stem
from simllm.tokenizer import Tokenizer

NEAR = 0.33  # cosine of the static vectors
ALIKE = 0.50  # cosine of the sentence embedding
_LOOKED_AT = 24
_WORD = re.compile(r"[a-z]{4,}")


@lru_cache(maxsize=4)
def _vocabulary(tokenizer: Tokenizer, embedder: Embedder) -> tuple[list[str], Vectors]:
    """(words, their unit vectors [n, 256]): every token that is a whole lower-case word."""
    words: dict[str, int] = {}
    for token in range(tokenizer.vocab_size):
        piece = tokenizer.piece(token)
        word = piece[1:].decode("utf-8", "replace")
        if piece.startswith(b" ") and _WORD.fullmatch(word) and word not in STOP_WORDS:
            words.setdefault(word, token)
    return list(words), normalise(embedder.token_table()[list(words.values())])


def neighbours(word: str, count: int, tokenizer: Tokenizer, embedder: Embedder) -> list[tuple[str, float]]:
    """Up to `count` (word, closeness in [0, 1]), nearest first."""
    words, vectors = _vocabulary(tokenizer, embedder)
    near = vectors @ embedder.embed([word.lower()], WORDLLAMA)[0]
    order = [int(i) for i in np.argsort(-near)[:_LOOKED_AT] if near[int(i)] >= NEAR]
    root = stem(word.lower())
    order = [i for i in order if not _same_family(root, words[i]) and stem(words[i]) not in OPPOSED.get(root, ())]
    if not order:
        return []
    alike = embedder.embed([word.lower(), *(words[i] for i in order)], MINILM)
    cosines = alike[1:] @ alike[0]
    found = [(words[i], float(near[i] + c) / 2) for i, c in zip(order, cosines, strict=True) if c >= ALIKE]
    return sorted(found, key=lambda pair: -pair[1])[:count]


def _same_family(root: str, word: str) -> bool:
    other = stem(word)
    shared = min(len(root), len(other), 5)
    return root[:shared] == other[:shared]

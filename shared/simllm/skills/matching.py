"""How alike two words are: the same stem, a shortened form, or a neighbour in meaning.

Shortened forms are general English habits: a prefix ("temp" for "temperature"), the consonants only ("msg" for
"message"), and compounds of letters and digits ("sev2" for "sev 2"). Meaning is the cosine of static word vectors
(wordllama). Pure functions but for a memory of word vectors, which never change.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from simllm.embeddings import WORDLLAMA, Embedder
from simllm.skills.words import STOP_WORDS, terms

Matrix = NDArray[np.float64]

PREFIX, LONGER, CONSONANTS = 0.8, 0.7, 0.7
UNRELATED = 0.3  # the cosine of two words that have nothing to do with each other
MEANING = 0.8  # the most that likeness in meaning counts
_VOWELS = re.compile(r"[aeiou]|(.)(?=\1)")  # and the first of a doubled letter
_LETTERS_DIGITS = re.compile(r"([a-z]{2,})(\d+)")
_KEPT = 60_000
_vectors: dict[str, NDArray[np.float32]] = {}
_lock = threading.Lock()


@lru_cache(maxsize=4_096)
def split_terms(text: str) -> tuple[str, ...]:
    """Distinct content terms in order, with the halves of compounds such as "sev2"."""
    found: dict[str, None] = {}
    for term in terms(text):
        found[term] = None
        halves = _LETTERS_DIGITS.fullmatch(term)
        if halves:
            found |= dict.fromkeys(half for half in halves.groups() if half not in STOP_WORDS)
    found.pop("", None)
    return tuple(found)


def spelled_alike(wanted: str, other: str) -> float:
    """1 for the same term, less for a shortened form, 0 for different words."""
    if wanted == other:
        return 1.0
    if len(wanted) >= 3 and wanted.isalpha() and other.startswith(wanted):
        return PREFIX
    if len(other) >= 4 and other.isalpha() and wanted.startswith(other):
        return LONGER
    short = len(wanted) >= 3 and wanted.isalpha() and not _VOWELS.search(wanted)
    return CONSONANTS if short and other[:1] == wanted[0] and _VOWELS.sub("", other).startswith(wanted) else 0.0


def likeness(wanted: Sequence[str], vocabulary: Sequence[str], embedder: Embedder | None) -> Matrix:
    """How alike every wanted term and every term of the context are, [wanted, vocabulary] in [0, 1].

    Args:
        embedder: for likeness in meaning; None compares letters of whole terms only.
    """
    table = np.zeros((len(wanted), len(vocabulary)))
    place = {term: column for column, term in enumerate(vocabulary)}
    for row, term in enumerate(wanted):
        if term in place:
            table[row, place[term]] = 1.0
    if embedder is None or not wanted or not vocabulary:
        return table
    by_initial: dict[str, list[tuple[int, str]]] = {}
    for column, other in enumerate(vocabulary):
        by_initial.setdefault(other[0], []).append((column, other))
    for row, term in enumerate(wanted):
        for column, other in by_initial.get(term[0], ()):
            table[row, column] = spelled_alike(term, other)
    cosines = vectors(wanted, embedder) @ vectors(vocabulary, embedder).T
    alike: Matrix = np.maximum(table, MEANING * np.clip((cosines - UNRELATED) / (1 - UNRELATED), 0.0, 1.0))
    return alike


def vectors(words: Sequence[str], embedder: Embedder) -> NDArray[np.float32]:
    """Unit vectors of words, [n, 256], kept in memory."""
    absent = [word for word in dict.fromkeys(words) if word not in _vectors]
    fresh = dict(zip(absent, embedder.embed(absent, WORDLLAMA), strict=True)) if absent else {}
    found = np.stack([fresh[word] if word in fresh else _vectors[word] for word in words])
    with _lock:
        if len(_vectors) < _KEPT:
            _vectors.update(fresh)
    return found

"""BM25 over pieces, with plain and with stemmed words.

BM25 (Robertson and Walker 1994) as `rank_bm25.BM25Okapi` computes it: k1 = 1.5, b = 0.75, negative idf raised to a
quarter of the average. Statistics are those of the whole corpus, as an index has them, whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import Stemmer  # type: ignore[import-not-found]
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi  # type: ignore[import-untyped]

Words = Callable[[str], list[str]]
Scores = NDArray[np.float64]

_WORD = re.compile(r"\w+")
# Lucene's English stop words (org.apache.lucene.analysis.en.EnglishAnalyzer)
_STOP_WORDS = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was
will with
"""


def plain_words(text: str) -> list[str]:
    r"""Lower-case runs of `\w`.

    >>> plain_words("Retries: HBL-4127")
    ['retries', 'hbl', '4127']
    """
    return _WORD.findall(text.lower())


def stemmed_words(text: str) -> list[str]:
    """The plain words without stop words, stemmed by Snowball's English stemmer (Porter 2).

    >>> stemmed_words("the retries of HBL-4127")
    ['retri', 'hbl', '4127']
    """
    stems: list[str] = _stemmer().stemWords([word for word in plain_words(text) if word not in _stop_words()])
    return stems


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(_STOP_WORDS.split())


@cache
def _stemmer() -> Stemmer.Stemmer:
    return Stemmer.Stemmer("english")


def bm25(pieces: Sequence[str], questions: Sequence[str], words: Words) -> Scores:
    """BM25 of every question against every piece.

    Returns:
        float64 [questions, pieces]; -inf where they share no word.
    """
    index = BM25Okapi([words(piece) for piece in pieces])

    @cache
    def of_word(word: str) -> Scores:  # a score is a sum over words, and questions share theirs: 4 times faster
        scores: Scores = index.get_scores([word])
        return scores

    table = np.full((len(questions), len(pieces)), -np.inf)
    for row, question in enumerate(questions):
        known = [word for word in words(question) if word in index.idf]
        if known:
            total = np.sum([of_word(word) for word in known], axis=0)
            table[row] = np.where(total == 0, -np.inf, total)
    return table

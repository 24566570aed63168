"""The quick search for similar sentences finds exactly what comparing all of them finds."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from tests.corpus.alike import LEAST_WORDS, Sentence, similar


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 1.0])
def test_the_quick_search_finds_what_comparing_all_finds(seed: int, threshold: float) -> None:
    chance = random.Random(seed)
    vocabulary = [f"w{n}" for n in range(14)]
    sentences = [
        Sentence(f"d{chance.randrange(12)}", str(n), frozenset(chance.sample(vocabulary, chance.randint(0, 10))))
        for n in range(150)
    ]
    expected = {
        (one, other)
        for one, other in combinations(sentences, 2)
        if one.document != other.document
        and len(one.words | other.words) >= LEAST_WORDS
        and len(one.words & other.words) / len(one.words | other.words) >= threshold
    }
    found = list(similar(sentences, threshold))
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert expected or threshold == 1.0

"""What the course says about this corpus, measured: words find identifiers, vectors find paraphrases, neither is enough."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from coursekit.corpus import Corpus
from coursekit.corpus.baseline import Baselines, measure
from coursekit.corpus.baseline.findings import better_part
from tests.conftest import ROOT

WORDS, VECTORS = "bm25-stemmed", "minilm"


@pytest.fixture(scope="module")
def results(corpus: Corpus) -> Iterator[Baselines]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield measure(corpus)


def test_bm25_beats_vectors_on_identifiers(results: Baselines) -> None:
    assert results.difference(WORDS, VECTORS, "recall@5", "identifier").delta >= 0.10


def test_vectors_beat_bm25_on_paraphrases(results: Baselines) -> None:
    assert results.difference(VECTORS, WORDS, "recall@5", "paraphrase").delta >= 0.10


@pytest.mark.parametrize("hybrid", ["convex", "rrf"])
def test_a_hybrid_beats_the_better_of_its_parts(results: Baselines, hybrid: str) -> None:
    assert results.difference(hybrid, better_part(results), "recall@5").low > 0


def test_the_hybrid_leaves_room_to_improve_and_is_worth_having(results: Baselines) -> None:
    assert 0.60 <= results.estimate("convex", "recall@5").mean <= 0.90

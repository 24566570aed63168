"""Rankings at any weight from candidates that were fetched once."""

from __future__ import annotations

import numpy as np

from coursekit.sweep import IndexRow, WeightSweep

ROWS = [
    IndexRow(1, "a", ("all",), (1.0, 0.0)),
    IndexRow(2, "b", ("all",), (0.6, 0.8)),
    IndexRow(3, "a", ("all",), (0.0, 1.0)),
    IndexRow(4, "secret", ("vip",), (1.0, 0.0)),
]


def _sweep(**options: int) -> WeightSweep:
    sweep = WeightSweep(ROWS, **options)
    sweep.add("q", {2: 4.0, 3: 1.0}, np.array([1.0, 0.0], dtype=np.float32), ["all"])
    return sweep


def test_the_weight_decides_between_keywords_and_vectors() -> None:
    assert _sweep().ranking("q", 0.0) == ["b", "a"]
    assert _sweep().ranking("q", 1.0) == ["a", "b"]


def test_what_the_asker_may_not_read_is_no_candidate() -> None:
    assert "secret" not in _sweep().ranking("q", 1.0)


def test_candidates_are_scored_by_both_even_if_one_ranker_alone_proposed_them() -> None:
    sweep = _sweep(size=1)  # keywords propose chunk 2, vectors chunk 1
    assert sweep.ranking("q", 0.5) == ["b", "a"]  # 0.5 + 0.3 against 0.5


def test_a_question_without_a_matching_word_is_ranked_by_vectors() -> None:
    sweep = WeightSweep(ROWS)
    sweep.add("q", {}, np.array([0.0, 1.0], dtype=np.float32), ["all"])
    assert sweep.ranking("q", 0.3) == ["a", "b"]

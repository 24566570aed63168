"""How the baselines fuse two scores, checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from coursekit.corpus.baseline.fusion import by_rank, by_score, order_of

NONE = -np.inf
ALL = np.ones((1, 3), dtype=bool)


def _row(*scores: float) -> np.ndarray:
    return np.array([scores], dtype=float)


def test_equal_scores_keep_the_order_of_document_ids_and_the_unfound_are_left_out() -> None:
    assert order_of(np.array([0.5, 0.7, 0.5, NONE, 0.7])) == [1, 4, 0, 2]


def test_rrf_adds_one_over_sixty_plus_rank() -> None:
    fused = by_rank([_row(3, 2, 1), _row(NONE, 9, 8)], ALL)  # ranks 1 2 3, and - 1 2
    assert fused[0] == pytest.approx([1 / 61, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62])
    assert order_of(fused[0]) == [1, 2, 0]


def test_rrf_ranks_only_what_may_be_read() -> None:
    fused = by_rank([_row(3, 2, 1)], np.array([[False, True, True]]))
    assert fused[0].tolist() == [NONE, pytest.approx(1 / 61), pytest.approx(1 / 62)]


def test_the_convex_combination_scales_each_side_to_its_own_range() -> None:
    mixed = by_score(_row(10, 5, 0.5), _row(0.2, 0.6, 0.4), ALL, alpha=0.25)
    lexical, semantic = [1, 4.5 / 9.5, 0], [0, 1, 0.5]
    assert mixed[0] == pytest.approx([0.75 * w + 0.25 * v for w, v in zip(lexical, semantic, strict=True)])


def test_a_document_that_shares_no_word_has_zero_on_the_side_of_words() -> None:
    mixed = by_score(_row(8, 4, NONE), _row(0.1, 0.2, 0.3), ALL, alpha=0.0)
    assert mixed[0] == pytest.approx([1, 0.5, 0])


def test_the_range_is_that_of_the_documents_that_may_be_read() -> None:
    mixed = by_score(_row(100, 2, 1), _row(0.9, 0.2, 0.1), np.array([[False, True, True]]), alpha=0.5)
    assert mixed[0].tolist() == [NONE, pytest.approx(1), pytest.approx(0)]


def test_nothing_found_and_all_equal_are_no_division_by_zero() -> None:
    assert by_score(_row(NONE, NONE, NONE), _row(0.4, 0.4, 0.4), ALL, alpha=0.5)[0] == pytest.approx([0.5] * 3)
    assert (by_score(_row(NONE, NONE, NONE), _row(NONE, NONE, NONE), ALL, alpha=0.5) == NONE).all()


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, [0, 1, 2]), (1.0, [2, 1, 0])])
def test_alpha_is_the_weight_of_the_vectors(alpha: float, expected: list[int]) -> None:
    assert order_of(by_score(_row(3, 2, 1), _row(0.1, 0.2, 0.3), ALL, alpha)[0]) == expected

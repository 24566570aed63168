"""Measured searches are compared with the truth that an exact search in numpy gives."""

from __future__ import annotations

import numpy as np

from coursekit.searches import mean_recall, stopwatch, true_tens


def test_the_truth_is_the_ten_of_the_largest_inner_product_known_by_row_plus_one() -> None:
    chance = np.random.default_rng(3)
    vectors, queries = chance.normal(size=(400, 8)), chance.normal(size=(5, 8))
    wanted = [set((np.argsort(-vectors @ query)[:10] + 1).tolist()) for query in queries]
    assert true_tens(list(queries), vectors) == wanted


def test_the_truth_stays_among_the_rows_that_count() -> None:
    vectors = np.eye(20)
    some = np.arange(1, 20, 3)
    assert true_tens([np.ones(20)], vectors, some) == [set((some + 1).tolist())], "fewer than ten: all of them"
    many = np.arange(5, 20)
    (truth,) = true_tens([np.arange(20.0)], vectors, many)
    assert truth == set(range(11, 21))


def test_rows_as_near_as_the_tenth_are_right_too() -> None:
    vectors = np.repeat(np.eye(3), 6, axis=0)
    (truth,) = true_tens([np.array([2.0, 1.0, 0.0])], vectors)
    assert truth == set(range(1, 13))
    assert mean_recall([range(1, 11)], [truth]) == mean_recall([range(3, 13)], [truth]) == 1.0


def test_recall_is_the_mean_share_of_the_truth_that_was_found() -> None:
    assert mean_recall([[1, 2, 3], [], [7]], [{1, 2}, {5}, {7, 8}]) == 0.5


def test_a_stopwatch_gives_what_was_found_and_the_time() -> None:
    found, ms = stopwatch(lambda: (3, 4))
    assert found == [3, 4] and ms >= 0

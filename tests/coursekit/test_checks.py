"""Checks: a right answer passes whatever its kind, a wrong one fails with a message that helps, hidden values stay hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from coursekit.checks import WITHHELD, Check, CheckFailed
from coursekit.comparing import differences

WHY_AND_HINT = {"why": "because", "hint": "look"}


@dataclass
class Point:
    x: float
    label: str


def add(a: float, b: float) -> float:
    return a + b


def _message(body: Any) -> str:
    with pytest.raises(CheckFailed) as caught, Check("a1-add-basic") as check:
        body(check)
    return str(caught.value)


def test_a_passed_check_prints_one_line_and_nothing_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with Check("a1-add-basic") as check:
        check.call(add, 1, 2).equals(3, **WHY_AND_HINT)
        with check.hidden():
            check.call(add, 5, 6).equals(11, **WHY_AND_HINT)
    out, err = capsys.readouterr()
    assert out == "✓ a1-add-basic: public checks passed (1), hidden tests passed (1)\n"
    assert err == ""


def test_a_failure_names_the_call_the_expected_and_the_actual_value_the_reason_and_a_hint() -> None:
    message = _message(lambda check: check.call(add, 1, b=2).equals(4, why="1 + 3", hint="count", problem="wrong sum"))
    assert message.splitlines() == [
        "a1-add-basic: wrong sum",
        "  called    add(1, b=2)",
        "  expected  4",
        "  got       3",
        "  why       1 + 3",
        "  try       count",
    ]


def test_a_hidden_failure_withholds_every_value() -> None:
    def body(check: Check) -> None:
        with check.hidden():
            check.call(add, 12345, 1).equals(777, why="sums add up", hint="add")

    message = _message(body)
    assert message.count(WITHHELD) == 3
    assert not any(value in message for value in ("12345", "777", "12346"))


def test_the_same_wrong_answer_always_gives_the_same_message() -> None:
    def wrong(_: Any) -> object:
        return object()

    bodies = [_message(lambda check: check.call(wrong, {"b", "a"}).equals(1, **WHY_AND_HINT)) for _ in range(2)]
    assert bodies[0] == bodies[1]
    assert "0x" not in bodies[0]


def test_an_exception_in_the_learners_function_is_reported_not_propagated() -> None:
    message = _message(lambda check: check.call(add, 1, "x").equals(4, **WHY_AND_HINT))
    assert "TypeError" in message and "the call raised an exception" in message


def test_an_unsolved_exercise_raises_not_implemented() -> None:
    def unsolved() -> None:
        raise NotImplementedError("a1-add is not solved yet")

    with pytest.raises(NotImplementedError, match="a1-add"), Check("a1-add-basic") as check:
        check.call(unsolved).equals(1, **WHY_AND_HINT)


def test_a_name_that_is_missing_sends_the_reader_to_the_cells_above() -> None:
    def uses_a_missing_constant() -> int:
        return NOT_DEFINED  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(CheckFailed, match="run the cells above"), Check("a1-add-basic"):
        not_there(1)  # type: ignore[name-defined]  # noqa: F821
    message = _message(lambda check: check.call(uses_a_missing_constant).equals(1, **WHY_AND_HINT))
    assert "NOT_DEFINED" in message and "run the cells above" in message


def test_expected_errors_are_compared_by_name_and_words() -> None:
    def fails() -> None:
        raise ValueError("k must be positive, got 0")

    with Check("a1-add-basic") as check:
        check.call(fails).raises(ValueError, mentions=("k", "0"), **WHY_AND_HINT)
    assert "no error raised" in _message(lambda c: c.call(add, 1, 2).raises(ValueError, **WHY_AND_HINT))
    assert "wrong error" in _message(lambda c: c.call(fails).raises(KeyError, **WHY_AND_HINT))
    assert "wrong error" in _message(lambda c: c.call(fails).raises(ValueError, mentions=("limit",), **WHY_AND_HINT))


def test_arguments_are_copied_so_that_a_mutating_answer_cannot_change_the_next_call() -> None:
    def drain(items: list[int]) -> int:
        total = sum(items)
        items.clear()
        return total

    numbers = [1, 2]
    with Check("a1-add-basic") as check:
        check.call(drain, numbers).equals(3, **WHY_AND_HINT)
        check.call(drain, numbers).equals(3, **WHY_AND_HINT)
    assert numbers == [1, 2]


def test_attributes_and_predicates_can_be_required() -> None:
    with Check("a1-add-basic") as check:
        check.observe("a point", Point(1.0, "p")).has(x=1, label="p", **WHY_AND_HINT)
        check.call(add, 1, 2).satisfies(lambda v: v > 2, expected="more than 2", **WHY_AND_HINT)
        check.that(True, called="x", expected="y", got="z", problem="none", **WHY_AND_HINT)
    assert "without the attribute y" in _message(lambda c: c.observe("p", Point(1, "p")).has(y=2, **WHY_AND_HINT))
    assert "more than 9" in _message(
        lambda c: c.call(add, 1, 2).satisfies(lambda v: v > 9, expected="more than 9", **WHY_AND_HINT)
    )


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ([1, 2], (1, 2)),
        ([1.0, 2.0], np.array([1.0, 2.0])),
        (3, np.int64(3)),
        ({"x": 1.0, "label": "p"}, Point(1.0, "p")),
        ({"a", "b"}, {"b", "a"}),
        (1, 1.0),
    ],
)
def test_equal_values_of_other_kinds_count_as_equal(expected: object, got: object) -> None:
    assert differences(expected, got) == ""


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        (1, True),
        (0, False),
        (None, 0),
        ([1, 2], [1, 2, 3]),
        ([1, 2], "12"),
        ("1", 1),
        (1.0, float("nan")),
        (float("nan"), float("nan")),
        ({"a": 1}, {"a": 1, "b": 2}),
        (b"a", "a"),
    ],
)
def test_values_that_only_look_alike_are_different(expected: object, got: object) -> None:
    assert differences(expected, got) != ""


def test_an_answer_that_claims_to_equal_everything_does_not() -> None:
    class Liar:
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    class LyingInt(int):
        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    assert differences(4, Liar()) != ""
    assert differences(4, LyingInt(5)) != ""


def test_tolerance_is_absolute_and_only_where_asked_for() -> None:
    assert differences(0.1 + 0.2, 0.3, tolerance=1e-9) == ""
    assert differences(0.1 + 0.2, 0.3) != ""

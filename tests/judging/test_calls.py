"""Calls in both directions: arguments changed in place, iterators, callbacks, threads."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from coursekit.grading.judging.peer import Gone
from tests.judging.two_sides import TwoSides


def test_changed_arguments_come_back_in_place_down_to_nested_containers(sides: TwoSides) -> None:
    sides.define(
        "def fill(rows, seen, options):\n    rows[0].append(9)\n    rows.append([])\n    seen.add(2)\n    options['k'] = rows"
    )
    inner, seen = [1], {1}
    rows, options = [inner], {"old": 0}
    sides["fill"](rows, seen, options=options)
    assert (rows, seen, options) == ([[1, 9], []], {1, 2}, {"old": 0, "k": [[1, 9], []]})
    assert rows[0] is inner and inner == [1, 9]


def test_an_argument_that_is_returned_is_the_same_object(sides: TwoSides) -> None:
    sides.define("def sort(values):\n    values.sort()\n    return values\ndef copy(values): return list(values)")
    values = [3, 1, 2]
    assert sides["sort"](values) is values and values == [1, 2, 3]
    assert sides["copy"](values) is not values


def test_changes_come_back_when_the_call_raises(sides: TwoSides) -> None:
    sides.define("def half(values):\n    values.pop()\n    raise ValueError('enough')")
    values = [1, 2]
    with pytest.raises(ValueError, match="enough"):
        sides["half"](values)
    assert values == [1]


GENERATORS = """
log = []
def count():
    try:
        for number in range(10**9):
            log.append(number)
            yield number
    finally:
        log.append("closed")
def total():
    sum_ = 0
    while (value := (yield sum_)) is not None:
        sum_ += value
    return sum_
def pairs(rows):
    for row in rows:
        yield row, row * 2
"""


def test_generators_are_lazy_and_can_be_closed(sides: TwoSides) -> None:
    sides.define(GENERATORS)
    numbers = sides["count"]()
    assert sides["log"] == []
    assert list(itertools.islice(numbers, 3)) == [0, 1, 2]
    numbers.close()
    assert sides["log"] == [0, 1, 2, "closed"]


def test_generators_take_values_and_return_one(sides: TwoSides) -> None:
    sides.define(GENERATORS)
    total = sides["total"]()
    assert [next(total), total.send(3), total.send(4)] == [0, 3, 7]
    with pytest.raises(StopIteration) as stop:
        total.send(None)
    assert stop.value.value == 7

    def outer() -> Generator[Any, Any, None]:
        yield (yield from sides["total"]())

    whole = outer()
    assert [next(whole), whole.send(5), next(whole)] == [0, 5, 5]


def test_the_checks_own_generator_is_read_as_it_is_needed(sides: TwoSides) -> None:
    sides.define(GENERATORS)
    asked = []

    def rows() -> Iterator[int]:
        for row in range(100):
            asked.append(row)
            yield row

    pairs = sides["pairs"](rows())
    assert [next(pairs), next(pairs)] == [(0, 0), (1, 2)]
    assert asked == [0, 1]


def test_an_endless_generator_is_bounded_by_the_checks_time(sides: TwoSides) -> None:
    sides.define(GENERATORS)
    sides.judge.deadline = time.monotonic() + 0.3
    with pytest.raises(Gone, match="its time is over"):
        list(sides["count"]())


def test_callbacks_are_called_here_with_keywords_and_further_callbacks(sides: TwoSides) -> None:
    sides.define("def twice(step, value, **options): return step(lambda x: x * 10, step(None, value), **options)")
    calls = []

    def step(inner: Any, value: int, *, extra: int = 0) -> int:
        calls.append(value)
        return inner(value) + extra if inner else value + 1

    assert sides["twice"](step, 4, extra=2) == 52
    assert calls == [4, 5]


def test_what_a_callback_raises_can_be_caught_there_and_arrives_as_itself(sides: TwoSides) -> None:
    sides.define(
        "def guard(action):\n    try:\n        action()\n    except ValueError as error:\n        return type(error), error.args, error.code\n"
        "def pass_on(action): action()"
    )
    error: Any = ValueError("bad", 7)
    error.code = 422

    def fail() -> None:
        raise error

    assert sides["guard"](fail) == (ValueError, ("bad", 7), 422)
    with pytest.raises(ValueError) as caught:
        sides["pass_on"](fail)
    assert caught.value is error


def test_methods_partials_and_builtins_can_be_passed_in(sides: TwoSides) -> None:
    sides.define("def apply(function, *args): return function(*args)")
    calls: list[int] = []
    apply = sides["apply"]
    apply(calls.append, 3)
    assert calls == [3]
    assert apply(functools.partial(pow, 2), 5) == 32
    assert (apply(len, "abc"), apply(int, "7"), apply(str.upper, "x"), apply(sorted, [2, 1])) == (3, 7, "X", [1, 2])


def test_methods_partials_and_caches_come_out(sides: TwoSides) -> None:
    sides.define(
        "import functools\nvalues = []\nadd = values.append\npower = functools.partial(pow, 2)\n"
        "@functools.lru_cache\ndef square(x): return x * x\nsmall = lambda x: x - 1"
    )
    sides["add"](3)
    assert sides["values"] == [3]
    assert (sides["power"](5), sides["square"](4), sides["small"](2)) == (32, 16, 1)
    assert sides["square"].cache_info().misses == 1
    assert sides["square"].__name__ == "square"


def test_a_callback_may_run_in_the_learners_threads(sides: TwoSides) -> None:
    sides.define(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def spread(work, items):\n    with ThreadPoolExecutor(4) as pool:\n        return list(pool.map(work, items))"
    )
    barrier = threading.Barrier(4, timeout=10)

    def work(item: int) -> int:
        barrier.wait()  # all four at the same time, or nobody
        return item * 2

    assert sides["spread"](work, range(4)) == [0, 2, 4, 6]


def test_a_check_may_call_from_threads(sides: TwoSides) -> None:
    sides.define(
        "import threading\nbarrier = threading.Barrier(4, timeout=10)\ndef meet(x, back):\n    barrier.wait()\n    return back(x)"
    )
    meet, results = sides["meet"], {}

    def call(number: int) -> None:
        results[number] = meet(number, lambda x: x + 1)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == {0: 1, 1: 2, 2: 3, 3: 4}


def test_context_managers_enter_leave_and_see_exceptions(sides: TwoSides) -> None:
    sides.define(
        "from contextlib import contextmanager\nlog = []\n"
        "@contextmanager\ndef guarded(name):\n    log.append(name)\n    try:\n        yield name.upper()\n"
        "    except ValueError as error:\n        log.append(str(error))\n    finally:\n        log.append('left')"
    )
    with sides["guarded"]("a") as name:
        assert name == "A"
        raise ValueError("swallowed")
    with pytest.raises(KeyError), sides["guarded"]("b"):
        raise KeyError("through")
    assert sides["log"] == ["a", "swallowed", "left", "b", "left"]

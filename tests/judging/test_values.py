"""Plain data crosses by value, both ways, exactly as it was."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions
import math
import pathlib
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coursekit.grading.judging.values import MAX_DEPTH, CannotCross
from tests.judging.two_sides import TwoSides

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.dates()
    | st.datetimes()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
)
KEYS = st.text() | st.integers() | st.tuples(st.integers(), st.text())
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=DATA)
def test_plain_data_comes_back_as_it_went(sides: TwoSides, value: Any) -> None:
    got = sides.there_and_back((value,))[0]
    assert repr(got) == repr(value) or got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        10**400,
        -(2**62),
        2**62 - 1,
        -0.0,
        math.inf,
        "\ud800 alone, and \x00",
        bytearray(b"\x00\xff"),
        range(10, 0, -3),
        collections.deque([1, 2], maxlen=2),
        collections.Counter("abca"),
        collections.OrderedDict(b=1, a=2),
        decimal.Decimal("-1.50E+9"),
        fractions.Fraction(1, 3),
        pathlib.Path("a") / "b.txt",
        uuid.UUID(int=7),
        dt.datetime(2026, 3, 29, 2, 30, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        dt.UTC,
        dt.time(23, 59, 59, 1, tzinfo=dt.UTC),
        complex(1, -2),
        int,
        type(None),
        ConnectionError,
    ],
    ids=repr,
)
def test_the_odd_ones_cross_too(sides: TwoSides, value: object) -> None:
    got = sides.there_and_back(value)
    assert (repr(got), type(got)) == (repr(value), type(value))
    assert got == value


def test_nan_arrives_as_nan(sides: TwoSides) -> None:
    assert math.isnan(sides.there_and_back(math.nan))
    assert sides.there_and_back(decimal.Decimal("NaN")).is_nan()


def test_a_defaultdict_keeps_its_factory(sides: TwoSides) -> None:
    got = sides.there_and_back(collections.defaultdict(list, a=[1]))
    got["new"].append(2)
    assert got == {"a": [1], "new": [2]}


def test_the_learner_can_use_the_methods_of_a_typed_dict(sides: TwoSides) -> None:
    sides.define("def most(counter): return counter.most_common(1)")
    assert sides["most"](collections.Counter("abca")) == [("a", 2)]


def test_a_subclass_of_a_plain_type_arrives_as_the_plain_type(sides: TwoSides) -> None:
    sides.define(
        "class Text(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\n"
        "class Number(int):\n    def __eq__(self, other): return True\n"
        "def answers(): return [Text('a'), Number(3)]"
    )
    text, number = sides["answers"]()
    assert (type(text), type(number)) == (str, int)
    assert text != "b" and number != 4


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 5_000])
def test_data_that_is_too_deep_is_refused_with_a_reason(sides: TwoSides, depth: int) -> None:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    with pytest.raises(CannotCross, match=f"deeper than {MAX_DEPTH} levels"):
        sides.there_and_back(value)


def test_a_cycle_is_refused_in_both_directions(sides: TwoSides) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(CannotCross, match="deeper than"):
        sides.there_and_back(cycle)
    sides.define("def circle():\n    ring = {}\n    ring['again'] = ring\n    return ring")
    with pytest.raises(CannotCross, match="deeper than"):
        sides["circle"]()


def test_what_is_too_large_is_refused_and_the_channel_goes_on(sides: TwoSides) -> None:
    sides.define("def size(text): return len(text)\ndef big(): return 'x' * 70_000_000")
    with pytest.raises(CannotCross, match="too much for the channel"):
        sides["size"]("x" * 70_000_000)
    with pytest.raises(CannotCross, match="too large for the channel"):
        sides["big"]()
    assert sides["size"]("abc") == 3

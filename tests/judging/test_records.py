"""Dataclasses, pydantic models, named tuples and enums, of the learner's cells and of given cells."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import pydantic
import pytest

from tests.judging.two_sides import TwoSides

DATACLASSES = """
from dataclasses import dataclass, field
@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0
@dataclass(order=True)
class Shape:
    name: str
    corners: list[Point] = field(default_factory=list)
@dataclass
class Account:
    owner: str
    balance: int = 0
    log: list = field(default_factory=list)
    def deposit(self, amount): self.balance += amount
def triangle(): return Shape("triangle", [Point(0), Point(1), Point(0, 1)])
def open_account(owner): return Account(owner)
def book(account, amount):
    account.deposit(amount)
    account.log.append(amount)
    return account
def kind(value): return type(value).__name__, isinstance(value, Point)
"""


def test_a_record_of_the_learners_compares_as_dataclasses_do(sides: TwoSides) -> None:
    sides.define(DATACLASSES)
    point, shape = sides["Point"], sides["triangle"]()
    assert point(1, 2) == point(1, 2) != point(1, 3)
    assert len({point(1), point(1), point(2)}) == 2
    assert shape.corners[2] == point(0, 1)
    assert dataclasses.asdict(shape) == {
        "name": "triangle",
        "corners": [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"x": 0, "y": 1}],
    }
    assert sorted([sides["Shape"]("b"), sides["Shape"]("a")])[0].name == "a"
    assert isinstance(point(1), point) and not isinstance(shape, point)
    assert repr(point(1, 2)) == "Point(x=1, y=2)"


def test_a_frozen_record_stays_frozen_and_goes_home_as_itself(sides: TwoSides) -> None:
    sides.define(DATACLASSES)
    point = sides["Point"](1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2
    assert sides["kind"](point) == ("Point", True)


def test_a_record_with_methods_stays_there_and_keeps_its_state(sides: TwoSides) -> None:
    sides.define(DATACLASSES)
    account = sides["open_account"]("ada")
    account.deposit(5)
    assert sides["book"](account, 3) is account
    assert (account.balance, account.log, account.owner) == (8, [3], "ada")
    account.owner = "bob"
    assert sides["book"](account, 0).owner == "bob"


def test_a_record_of_a_given_class_is_changed_in_place(sides: TwoSides) -> None:
    sides.given(DATACLASSES)
    account = sides.judge_names["Account"]("ada")
    assert sides["book"](account, 4) is account
    assert (account.balance, account.log) == (4, [4])
    made = sides["open_account"]("eve")
    assert isinstance(made, sides.judge_names["Account"])
    assert made == sides.judge_names["Account"]("eve") and sides.judge_names["Account"]("eve") == made


def test_nested_records_of_given_classes_arrive_as_those_classes(sides: TwoSides) -> None:
    sides.given(DATACLASSES)
    shape = sides["triangle"]()
    assert type(shape) is sides.judge_names["Shape"]
    assert shape.corners[1] == sides.judge_names["Point"](1)


MODELS = """
from pydantic import BaseModel, ConfigDict, Field
class Line(BaseModel):
    model_config = ConfigDict(frozen=True)
    text: str
    count: int = Field(ge=0, default=1)
class Order(BaseModel):
    lines: list[Line]
    note: str | None = None
    def total(self): return sum(line.count for line in self.lines)
def order(): return Order(lines=[Line(text="tea", count=2), Line(text="jam")])
def add(order, text):
    order.lines.append(Line(text=text))
    order.note = "more"
    return order
"""


@pytest.mark.parametrize("is_given", [False, True], ids=["learner's", "given"])
def test_pydantic_models_keep_fields_methods_and_identity(sides: TwoSides, is_given: bool) -> None:
    (sides.given if is_given else sides.define)(MODELS)
    order = sides["order"]()
    assert order.total() == 3 and order.lines[0].text == "tea"
    assert order.model_dump() == {"lines": [{"text": "tea", "count": 2}, {"text": "jam", "count": 1}], "note": None}
    assert sides["add"](order, "bun") is order
    assert order.note == "more" and order.total() == 4
    kind = sides.judge_names["Order"] if is_given else sides["Order"]
    assert isinstance(order, kind)
    assert kind(lines=[]) == kind(lines=[])


@pytest.mark.parametrize("is_given", [False, True], ids=["learner's", "given"])
def test_what_pydantic_refuses_is_a_validation_error_here_too(sides: TwoSides, is_given: bool) -> None:
    (sides.given if is_given else sides.define)(MODELS)
    line = sides.judge_names["Line"] if is_given else sides["Line"]
    with pytest.raises(pydantic.ValidationError, match="greater than or equal to 0") as caught:
        line(text="tea", count=-1)
    assert [problem["loc"] for problem in caught.value.errors()] == [("count",)]
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        line(text="tea").text = "jam"


ENUMS = """
import enum
class Colour(enum.Enum):
    RED = 1
    BLUE = "b"
class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2
class Right(enum.Flag):
    READ = 1
    WRITE = 2
class Planet(enum.Enum):
    EARTH = 1
    MARS = 2
    def moons(self): return self.value
def favourite(): return Colour.RED
def is_red(colour): return colour is Colour.RED
def rights(): return Right.READ | Right.WRITE
def named(kind): return [member.name for member in kind]
"""


@pytest.mark.parametrize("is_given", [False, True], ids=["learner's", "given"])
def test_enum_members_are_the_same_objects_on_each_side(sides: TwoSides, is_given: bool) -> None:
    (sides.given if is_given else sides.define)(ENUMS)
    colour = sides.judge_names["Colour"] if is_given else sides["Colour"]
    assert sides["favourite"]() is colour.RED
    assert sides["is_red"](colour.RED) and not sides["is_red"](colour.BLUE)
    assert issubclass(colour, enum.Enum) and [member.value for member in colour] == [1, "b"]
    assert colour("b") is colour["BLUE"]
    assert isinstance(sides["favourite"](), colour)
    level = sides.judge_names["Level"] if is_given else sides["Level"]
    assert level.HIGH > level.LOW and level.HIGH == 2
    assert sides["rights"]().value == 3
    assert sides["named"](colour) == ["RED", "BLUE"]


def test_an_enum_with_methods_is_asked_there(sides: TwoSides) -> None:
    sides.define(ENUMS)
    planet = sides["Planet"]
    assert planet.MARS.moons() == 2
    assert planet["EARTH"].name == "EARTH"
    assert [member.value for member in planet] == [1, 2]


def test_named_tuples_are_tuples_with_names(sides: TwoSides) -> None:
    sides.define(
        "from typing import NamedTuple\nclass Pair(NamedTuple):\n    left: int\n    right: str = 'r'\n"
        "def pair(): return Pair(1)\ndef is_pair(value): return isinstance(value, Pair)"
    )
    pair: Any = sides["pair"]()
    assert pair == (1, "r") and pair.right == "r" and pair._asdict() == {"left": 1, "right": "r"}
    assert sides["is_pair"](pair) and sides["is_pair"](sides["Pair"](3))

"""Exceptions keep their class, message, arguments, attributes, cause and identity."""

from __future__ import annotations

import json
from typing import Any

import httpx2 as httpx
import openai
import psycopg
import pytest

from coursekit.grading.judging.exceptions import EndedItself
from tests.judging.two_sides import TwoSides

OWN = """
class StoreError(Exception): pass
class Missing(StoreError, KeyError):
    status = 404
    def __init__(self, key, *, hint=""):
        super().__init__(f"no {key}")
        self.key, self.hint = key, hint
def look(key): raise Missing(key, hint="try b")
def wrap(action):
    try:
        action()
    except ValueError as error:
        raise StoreError("wrapped") from error
def classify(action):
    try:
        action()
    except Missing as error:
        return type(error) is Missing, error.key
    except StoreError as error:
        return type(error) is StoreError, error.args
"""


@pytest.mark.parametrize("is_given", [False, True], ids=["learner's", "given"])
def test_own_exceptions_are_caught_by_their_class_and_its_bases(sides: TwoSides, is_given: bool) -> None:
    (sides.given if is_given else sides.define)(OWN)
    names = sides.judge_names if is_given else sides
    with pytest.raises(names["Missing"], match="no a") as caught:
        sides["look"]("a")
    assert (caught.value.key, caught.value.hint, caught.value.status) == ("a", "try b", 404)
    for kind in (names["StoreError"], KeyError, LookupError):
        try:
            sides["look"]("a")
        except kind as error:
            assert isinstance(error, names["Missing"]) and type(error).__name__ == "Missing"
    assert issubclass(names["Missing"], names["StoreError"]) and names["Missing"].status == 404


@pytest.mark.parametrize("is_given", [False, True], ids=["learner's", "given"])
def test_a_check_raises_the_learners_exceptions_in_callbacks(sides: TwoSides, is_given: bool) -> None:
    (sides.given if is_given else sides.define)(OWN)
    names = sides.judge_names if is_given else sides

    def missing() -> None:
        raise names["Missing"]("a", hint="b")

    def plain() -> None:
        raise names["StoreError"]

    assert sides["classify"](missing) == (True, "a")
    assert sides["classify"](plain) == (True, ())


def test_the_cause_is_the_very_exception_that_the_check_raised(sides: TwoSides) -> None:
    sides.define(OWN)
    root = ValueError("bad", 1)

    def fail() -> None:
        raise root

    with pytest.raises(sides["StoreError"], match="wrapped") as caught:
        sides["wrap"](fail)
    assert caught.value.__cause__ is root


def _raise(error: BaseException) -> Any:
    def action() -> None:
        raise error

    return action


REQUEST = httpx.Request("GET", "http://127.0.0.1/")
ERRORS: list[Exception] = [
    ValueError({"a": [1]}, (2,)),
    KeyError("k"),
    FileNotFoundError(2, "No such file", "data.txt"),
    OSError(5, "broken"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad byte"),
    SyntaxError("odd", ("cell", 3, 1, "x = =", 3, 2)),
    json.JSONDecodeError("odd", "{", 1),
    StopIteration(7),
    ExceptionGroup("two", [ValueError("a"), KeyError("b")]),
    AssertionError(),
    httpx.ConnectError("no"),
    openai.RateLimitError("slow", response=httpx.Response(429, request=REQUEST), body=None),
    psycopg.errors.UniqueViolation("twice"),
]
TRY = "def attempt(action):\n    try:\n        action()\n    except Exception as error:\n        return type(error).__name__, str(error)\n"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_well_known_exceptions_cross_in_both_directions(sides: TwoSides, error: Exception) -> None:
    sides.define(TRY + "import copy\nkept = []\ndef again(make): raise make()")
    assert sides["attempt"](_raise(error)) == (type(error).__name__, str(error))
    with pytest.raises(type(error)) as caught:
        sides["again"](lambda: error)
    assert str(caught.value) == str(error)


MADE_THERE = {
    "open('/no/such/file')": (FileNotFoundError, "filename", "/no/such/file"),
    "b'\\xff'.decode()": (UnicodeDecodeError, "start", 0),
    "compile('x = =', 'cell', 'exec')": (SyntaxError, "lineno", 1),
    "__import__('json').loads('[')": (json.JSONDecodeError, "pos", 1),
    "int('x')": (ValueError, "args", ("invalid literal for int() with base 10: 'x'",)),
    "(_ for _ in ()).throw(ExceptionGroup('g', [ValueError(1)]))": (ExceptionGroup, "message", "g"),
}


@pytest.mark.parametrize("expression", MADE_THERE, ids=lambda text: text[:20])
def test_exceptions_made_there_have_the_attributes_of_their_class(sides: TwoSides, expression: str) -> None:
    sides.define(f"def fail(): return {expression}")
    kind, name, value = MADE_THERE[expression]
    with pytest.raises(kind) as caught:
        sides["fail"]()
    assert getattr(caught.value, name) == value


@pytest.mark.parametrize(
    "line", ["raise SystemExit(3)", "raise KeyboardInterrupt", "raise GeneratorExit", "import sys; sys.exit('x')"]
)
def test_what_ends_a_process_arrives_as_an_ordinary_error(sides: TwoSides, line: str) -> None:
    sides.define(f"def leave():\n    {line}")
    with pytest.raises(EndedItself) as caught:
        sides["leave"]()
    assert type(caught.value).__name__ in ("SystemExit", "KeyboardInterrupt", "GeneratorExit")


def test_a_cause_whose_text_counts_on_its_constructor_arrives_with_its_words(sides: TwoSides) -> None:
    sides.define(
        "import yaml\ndef read(text):\n    try:\n        return yaml.safe_load(text)\n"
        "    except yaml.YAMLError as error:\n        raise ValueError('not YAML') from error"
    )
    with pytest.raises(ValueError, match="not YAML") as caught:
        sides["read"]("a: [b")
    assert "while parsing a flow sequence" in str(caught.value.__cause__)


def test_an_exception_whose_text_fails_still_arrives(sides: TwoSides) -> None:
    sides.define(
        "class Odd(Exception):\n    def __str__(self): raise RuntimeError('no text')\ndef fail(): raise Odd(1)"
    )
    with pytest.raises(Exception, match="its text could not be had: RuntimeError"):
        sides["fail"]()

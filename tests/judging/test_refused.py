"""What never crosses: modules, frames, code; and what the judge does not believe."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest

from coursekit.grading.judging.decoding import Decoder
from coursekit.grading.judging.exceptions import EndedItself
from coursekit.grading.judging.values import CannotCross
from tests.judging.two_sides import TwoSides


def _function() -> None: ...


@pytest.mark.parametrize(
    ("passed", "expression"),
    [
        (math, "thing.pi"),
        (sys, "thing.modules"),
        (sys._getframe(), "thing.f_globals"),
        (_function, "thing.__globals__"),
        (_function, "thing.__code__"),
        (_function.__code__, "thing.co_consts"),
        (print, "thing.__self__"),
        ((row for row in "ab"), "thing.gi_frame"),
    ],
    ids=lambda item: item if isinstance(item, str) else type(item).__name__,
)
def test_a_check_that_passes_the_wrong_things_gives_nothing_away(sides: TwoSides, passed: Any, expression: str) -> None:
    sides.define(f"def pry(thing): return {expression}")
    with pytest.raises(AttributeError):
        sides["pry"](passed)


@pytest.mark.parametrize("text", ["subprocess.Popen", "type('C', (), {})", "object.__subclasses__", "eval", "open"])
def test_what_the_learner_names_runs_there_never_here(sides: TwoSides, text: str) -> None:
    sides.define(f"import subprocess\nanswer = {text}")
    answer = sides["answer"]
    assert answer not in (subprocess.Popen, eval, open)
    assert type(answer).__module__ == "coursekit.grading.judging.proxies"


FORGED: list[Any] = [
    {"$": "record", "class": ["__main__", "P"], "frozen": False, "eq": True, "order": False, "v": [["__class__", 1]]},
    {"$": "record", "class": ["__main__", "a b"], "frozen": True, "eq": True, "order": False, "v": []},
    {"$": "record", "class": ["__main__", "P"], "v": [["x", 1]]},
    {"$": "enum", "class": ["__main__", "E"], "name": "A", "v": 1, "base": "object", "members": []},
    {"$": "array", "dtype": "O", "shape": [1], "v": ""},
    {"$": "array", "dtype": "<i8", "shape": [10**9], "v": ""},
    {"$": "frame", "labels": [], "v": []},
    {"$": "dict", "v": [[[1], 2]]},
    {"$": "set", "v": [{"$": "dict", "v": []}]},
    {"$": "own", "n": 12345},
    {"$": "given", "n": 7},
    {"$": "datetime", "v": "never"},
    {"$": "path", "v": "a\0b", "x": 1, "$$": 2} | {"$": "nothing"},
    {"$": "address", "kind": "Connection", "url": "postgresql:///postgres", "autocommit": True},
    {"v": 1},
]


@pytest.mark.parametrize("data", FORGED, ids=lambda data: str(data)[:45])
def test_forged_values_are_refused(sides: TwoSides, data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from coursekit.grading.judging import addresses

    monkeypatch.setattr(addresses, "accept", lambda kind, fields: False)
    with pytest.raises(CannotCross):
        Decoder(sides.judge).decode(data)


def test_a_forged_answer_is_the_learners_failure_and_the_channel_goes_on(sides: TwoSides) -> None:
    sides.define(
        "def answer():\n    import coursekit.grading.judging.encoding as values\n    old = values.Encoder.encode\n"
        "    def forge(self, value, depth=0):\n        values.Encoder.encode = old\n        return {'$': 'own', 'n': 4711}\n"
        "    values.Encoder.encode = forge\n    return 1\ndef fine(): return 2"
    )
    with pytest.raises(EndedItself, match="cannot be read"):
        sides["answer"]()
    assert sides["fine"]() == 2

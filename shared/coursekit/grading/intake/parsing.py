"""Text becomes JSON data within limits: depth, number of values, length of numbers.

Mends what has one reading only: NaN, raw line breaks in strings, a comma before a closing bracket, text after the end.
Linear in the text's length; `measure` refuses what would need much memory before anything is built.
"""

from __future__ import annotations

import json
import re
from typing import Any

from coursekit.grading.intake.decoding import INSTEAD, Refused, what_it_is

MAX_DEPTH = 200
MAX_WEIGHT = 3_000_000  # values, containers counted thrice: about 200 MB of Python objects
MAX_DIGITS = 4000  # Python itself refuses more than 4300

_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+'
_TOKEN = re.compile(_STRING + r'("?)|([\[{])|([\]}])|(,)', re.DOTALL)
_SPARE_COMMA = re.compile(f'({_STRING}")' + r"|,(?=\s*[\]}])", re.DOTALL)
_SPACE = " \t\r\n\x00\x1a\ufeff"


class _HugeNumber(Exception):
    pass


def parse(text: str) -> tuple[Any, list[str]]:
    """The JSON value at the start of `text`, and what had to be mended.

    Raises:
        Refused: not JSON, truncated, or beyond a limit.
    """
    text = text.lstrip(_SPACE)
    if text[:1] not in ("{", "["):
        raise Refused(what_it_is(text))
    end = measure(text)
    repairs: list[str] = []
    try:
        data = _load(text[:end], repairs)
    except _HugeNumber:
        raise Refused(f"The file holds a number of more than {MAX_DIGITS} digits: {INSTEAD}.") from None
    except RecursionError:
        raise Refused(f"The file is nested too deeply for a notebook: {INSTEAD}.") from None
    except json.JSONDecodeError as error:
        raise Refused(f"The file is not JSON any more (line {error.lineno}: {error.msg}): {INSTEAD}.") from None
    rest = text[end:].strip(_SPACE)
    if rest:
        if rest.startswith("{") and '"cells"' in rest and rest != text[:end].strip(_SPACE):
            raise Refused("The file holds a second notebook after the first one: hand in one of them.")
        repairs.append("there was text after the notebook's end")
    return data, repairs


def measure(text: str) -> int:
    """Where the first JSON value of `text` ends.

    Raises:
        Refused: it does not end, nests deeper than MAX_DEPTH or weighs more than MAX_WEIGHT.
    """
    depth = weight = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastindex
        weight += 1
        if kind == 1 and not token[1]:
            break
        if kind == 2:
            depth += 1
            weight += 2
            if depth > MAX_DEPTH:
                raise Refused(f"The file is nested too deeply for a notebook: {INSTEAD}.")
        elif kind == 3:
            depth -= 1
            if depth <= 0:
                return token.end()
        if weight > MAX_WEIGHT:
            raise Refused(f"The file holds more values than a notebook can: clear all outputs, then {INSTEAD}.")
    raise Refused(f"The file breaks off in the middle (truncated, perhaps while copying): {INSTEAD}.")


def _load(text: str, repairs: list[str]) -> Any:
    def constant(name: str) -> None:
        if "NaN or Infinity stood where JSON has none" not in repairs:
            repairs.append("NaN or Infinity stood where JSON has none")

    def load(text: str, *, strict: bool) -> Any:
        return json.loads(text, parse_constant=constant, parse_int=_integer, strict=strict)

    try:
        return load(text, strict=True)
    except json.JSONDecodeError:
        without = _SPARE_COMMA.sub(lambda match: match[1] or "", text)
        data = load(without, strict=False)
    repairs.append("a comma stood before a closing bracket" if without != text else "strings held raw line breaks")
    return data


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise _HugeNumber
    return int(digits)

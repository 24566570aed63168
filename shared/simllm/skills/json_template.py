"""An object as prompts show it, read leniently: `{"items": [{"name": string, "qty": number}], "kind": one of "a", "b"}`.

What is no JSON is read all the same: bare words for types, options after "one of", comments in angle brackets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

DEEPEST = 6  # objects inside each other
_KEY = re.compile(r"\s*(?:([\"'`])([A-Za-z_][\w -]{0,40})\1|([A-Za-z_][\w-]{0,40}))\s*:")
_NEXT = re.compile(
    r"\s*(?:[\"'`][A-Za-z_][\w -]{0,40}[\"'`]|[A-Za-z_]\w{0,40})\s*:|\s*(?:\.\.\.|…)?\s*[}\]]|\s*(?:\.\.\.|…)"
)
_SKIP = re.compile(r"(?:\s|,|;|\.\.\.|…|//[^\n]*)*")
_OPEN, _CLOSE = "[{(<", "]})>"
Shown = Callable[[str, str], dict[str, Any]]


def find_template(text: str, shown: Shown) -> tuple[dict[str, Any], int, int] | None:
    """(schema, start, end) of the first object that a text shows; None where it shows none.

    Args:
        text: a prompt's instructions.
        shown: the schema of a key by the way its plain value is written.
    """
    for start in (found.start() for found in re.finditer(r"\{", text)):
        made = _object(text, start, shown, 0)
        if made is not None and made[0]["properties"]:
            return made[0], start, made[1]
    return None


def _object(text: str, start: int, shown: Shown, depth: int) -> tuple[dict[str, Any], int] | None:
    properties: dict[str, Any] = {}
    at = start + 1
    while depth < DEEPEST:
        at = _SKIP.match(text, at).end()  # type: ignore[union-attr]
        if text[at : at + 1] == "}":
            return {"type": "object", "properties": properties, "required": list(properties)}, at + 1
        key = _KEY.match(text, at)
        if key is None:
            return None
        name = key.group(2) or key.group(3)
        made = _value(text, key.end(), name, shown, depth)
        if made is None:
            return None
        properties[name], at = made
    return None


def _value(text: str, at: int, name: str, shown: Shown, depth: int) -> tuple[dict[str, Any], int] | None:
    at += len(text[at:]) - len(text[at:].lstrip())
    if text[at : at + 1] == "{":
        return _object(text, at, shown, depth + 1)
    listed = re.compile(r"\[\s*\{").match(text, at)
    if listed:
        made = _object(text, listed.end() - 1, shown, depth + 1)
        end = text.find("]", made[1]) if made else -1
        return ({"type": "array", "items": made[0]}, end + 1) if made and end >= 0 else None
    close = _end_of_value(text, at)
    return None if close is None else (shown(name, text[at:close].strip()), close)


def _end_of_value(text: str, at: int) -> int | None:
    """Where a plain value ends: at the bracket that closes its object, or at a comma or line that a key follows."""
    depth, quoted = 0, ""
    for i in range(at, min(len(text), at + 600)):
        char = text[i]
        if quoted:
            quoted = "" if char == quoted else quoted
        elif char == '"' or char == "'" and not text[i - 1].isalnum():
            quoted = char
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE and depth:
            depth -= 1
        elif char in "}]" or depth == 0 and char in ",\n;" and _NEXT.match(text, i + 1):
            return i
    return None

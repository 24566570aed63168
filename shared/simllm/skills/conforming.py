"""Make a value fit its schema, or make one up.

Constrained decoding guarantees a valid reply whatever the model believes; this is that guarantee for values: bounds,
lengths, formats and patterns are met, missing required parts are invented. What is invented depends only on the
schema and a seed text, so it is stable. Reads no prompt.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from re import _constants, _parser  # type: ignore[attr-defined]  # the only parser of Python's own pattern syntax
from typing import Any

from simllm.schema import schema_types

_PLAUSIBLE = {
    "date": "2025-01-15",
    "date-time": "2025-01-15T09:00:00Z",
    "time": "09:00:00",
    "email": "info@example.com",
    "uri": "https://example.com",
    "url": "https://example.com",
    "uri-reference": "https://example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "hostname": "example.com",
    "duration": "PT1H",
    "uuid": "3f2b8c1e-4d5a-4e6f-8a9b-0c1d2e3f4a5b",
}
_FORMATS = {
    "date": re.compile(r"\d{4}-\d\d-\d\d"),
    "date-time": re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)?"),
    "time": re.compile(r"\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)?"),
    "email": re.compile(r"[^@\s]+@[^@\s]+"),
    "uri": re.compile(r"[a-zA-Z][\w+.-]*:\S+"),
    "url": re.compile(r"[a-zA-Z][\w+.-]*:\S+"),
    "ipv4": re.compile(r"(?:\d{1,3}\.){3}\d{1,3}"),
    "ipv6": re.compile(r"[0-9a-fA-F:]+"),
    "uuid": re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
}


def fits_text(text: str, schema: Mapping[str, Any]) -> bool:
    """Whether a string meets a schema's pattern, format and lengths."""
    form = _FORMATS.get(str(schema.get("format")))
    if form is not None and not form.fullmatch(text):
        return False
    if not schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", math.inf):
        return False
    try:
        return "pattern" not in schema or re.search(str(schema["pattern"]), text) is not None
    except (re.error, RecursionError):
        return True


def bounded(value: float, schema: Mapping[str, Any], *, whole: bool) -> float | int:
    """The number nearest to `value` that a schema's bounds allow."""
    step = schema.get("multipleOf") or (1 if whole else 0)
    low = max(
        schema.get("minimum", -math.inf),
        schema.get("exclusiveMinimum", -math.inf)
        if not isinstance(schema.get("exclusiveMinimum"), bool)
        else -math.inf,
    )
    high = min(
        schema.get("maximum", math.inf),
        schema.get("exclusiveMaximum", math.inf) if not isinstance(schema.get("exclusiveMaximum"), bool) else math.inf,
    )
    if whole and step != int(step):
        step = 1
    nudge = step or 1e-6
    value = min(max(value, low), high)
    if step:
        value = round(value / step) * step
        value = (
            math.ceil(low / step) * step if value < low else math.floor(high / step) * step if value > high else value
        )
    if value == schema.get("exclusiveMinimum"):
        value += nudge
    if value == schema.get("exclusiveMaximum"):
        value -= nudge
    if whole or float(value).is_integer():
        return round(value)
    return round(value, 6)


def within(value: float, schema: Mapping[str, Any]) -> bool:
    """Whether a number meets the bounds."""
    return abs(float(bounded(value, schema, whole=False)) - value) < 1e-9


def conform_text(text: str, schema: Mapping[str, Any], seed: str = "") -> str:
    """The text if it fits; else cut or padded; else an invented one."""
    if fits_text(text, schema):
        return text
    cut = text[: schema.get("maxLength", len(text))]
    if len(cut) < schema.get("minLength", 0):
        cut = cut.ljust(schema["minLength"], ".")
    return cut if fits_text(cut, schema) else invented_text(schema, seed)


def invented_text(schema: Mapping[str, Any], seed: str = "") -> str:
    """A string that fits the schema: of its format, after its pattern, or a plain word."""
    if "pattern" in schema:
        try:
            made = _written(_parser.parse(str(schema["pattern"])), seed)
        except (re.error, RecursionError, NotImplementedError):
            made = ""
        return made
    text = _PLAUSIBLE.get(str(schema.get("format")), str(schema.get("default") or "unknown"))
    text = text[: schema.get("maxLength", len(text))]
    return text.ljust(schema.get("minLength", 0), "x")


def invented(schema: Mapping[str, Any], seed: str = "", *, empty: bool = False) -> Any:
    """A whole value that fits a schema; `empty` prefers null, "" and 0 to plausible ones."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        options = schema["enum"]
        return None if empty and None in options else options[_draw(seed, len(options))]
    if "default" in schema and not empty:
        return schema["default"]
    types = schema_types(schema)
    kind = next((kind for kind in types if kind != "null"), "null")
    if "null" in types and (empty or kind == "object") or kind == "null":
        return None
    if kind == "object":
        wanted = schema.get("required", ())
        children = schema.get("properties", {})
        return {key: invented(child, f"{seed}.{key}", empty=empty) for key, child in children.items() if key in wanted}
    if kind == "array":
        count = schema.get("minItems", 0)
        items = schema.get("items", {"type": "string"})
        return [invented(items, f"{seed}.{i}", empty=empty) for i in range(count)]
    if kind in ("number", "integer"):
        return bounded(0 if empty else 1 + _draw(seed, 9), schema, whole=kind == "integer")
    if kind == "boolean":
        return False
    if empty and fits_text("", schema):
        return ""
    return invented_text(schema, seed)


def _draw(seed: str, count: int) -> int:
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") % count


def _written(parsed: Any, seed: str) -> str:
    """One text that a parsed pattern matches (look-arounds are skipped)."""
    out = ""
    groups: dict[int, str] = {}
    for i, (op, argument) in enumerate(parsed):
        here = f"{seed}.{i}"
        if op is _constants.LITERAL:
            out += chr(argument)
        elif op is _constants.NOT_LITERAL:
            out += "a" if argument != ord("a") else "b"
        elif op is _constants.ANY:
            out += "a"
        elif op is _constants.IN:
            out += _member(argument, here)
        elif op is _constants.BRANCH:
            out += _written(argument[1][0], here)
        elif op is _constants.SUBPATTERN:
            groups[argument[0]] = _written(argument[3], here)
            out += groups[argument[0]]
        elif op is _constants.GROUPREF:
            out += groups.get(argument, "")
        elif op in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            low, high, inner = argument
            out += "".join(_written(inner, f"{here}.{k}") for k in range(max(int(low), min(1, int(high)))))
    return out


def _member(choices: Any, seed: str) -> str:
    negated = [c for c in choices if c[0] is _constants.NEGATE]
    if negated:
        banned = re.compile("[" + "".join(_class(c) for c in choices if c[0] is not _constants.NEGATE) + "]")
        return next((c for c in "aA0-_ .%" if not banned.match(c)), "a")
    op, argument = choices[0]
    if op is _constants.LITERAL:
        return chr(argument)
    if op is _constants.RANGE:
        return chr(argument[0] + _draw(seed, min(10, argument[1] - argument[0] + 1)))
    return {_constants.CATEGORY_DIGIT: str(1 + _draw(seed, 9)), _constants.CATEGORY_SPACE: " "}.get(argument, "a")


def _class(choice: Any) -> str:
    op, argument = choice
    if op is _constants.LITERAL:
        return re.escape(chr(argument))
    if op is _constants.RANGE:
        return f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
    return {_constants.CATEGORY_DIGIT: r"\d", _constants.CATEGORY_SPACE: r"\s"}.get(argument, r"\w")

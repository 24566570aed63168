"""Read a JSON body field by field, and refuse what is wrong in the real API's words.

`Fields` wraps one JSON object. Each getter checks type and range and raises an `ApiError` that names the field.
A null counts as absent, as in the real API. `check_names` refuses every field that nobody reads.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from simllm.errors import UNREADABLE, ApiError, bad_type, bad_value, missing, unknown_field, unsupported

_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_json(body: bytes) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        ApiError: 400 when it is not JSON, not UTF-8, too deep, or not an object.
    """
    try:
        data = json.loads(body.decode("utf-8"), parse_constant=_no_constants, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ApiError(400, UNREADABLE.format(reason)) from None
    if not isinstance(data, dict):
        raise bad_type("body", "an object", data)
    return data


def _no_constants(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:20]} is too large")
    return value


class Fields:
    """Typed access to one JSON object; `where` prefixes the field names in errors, e.g. "messages[0]."."""

    def __init__(self, data: Mapping[str, Any], where: str = "") -> None:
        self.data = data
        self.where = where

    def name(self, key: str) -> str:
        """The field as errors call it."""
        return f"{self.where}{key}"

    def check_names(self, known: Collection[str], not_implemented: Collection[str] = (), *, bare: bool = False) -> None:
        """Refuse fields that this server ignores: silence would look like support. `bare` as for `unknown_field`."""
        for key, value in self.data.items():
            if key in known:
                continue
            if key not in not_implemented:
                raise unknown_field(self.name(key), bare=bare)
            if value is not None:
                raise unsupported(self.name(key))

    def check_neutral(self, neutral: Mapping[str, Collection[Any]]) -> None:
        """Accept some unimplemented fields at the values that change nothing."""
        for key, values in neutral.items():
            if self.data.get(key) is not None and self.data[key] not in values:
                why = f"this simulation implements only {' or '.join(map(repr, values))}" if values else None
                raise unsupported(self.name(key), *filter(None, [why]))

    def text(self, key: str, default: str | None = None) -> str:
        """A string; required when there is no default."""
        value = self.data.get(key)
        if value is None:
            if default is None:
                raise missing(self.name(key))
            return default
        return check_text(self.name(key), value)

    def flag(self, key: str, default: bool = False) -> bool:
        """A boolean."""
        value = self.data.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise bad_type(self.name(key), "a boolean", value)
        return value

    def integer(self, key: str, low: int, high: int) -> int | None:
        """A whole number in [low, high], or None when absent."""
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise bad_type(self.name(key), "an integer", value)
        self._check_range(key, value, low, high, "integer")
        return value

    def number(self, key: str, low: float, high: float, default: float) -> float:
        """A number in [low, high]."""
        value = self.data.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad_type(self.name(key), "a decimal", value)
        self._check_range(key, value, low, high, "decimal")
        return float(value)

    def _check_range(self, key: str, value: float, low: float, high: float, kind: str) -> None:
        name = self.name(key)
        if value < low:
            message = (
                f"Invalid '{name}': {kind} below minimum value. Expected a value >= {low}, but got {value} instead."
            )
            raise bad_value(name, message, f"{kind}_below_min_value")
        if not value <= high:
            shown = value if isinstance(value, float) or value.bit_length() < 64 else "a larger one"
            message = (
                f"Invalid '{name}': {kind} above maximum value. Expected a value <= {high}, but got {shown} instead."
            )
            raise bad_value(name, message, f"{kind}_above_max_value")

    def one_of(self, key: str, allowed: Collection[str], default: str | None = None) -> str:
        """A string out of a fixed set."""
        value = self.text(key, default)
        if value not in allowed:
            *first, last = [f"'{item}'" for item in allowed]
            listed = ", ".join([*first, f"and {last}"]) if len(first) > 1 else " and ".join([*first, last])
            message = f"Invalid value: '{value}'. Supported values are: {listed}."
            raise bad_value(self.name(key), message)
        return value

    def child(self, key: str) -> Fields | None:
        """A nested object, or None when absent."""
        value = self.data.get(key)
        if value is None:
            return None
        return as_object(self.name(key), value)


def as_object(name: str, value: object) -> Fields:
    """The fields of a nested object."""
    if not isinstance(value, dict):
        raise bad_type(name, "an object", value)
    return Fields(value, f"{name}.")


def check_text(name: str, value: object) -> str:
    """A string that can be written as UTF-8."""
    if not isinstance(value, str):
        raise bad_type(name, "a string", value)
    if _SURROGATE.search(value):
        raise bad_value(name, f"Invalid '{name}': the string holds half of a UTF-16 surrogate pair.", "invalid_string")
    return value

"""Compare a learner's value with the expected one, by structure, without trusting the learner's `__eq__`.

Lists and tuples are interchangeable, numpy values count as their Python equivalents, dataclasses and pydantic models are compared as
records; a bool is never a number and 1 is 1.0. NaN equals nothing, so a NaN never passes.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np


def differences(expected: Any, got: Any, tolerance: float | None = None) -> str:
    """Where `got` first differs from `expected`, in words; an empty string when they are equal."""
    return _compare(plain(expected), plain(got), tolerance, "")


def plain(value: Any) -> Any:
    """`value` as dicts, lists, strings, numbers, booleans, bytes and None, so that only our own comparison decides."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(type(value), "model_fields") and hasattr(value, "__dict__"):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in dict.items(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return {"a set of": sorted((plain(item) for item in value), key=repr)}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    return value


def _compare(expected: Any, got: Any, tolerance: float | None, path: str) -> str:
    at = f"at {path}: " if path else ""
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None or got is None:
        return "" if expected is got else f"{at}the values differ"
    if isinstance(expected, (int, float)) and isinstance(got, (int, float)):
        return "" if _close(expected, got, tolerance) else f"{at}the values differ"
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return f"{at}{len(expected)} items expected, {len(got)} found"
        for index, (left, right) in enumerate(zip(expected, got, strict=True)):
            if found := _compare(left, right, tolerance, f"{path}[{index}]"):
                return found
        return ""
    if isinstance(expected, dict) and isinstance(got, dict):
        if missing := [key for key in expected if key not in got]:
            return f"{at}missing {', '.join(map(repr, missing))}"
        if extra := [key for key in got if key not in expected]:
            return f"{at}not expected: {', '.join(map(repr, extra))}"
        for key, left in expected.items():
            if found := _compare(left, got[key], tolerance, f"{path}[{key!r}]"):
                return found
        return ""
    if type(expected) is not type(got):
        return f"{at}{type(expected).__name__} expected, {type(got).__name__} found"
    return "" if expected == got else f"{at}the values differ"


def _close(expected: float, got: float, tolerance: float | None) -> bool:
    if math.isnan(expected) or math.isnan(got):
        return False
    if tolerance is None or math.isinf(expected) or math.isinf(got):
        return expected == got
    return abs(expected - got) <= tolerance

"""Values as JSON, for a channel whose other end may lie.

Plain data crosses by value: JSON types, tuples, sets, bytes, complex, ranges, dates and times, Decimal, Fraction, UUID, paths,
numpy arrays and scalars, pandas frames, enums, named tuples, dataclasses and pydantic models (as records), exceptions (type and message).
Everything else (functions, classes, iterators, objects with behaviour) stays on its side and crosses as a reference.

Decoding only ever builds plain values, classes that this side knows already, or empty look-alikes: no import, no call
of a constructor, no pickle.

    encoding.py, decoding.py   the two directions
    records.py                 dataclasses and models, and changes put back in place
"""

from __future__ import annotations

import datetime
import decimal
import fractions
import pathlib
import sys
import uuid
from collections.abc import Callable, Mapping
from typing import Any

MAX_DEPTH = 80
MAX_VALUES = 2_000_000

ARRAY_KINDS = "biufcSUmM"
TEXT_KINDS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "fraction": (fractions.Fraction, str, lambda text: fractions.Fraction(*map(int, text.split("/")))),
    "uuid": (uuid.UUID, str, uuid.UUID),
    "path": (pathlib.PurePath, str, pathlib.Path),
    "complex": (complex, repr, complex),
}


class CannotCross(Exception):
    """A value is too large or too deep for the channel, or is no value at all."""


class World:
    """What one side of the channel knows: its classes, and how to make and find references."""

    def __init__(self, namespace: Mapping[str, Any], keeps_own_classes: bool) -> None:
        self.namespace = namespace
        self.keeps_own_classes = keeps_own_classes
        self.shared: frozenset[str] = frozenset()  # classes of the notebook that both sides have, from given cells
        self.lookalikes: dict[Any, type] = {}

    def find_class(self, module: str, name: str) -> type | None:
        """A class that this side has already: by name in the notebook, else in a module that is imported."""
        if module == "__main__":
            found: Any = self.namespace.get(name)
        else:
            found = sys.modules.get(module)
            for part in name.split("."):
                found = getattr(found, part, None)
        return found if isinstance(found, type) else None

    def to_reference(self, value: Any) -> dict[str, Any]:
        raise NotImplementedError

    def from_reference(self, data: dict[str, Any]) -> Any:
        raise NotImplementedError

    def own(self, number: int) -> Any:
        raise NotImplementedError

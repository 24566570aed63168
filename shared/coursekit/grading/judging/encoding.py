"""From values to JSON; see `values`."""

from __future__ import annotations

import base64
import collections
import datetime
import enum
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from coursekit.grading.judging import addresses, classes, exceptions, frames
from coursekit.grading.judging.records import is_frozen, record_fields
from coursekit.grading.judging.values import ARRAY_KINDS, MAX_DEPTH, MAX_VALUES, TEXT_KINDS, CannotCross, World

_INT_LIMIT = 1 << 62


class Encoder:
    """Turns values into JSON. `containers` collects every mutable container, in the order met."""

    def __init__(self, world: World, given: Mapping[int, int] | None = None) -> None:
        self.world = world
        self.containers: list[Any] = []
        self._given = given or {}
        self._count = 0

    def encode(self, value: Any, depth: int = 0) -> Any:
        """Raises CannotCross when there is too much of it."""
        self._count += 1
        if depth > MAX_DEPTH or self._count > MAX_VALUES:
            raise CannotCross(f"a value deeper than {MAX_DEPTH} levels, or of more than {MAX_VALUES:,} parts")
        if value is None or value is True or value is False:
            return value
        if id(value) in self._given:
            return {"$": "given", "n": self._given[id(value)]}
        kind = type(value)
        if kind is str:
            return value
        if kind is float:
            return value
        if kind is int:
            return value if -_INT_LIMIT < value < _INT_LIMIT else {"$": "int", "v": hex(value)}
        if kind is list:
            self.containers.append(value)
            return [self.encode(item, depth + 1) for item in value]
        if kind is dict:
            self.containers.append(value)
            return {"$": "dict", "v": self._pairs(value, depth)}
        return self._uncommon(value, depth)

    def encode_contents(self, value: Any) -> Any:
        """A mutable container or record with what it holds now, also where it crosses as a reference otherwise."""
        fields = record_fields(value)
        return self.encode(value) if fields is None else self._record(value, fields, 0)

    def _record(self, value: Any, fields: list[str], depth: int) -> dict[str, Any]:
        kind = type(value)
        parameters = getattr(kind, "__dataclass_params__", None)
        if not is_frozen(kind):
            self.containers.append(value)
        return {
            "$": "record",
            "class": _class_name(kind),
            "frozen": is_frozen(kind),
            "eq": parameters is None or bool(parameters.eq),
            "order": parameters is not None and bool(parameters.order),
            "v": [[name, self.encode(getattr(value, name), depth + 1)] for name in fields],
        }

    def _pairs(self, value: Mapping[Any, Any], depth: int) -> list[Any]:
        items = dict.items(value) if isinstance(value, dict) else value.items()
        return [[self.encode(key, depth + 1), self.encode(item, depth + 1)] for key, item in items]

    def _uncommon(self, value: Any, depth: int) -> Any:  # noqa: C901  one branch per kind of value
        if isinstance(value, enum.Enum) and not (self.world.keeps_own_classes and classes.has_behaviour(type(value))):
            described = classes.describe_enum(type(value), self, depth) if self.world.keeps_own_classes else {}
            return {
                "$": "enum",
                "class": _class_name(type(value)),
                "name": value.name,
                "v": self.encode(value.value, depth + 1),
                **described,
            }
        if isinstance(value, np.ndarray):
            self.containers.append(value)
            return self._array(value, depth)
        if isinstance(value, np.generic):
            return {"$": "scalar", "v": self._array(np.asarray(value), depth)}
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return self.encode(int.__int__(value), depth)
        if isinstance(value, float):
            return float.__float__(value)
        if isinstance(value, (bytes, bytearray)):
            if isinstance(value, bytearray):
                self.containers.append(value)
            name = "bytearray" if isinstance(value, bytearray) else "bytes"
            return {"$": name, "v": base64.b64encode(bytes(value)).decode()}
        if isinstance(value, tuple):
            return self._tuple(value, depth)
        if isinstance(value, (set, frozenset)):
            if isinstance(value, set):
                self.containers.append(value)
            name = "set" if isinstance(value, set) else "frozenset"
            return {"$": name, "v": [self.encode(item, depth + 1) for item in value]}
        if isinstance(value, (list, collections.deque)):
            self.containers.append(value)
            return (
                [self.encode(item, depth + 1) for item in list.__iter__(value)]
                if isinstance(value, list)
                else {"$": "deque", "v": [self.encode(item, depth + 1) for item in value], "maxlen": value.maxlen}
            )
        if isinstance(value, (dict, types.MappingProxyType)):
            self.containers.append(value)
            return {"$": "dict", "v": self._pairs(value, depth), **_dict_kind(value)}
        if isinstance(value, range):
            return {"$": "range", "v": [self.encode(part) for part in (value.start, value.stop, value.step)]}
        if isinstance(value, datetime.timedelta):
            return {"$": "timedelta", "v": [value.days, value.seconds, value.microseconds]}
        table = frames.encode(value, self, depth)
        if table is not None:
            return table
        if isinstance(value, datetime.timezone):
            return {"$": "timezone", "v": self.encode(value.utcoffset(None), depth + 1)}
        for name, (kind, write, _) in TEXT_KINDS.items():
            if isinstance(value, kind):
                return {"$": name, "v": write(value)}
        if isinstance(value, BaseException):
            return exceptions.encode(value, self, depth)
        address = addresses.encode(value)
        if address is not None:
            return address
        fields = record_fields(value)
        if fields is not None and (not self.world.keeps_own_classes or self._is_value(type(value))):
            return self._record(value, fields, depth)
        return self.world.to_reference(value)

    def _is_value(self, kind: type) -> bool:
        """Does an instance on the learner's side cross as its fields? One that can do more stays, and is called there."""
        is_model = hasattr(kind, "model_fields")
        if kind.__module__ == "__main__" and kind.__qualname__ in self.world.shared:
            return is_model or is_frozen(kind) or not classes.has_behaviour(kind)
        return not is_model and not classes.has_behaviour(kind)

    def _tuple(self, value: tuple[Any, ...], depth: int) -> Any:
        items = [self.encode(item, depth + 1) for item in tuple.__iter__(value)]
        names = getattr(type(value), "_fields", None)
        if type(value) is not tuple and isinstance(names, tuple) and len(names) == len(items):
            return {"$": "namedtuple", "class": _class_name(type(value)), "names": list(names), "v": items}
        return {"$": "tuple", "v": items}

    def _array(self, value: np.ndarray, depth: int) -> Any:
        if value.dtype.kind not in ARRAY_KINDS:
            return {"$": "objects", "v": [self.encode(item, depth + 1) for item in value.tolist()]}
        plain = np.ascontiguousarray(value)
        data = base64.b64encode(plain.tobytes()).decode()
        return {"$": "array", "dtype": plain.dtype.str, "shape": list(value.shape), "v": data}


def _class_name(kind: type) -> list[str]:
    return [kind.__module__, kind.__qualname__]


def _dict_kind(value: Any) -> dict[str, Any]:
    if isinstance(value, collections.Counter):
        return {"kind": "Counter"}
    if isinstance(value, collections.OrderedDict):
        return {"kind": "OrderedDict"}
    name = getattr(getattr(value, "default_factory", None), "__name__", None)
    return {"kind": "defaultdict", "default": name} if isinstance(value, collections.defaultdict) else {}

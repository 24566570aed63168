"""Values as JSON, for a channel whose other end may lie.

Plain data crosses by value: JSON types, tuples, sets, bytes, complex, ranges, dates and times, Decimal, Fraction, UUID, paths,
numpy arrays and scalars, enums, named tuples, dataclasses and pydantic models (as records), exceptions (type and message).
Everything else (functions, classes, iterators, objects with behaviour) stays on its side and crosses as a reference.

Decoding only ever builds plain values, classes that this side knows already, or empty look-alikes: no import, no call
of a constructor, no pickle.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import keyword
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from coursekit.grading.judging import addresses, exceptions

MAX_DEPTH = 80
MAX_VALUES = 2_000_000

_INT_LIMIT = 1 << 62
_ARRAY_KINDS = "biufcSUmM"
_TEXT_KINDS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "datetime": (datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "fraction": (fractions.Fraction, str, fractions.Fraction),
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

    def _pairs(self, value: Mapping[Any, Any], depth: int) -> list[Any]:
        items = dict.items(value) if isinstance(value, dict) else value.items()
        return [[self.encode(key, depth + 1), self.encode(item, depth + 1)] for key, item in items]

    def _uncommon(self, value: Any, depth: int) -> Any:  # noqa: C901  one branch per kind of value
        if isinstance(value, enum.Enum):
            return {
                "$": "enum",
                "class": _class_name(type(value)),
                "name": value.name,
                "v": self.encode(value.value, depth + 1),
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
                else {"$": "deque", "v": [self.encode(item, depth + 1) for item in value]}
            )
        if isinstance(value, (dict, types.MappingProxyType)):
            self.containers.append(value)
            return {"$": "dict", "v": self._pairs(value, depth)}
        if isinstance(value, range):
            return {"$": "range", "v": [self.encode(part) for part in (value.start, value.stop, value.step)]}
        if isinstance(value, datetime.timedelta):
            return {"$": "timedelta", "v": [value.days, value.seconds, value.microseconds]}
        for name, (kind, write, _) in _TEXT_KINDS.items():
            if isinstance(value, kind):
                return {"$": name, "v": write(value)}
        if isinstance(value, BaseException):
            return exceptions.encode(value, self, depth)
        address = addresses.encode(value)
        if address is not None:
            return address
        fields = record_fields(value)
        if fields is not None and (_is_value(type(value)) or not self.world.keeps_own_classes):
            return {
                "$": "record",
                "class": _class_name(type(value)),
                "frozen": _is_frozen(type(value)),
                "v": [[name, self.encode(getattr(value, name), depth + 1)] for name in fields],
            }
        return self.world.to_reference(value)

    def _tuple(self, value: tuple[Any, ...], depth: int) -> Any:
        items = [self.encode(item, depth + 1) for item in tuple.__iter__(value)]
        names = getattr(type(value), "_fields", None)
        if type(value) is not tuple and isinstance(names, tuple) and len(names) == len(items):
            return {"$": "namedtuple", "class": _class_name(type(value)), "names": list(names), "v": items}
        return {"$": "tuple", "v": items}

    def _array(self, value: np.ndarray, depth: int) -> Any:
        if value.dtype.kind not in _ARRAY_KINDS:
            return {"$": "objects", "v": [self.encode(item, depth + 1) for item in value.tolist()]}
        plain = np.ascontiguousarray(value)
        data = base64.b64encode(plain.tobytes()).decode()
        return {"$": "array", "dtype": plain.dtype.str, "shape": list(value.shape), "v": data}


class Decoder:
    """Builds values from JSON. `containers` collects the mutable ones in the order of the encoder's."""

    def __init__(self, world: World, given: list[Any] | None = None) -> None:
        self.world = world
        self.containers: list[Any] = []
        self._given = given or []
        self._count = 0

    def decode(self, data: Any, depth: int = 0) -> Any:
        """Raises CannotCross for anything that no encoder writes."""
        self._count += 1
        if depth > MAX_DEPTH + 8 or self._count > MAX_VALUES * 2:
            raise CannotCross("too deep, or too much of it")
        if data is None or isinstance(data, (bool, int, float, str)):
            return data
        if isinstance(data, list):
            made: list[Any] = []
            self.containers.append(made)
            made.extend(self.decode(item, depth + 1) for item in data)
            return made
        try:
            return self._tagged(data["$"], data, depth)
        except CannotCross:
            raise
        except Exception as error:  # noqa: BLE001  whatever malformed data does to us is the sender's fault
            raise CannotCross(f"no value: {type(error).__name__}: {error!s:.200}") from None

    def _items(self, data: dict[str, Any], depth: int) -> list[Any]:
        return [self.decode(item, depth + 1) for item in data["v"]]

    def _tagged(self, tag: str, data: dict[str, Any], depth: int) -> Any:  # noqa: C901  one branch per tag
        if tag == "dict":
            made: dict[Any, Any] = {}
            self.containers.append(made)
            for key, item in data["v"]:
                made[self.decode(key, depth + 1)] = self.decode(item, depth + 1)
            return made
        if tag == "tuple":
            return tuple(self._items(data, depth))
        if tag == "given":
            return self._given[data["n"]]
        if tag == "int":
            return int(data["v"], 16)
        if tag in ("bytes", "bytearray"):
            raw = base64.b64decode(data["v"])
            if tag == "bytes":
                return raw
            self.containers.append(bytearray(raw))
            return self.containers[-1]
        if tag == "set":
            place = len(self.containers)
            self.containers.append(None)
            self.containers[place] = set(self._items(data, depth))
            return self.containers[place]
        if tag == "frozenset":
            return frozenset(self._items(data, depth))
        if tag == "deque":
            made_deque: collections.deque[Any] = collections.deque()
            self.containers.append(made_deque)
            made_deque.extend(self._items(data, depth))
            return made_deque
        if tag == "range":
            return range(*self._items(data, depth))
        if tag == "timedelta":
            days, seconds, microseconds = data["v"]
            return datetime.timedelta(days, seconds, microseconds)
        if tag in _TEXT_KINDS:
            return _TEXT_KINDS[tag][2](str(data["v"])[:10_000])
        if tag == "array":
            self.containers.append(_read_array(data))
            return self.containers[-1]
        if tag == "objects":
            place = len(self.containers)
            self.containers.append(None)
            items = self._items(data, depth)
            array = np.empty(len(items), dtype=object)
            array[:] = items
            self.containers[place] = array
            return array
        if tag == "scalar":
            return _read_array(data["v"])[()]
        if tag == "namedtuple":
            return self._namedtuple(data, depth)
        if tag == "enum":
            value = self.decode(data["v"], depth + 1)
            known = self.world.find_class(*data["class"])
            return known[data["name"]] if known is not None and issubclass(known, enum.Enum) else value
        if tag == "record":
            return self._record(data, depth)
        if tag == "exception":
            return exceptions.decode(data, self, depth)
        if tag == "address":
            return addresses.decode(data)
        if tag == "own":
            return self.world.own(int(data["n"]))
        if tag == "reference":
            return self.world.from_reference(data)
        raise CannotCross(f"unknown kind {tag!r:.40}")

    def _namedtuple(self, data: dict[str, Any], depth: int) -> Any:
        items, names = self._items(data, depth), data["names"]
        known = self.world.find_class(*data["class"])
        if known is not None and issubclass(known, tuple) and list(getattr(known, "_fields", ())) == names:
            return tuple.__new__(known, items)
        return tuple.__new__(_namedtuple_class(_identifier(data["class"][1]), tuple(map(_identifier, names))), items)

    def _record(self, data: dict[str, Any], depth: int) -> Any:
        fields = {_identifier(name): self.decode(item, depth + 1) for name, item in data["v"]}
        module, name = data["class"]
        known = self.world.find_class(module, name)
        if known is None or set(record_names(known) or ()) != set(fields):
            known = record_class(_identifier(name.split(".")[-1]), tuple(fields), bool(data["frozen"]))
        made: Any = object.__new__(known)
        if hasattr(known, "model_fields"):
            object.__setattr__(made, "__dict__", fields)
            object.__setattr__(made, "__pydantic_fields_set__", set(fields))
            object.__setattr__(made, "__pydantic_extra__", None)
            object.__setattr__(made, "__pydantic_private__", None)
        else:
            for field, item in fields.items():
                object.__setattr__(made, field, item)
        return made


def record_names(kind: type) -> list[str] | None:
    """The fields of a dataclass or pydantic model; None for other classes."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    fields = getattr(kind, "model_fields", None)
    return list(fields) if isinstance(fields, dict) and hasattr(kind, "__pydantic_validator__") else None


def record_fields(value: Any) -> list[str] | None:
    """The fields that this record has set; None when it is no record."""
    names = None if isinstance(value, type) else record_names(type(value))
    return None if names is None else [name for name in names if hasattr(value, name)]


def restore(old: Any, new: Any) -> None:
    """Give the container `old` the contents of `new`, in place, down to its nested containers."""
    if isinstance(old, list) and isinstance(new, list):
        merged = [_merge(left, right) for left, right in zip(old, new, strict=False)]
        old[:] = merged + new[len(old) :]
    elif isinstance(old, dict) and isinstance(new, dict):
        merged_items = {key: _merge(old[key], item) if key in old else item for key, item in new.items()}
        old.clear()
        old.update(merged_items)
    elif isinstance(old, set) and isinstance(new, set):
        old.clear()
        old.update(new)
    elif isinstance(old, bytearray) and isinstance(new, bytearray):
        old[:] = new
    elif isinstance(old, collections.deque) and isinstance(new, collections.deque):
        old.clear()
        old.extend(new)
    elif isinstance(old, np.ndarray) and isinstance(new, np.ndarray) and old.shape == new.shape:
        old[...] = new


def _merge(left: Any, right: Any) -> Any:
    if type(left) is type(right) and isinstance(left, (list, dict, set, bytearray)):
        restore(left, right)
        return left
    return right


@functools.lru_cache(maxsize=1000)
def record_class(name: str, fields: tuple[str, ...], frozen: bool) -> type:
    """A look-alike of a class of the other side: its name and its fields, nothing else."""
    made = dataclasses.make_dataclass(name, fields, eq=False, repr=True, init=False)
    made.__module__ = "__main__"
    made.__frozen__ = frozen  # type: ignore[attr-defined]
    return made


@functools.lru_cache(maxsize=1000)
def _namedtuple_class(name: str, names: tuple[str, ...]) -> Any:
    return collections.namedtuple(name, names, rename=True)  # noqa: PYI024  made at run time


def _class_name(kind: type) -> list[str]:
    return [kind.__module__, kind.__qualname__]


def _is_frozen(kind: type) -> bool:
    parameters = getattr(kind, "__dataclass_params__", None)
    return bool(parameters.frozen) if parameters is not None else False


def _is_value(kind: type) -> bool:
    """Is an instance only its fields: frozen, or without public methods of its own?"""
    if _is_frozen(kind) or hasattr(kind, "model_fields"):
        return True
    return not any(
        isinstance(member, types.FunctionType) and not name.startswith("_")
        for base in kind.__mro__[:-1]
        for name, member in vars(base).items()
    )


def _identifier(name: str) -> str:
    if not (isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name) and len(name) < 200):
        raise CannotCross(f"{name!r:.60} is not a name")
    if re.fullmatch(r"__\w+__", name):
        raise CannotCross(f"{name} is not a name of a field")
    return name


def _read_array(data: dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(str(data["dtype"]))
    if dtype.kind not in _ARRAY_KINDS or dtype.itemsize > 100_000:
        raise CannotCross(f"an array of {dtype}")
    shape = tuple(int(size) for size in data["shape"])
    return np.frombuffer(base64.b64decode(data["v"]), dtype=dtype).reshape(shape).copy()

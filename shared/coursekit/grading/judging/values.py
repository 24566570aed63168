"""Values as JSON, for a channel whose other end may lie.

Plain data crosses by value: JSON types, tuples, sets, bytes, complex, ranges, dates and times, Decimal, Fraction, UUID, paths,
numpy arrays and scalars, pandas frames, enums, named tuples, dataclasses and pydantic models (as records), exceptions (type and message).
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
import math
import pathlib
import re
import sys
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from coursekit.grading.judging import addresses, classes, exceptions, frames

MAX_DEPTH = 80
MAX_VALUES = 2_000_000

_MAX_ITEMS = 1 << 26  # of an array, also where one dimension is 0
_INT_LIMIT = 1 << 62
_ARRAY_KINDS = "biufcSUmM"
_TEXT_KINDS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
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
        if not _is_frozen(kind):
            self.containers.append(value)
        return {
            "$": "record",
            "class": _class_name(kind),
            "frozen": _is_frozen(kind),
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
        for name, (kind, write, _) in _TEXT_KINDS.items():
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
            return is_model or _is_frozen(kind) or not classes.has_behaviour(kind)
        return not is_model and not classes.has_behaviour(kind)

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
            place = len(self.containers)
            self.containers.append(made)
            for key, item in data["v"]:
                made[self.decode(key, depth + 1)] = self.decode(item, depth + 1)
            if "kind" in data:
                made = _typed_dict(str(data["kind"]), data.get("default"), made)
                self.containers[place] = made
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
            made_deque: collections.deque[Any] = collections.deque(maxlen=data.get("maxlen"))
            self.containers.append(made_deque)
            made_deque.extend(self._items(data, depth))
            return made_deque
        if tag == "range":
            made_range = range(*self._items(data, depth))
            if made_range[-1:] and (made_range[-1] - made_range[0]) // made_range.step >= MAX_VALUES:
                raise CannotCross(f"a range of more than {MAX_VALUES:,} numbers")
            return made_range
        if tag == "timezone":
            return datetime.timezone(self.decode(data["v"], depth + 1))
        if tag in ("frame", "series", "index", "timestamp", "missing"):
            return frames.decode(data, self, depth)
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
            return self._enum(data, depth)
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

    def _enum(self, data: dict[str, Any], depth: int) -> Any:
        known: Any = self.world.find_class(*data["class"])
        if known is None and "members" in data:
            known = classes.enum_class(_identifier(data["class"][1]), data, self, depth, self.world.lookalikes)
        value = self.decode(data["v"], depth + 1)
        if known is None or not issubclass(known, enum.Enum):
            return value
        return known.__members__[data["name"]] if data["name"] in known.__members__ else known(value)

    def _namedtuple(self, data: dict[str, Any], depth: int) -> Any:
        items, names = self._items(data, depth), data["names"]
        known = self.world.find_class(*data["class"])
        if known is not None and issubclass(known, tuple) and list(getattr(known, "_fields", ())) == names:
            return tuple.__new__(known, items)
        return tuple.__new__(_namedtuple_class(_identifier(data["class"][1]), tuple(map(_identifier, names))), items)

    def _record(self, data: dict[str, Any], depth: int) -> Any:
        names = tuple(_identifier(name) for name, _ in data["v"])
        module, name = data["class"]
        known = self.world.find_class(module, name)
        if known is None or set(record_names(known) or ()) != set(names):
            shape = (bool(data["frozen"]), bool(data["eq"]), bool(data["order"]))
            known = record_class(_identifier(name.split(".")[-1]), names, *shape)
        made: Any = object.__new__(known)
        if not data["frozen"]:
            self.containers.append(made)
        fields = {name: self.decode(item, depth + 1) for name, item in data["v"]}
        if hasattr(known, "model_fields"):
            object.__setattr__(made, "__dict__", fields)
            object.__setattr__(made, "__pydantic_fields_set__", set(fields))
            object.__setattr__(made, "__pydantic_extra__", None)
            private = {item: kept.get_default() for item, kept in getattr(known, "__private_attributes__", {}).items()}
            object.__setattr__(made, "__pydantic_private__", private or None)
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
    elif record_fields(old) is not None and record_fields(new) is not None:
        for name in record_fields(new) or ():
            value = getattr(new, name)
            object.__setattr__(old, name, _merge(getattr(old, name), value) if hasattr(old, name) else value)
    else:
        frames.restore(old, new)


def _merge(left: Any, right: Any) -> Any:
    is_record = record_fields(left) is not None and not _is_frozen(type(left))
    if type(left) is type(right) and (isinstance(left, (list, dict, set, bytearray)) or is_record):
        restore(left, right)
        return left
    return right


@functools.lru_cache(maxsize=1000)
def record_class(name: str, fields: tuple[str, ...], frozen: bool, eq: bool, order: bool) -> type:
    """A look-alike of a class of the other side: its name, its fields, and how dataclasses compare them."""
    made = dataclasses.make_dataclass(name, fields, eq=eq, order=eq and order, frozen=frozen)
    made.__module__ = "__main__"
    return made


@functools.lru_cache(maxsize=1000)
def _namedtuple_class(name: str, names: tuple[str, ...]) -> Any:
    return collections.namedtuple(name, names, rename=True, module="__main__")  # noqa: PYI024  made at run time


def _class_name(kind: type) -> list[str]:
    return [kind.__module__, kind.__qualname__]


def _is_frozen(kind: type) -> bool:
    parameters = getattr(kind, "__dataclass_params__", None)
    return bool(parameters.frozen) if parameters is not None else False


_FACTORIES: dict[str, Callable[[], Any]] = {
    kind.__name__: kind for kind in (list, dict, set, int, float, str, tuple, bool)
}


def _dict_kind(value: Any) -> dict[str, Any]:
    if isinstance(value, collections.Counter):
        return {"kind": "Counter"}
    if isinstance(value, collections.OrderedDict):
        return {"kind": "OrderedDict"}
    name = getattr(getattr(value, "default_factory", None), "__name__", None)
    return {"kind": "defaultdict", "default": name} if isinstance(value, collections.defaultdict) else {}


def _typed_dict(kind: str, default: Any, items: dict[Any, Any]) -> dict[Any, Any]:
    if kind == "Counter":
        return collections.Counter(items)
    if kind == "OrderedDict":
        return collections.OrderedDict(items)
    return collections.defaultdict(_FACTORIES.get(str(default)), items)


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
    if math.prod(max(size, 1) for size in shape) > _MAX_ITEMS:
        raise CannotCross(f"an array of the shape {shape!s:.80}")
    return np.frombuffer(base64.b64decode(data["v"]), dtype=dtype).reshape(shape).copy()

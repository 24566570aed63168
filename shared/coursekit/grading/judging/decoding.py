"""From JSON to values, from an end that may lie; see `values`."""

from __future__ import annotations

import base64
import collections
import datetime
import enum
import keyword
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from coursekit.grading.judging import addresses, classes, exceptions, frames
from coursekit.grading.judging.records import namedtuple_class, record_class, record_names
from coursekit.grading.judging.values import ARRAY_KINDS, MAX_DEPTH, MAX_VALUES, TEXT_KINDS, CannotCross, World

_MAX_ITEMS = 1 << 26  # of an array, also where one dimension is 0
_FACTORIES: dict[str, Callable[[], Any]] = {
    kind.__name__: kind for kind in (list, dict, set, int, float, str, tuple, bool)
}


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
        if tag in TEXT_KINDS:
            return TEXT_KINDS[tag][2](str(data["v"])[:10_000])
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
        return tuple.__new__(namedtuple_class(_identifier(data["class"][1]), tuple(map(_identifier, names))), items)

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
    if dtype.kind not in ARRAY_KINDS or dtype.itemsize > 100_000:
        raise CannotCross(f"an array of {dtype}")
    shape = tuple(int(size) for size in data["shape"])
    if math.prod(max(size, 1) for size in shape) > _MAX_ITEMS:
        raise CannotCross(f"an array of the shape {shape!s:.80}")
    return np.frombuffer(base64.b64decode(data["v"]), dtype=dtype).reshape(shape).copy()

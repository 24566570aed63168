"""Records: dataclasses and pydantic models as their fields, look-alikes of unknown ones, and changes put back in place."""

from __future__ import annotations

import collections
import dataclasses
import functools
from typing import Any

import numpy as np

from coursekit.grading.judging import frames


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
    is_record = record_fields(left) is not None and not is_frozen(type(left))
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
def namedtuple_class(name: str, names: tuple[str, ...]) -> Any:
    return collections.namedtuple(name, names, rename=True, module="__main__")  # noqa: PYI024  made at run time


def is_frozen(kind: type) -> bool:
    parameters = getattr(kind, "__dataclass_params__", None)
    return bool(parameters.frozen) if parameters is not None else False

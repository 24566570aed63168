"""A mapping that forgets what is old, e.g. what a server knows about each of its clients, for as many as fit.

A client's key costs a few kilobytes (journal, faults, quota, counts), and a server may run for months and see a fresh key
with every exercise. The keys that were asked for longest ago are forgotten first (LRU). Not safe to use from
several threads: every owner has a lock of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

CLIENTS = 10_000

V = TypeVar("V")


class Recent(Generic[V]):
    """A mapping by text key that makes what is missing and forgets what is old.

    Args:
        make: the value of a key that is not there.
        limit: how many keys are kept.

    >>> words = Recent(list, limit=2)
    >>> words["a"].append(1), words["b"].append(2), words["a"], words["c"], words.find("b")
    (None, None, [1], [], None)
    """

    def __init__(self, make: Callable[[], V], limit: int = CLIENTS) -> None:
        self._make = make
        self._limit = limit
        self._values: OrderedDict[str, V] = OrderedDict()

    def __getitem__(self, key: str) -> V:
        if key not in self._values:
            self[key] = self._make()
        self._values.move_to_end(key)
        return self._values[key]

    def __setitem__(self, key: str, value: V) -> None:
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def find(self, key: str) -> V | None:
        """The value of a key, or None; makes nothing."""
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key]

    def drop(self, key: str) -> None:
        """Forget a key, known or not."""
        self._values.pop(key, None)

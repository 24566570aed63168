"""What stands for an object of the other side: calls, attributes and iteration go across, identity stays.

A proxy never asks the other side whether it equals a value of this side: the answer would be worth nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Caller(Protocol):
    """The peer, as far as proxies need it."""

    def request(self, op: str, number: int, *args: Any, **kwargs: Any) -> Any: ...

    def release(self, number: int) -> None: ...

    def find_class(self, module: str, name: str) -> type | None: ...


class Remote:
    """An object of the other side. `_course` is (peer, number, description)."""

    def __init__(self, peer: Caller, number: int, description: dict[str, Any]) -> None:
        object.__setattr__(self, "_course", (peer, number, description))

    def __del__(self) -> None:
        peer, number, _ = object.__getattribute__(self, "_course")
        peer.release(number)

    def __deepcopy__(self, memo: dict[int, Any]) -> Remote:
        return self

    def __copy__(self) -> Remote:
        return self

    def __reduce__(self) -> Any:
        raise TypeError("an object of another process cannot be pickled")

    def __repr__(self) -> str:
        return str(_ask(self, "repr"))

    def __str__(self) -> str:
        return str(_ask(self, "str"))

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return bool(_ask(self, "eq", other)) if isinstance(other, Remote) else NotImplemented

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _ask(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        _ask(self, "delattr", name)


class RemoteFunction(Remote):
    """A function or any other callable of the other side."""

    def __init__(self, peer: Caller, number: int, description: dict[str, Any]) -> None:
        super().__init__(peer, number, description)
        name = str(description.get("name", "function"))
        for attribute, value in (
            ("__name__", name),
            ("__qualname__", str(description.get("qualname", name))),
            ("__doc__", description.get("doc")),
            ("__module__", "__main__"),
        ):
            object.__setattr__(self, attribute, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _ask(self, "call", *args, **kwargs)


class RemoteCoroutineFunction(RemoteFunction):
    """An `async def` of the other side: it runs there, on one event loop for all."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return asyncio.to_thread(_ask, self, "call", *args, **kwargs)


class RemoteClass(RemoteFunction):
    """A class of the other side: calling it makes an instance there, `isinstance` knows the instances by name."""

    def __instancecheck__(self, instance: object) -> bool:
        description = object.__getattribute__(self, "_course")[2]
        if isinstance(instance, Remote):
            return description["number"] in object.__getattribute__(instance, "_course")[2].get("classes", ())
        return any(
            kind.__module__ == "__main__" and kind.__qualname__ == description["qualname"]
            for kind in type(instance).__mro__
        )

    def __subclasscheck__(self, other: object) -> bool:
        number = object.__getattribute__(self, "_course")[2]["number"]
        return isinstance(other, RemoteClass) and number in object.__getattribute__(other, "_course")[2]["classes"]

    @property
    def __bases__(self) -> tuple[type, ...]:
        return (object,)  # what makes `issubclass` take it for a class

    def __getitem__(self, parameters: Any) -> Any:
        if isinstance(parameters, str) and "has_items" in object.__getattribute__(self, "_course")[2]:
            return _ask(self, "call_method", "__getitem__", parameters)
        return self  # a generic class in an annotation

    def __iter__(self) -> Any:
        return _ask(self, "iter")  # an enum's members

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        raise TypeError("a class that the learner writes cannot be subclassed outside of the learner's process")


class RemoteIterator(Remote):
    """An iterator or generator of the other side: each item is fetched when it is asked for."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        has_more, value = _ask(self, "next")
        if not has_more:
            raise StopIteration(value)
        return value

    def send(self, value: Any) -> Any:
        return _ask(self, "call_method", "send", value)

    def throw(self, error: BaseException) -> Any:
        return _ask(self, "call_method", "throw", error)

    def close(self) -> None:
        _ask(self, "call_method", "close")


class RemoteAsyncIterator(Remote):
    """An asynchronous iterator of the other side."""

    def __aiter__(self) -> RemoteAsyncIterator:
        return self

    async def __anext__(self) -> Any:
        found = await asyncio.to_thread(_ask, self, "anext")
        if not found:
            raise StopAsyncIteration
        return found[0]

    async def aclose(self) -> None:
        await asyncio.to_thread(_ask, self, "call_method", "aclose")


class RemoteAwaitable(Remote):
    """Something that can be awaited, made by the other side."""

    def __await__(self) -> Any:
        return asyncio.to_thread(_ask, self, "await").__await__()


class RemoteObject(Remote):
    """An object with behaviour: what its class can do there, it can do here."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _ask(self, "call", *args, **kwargs)

    def __len__(self) -> int:
        return int(_ask(self, "call_method", "__len__"))

    def __bool__(self) -> bool:
        return bool(_ask(self, "bool"))

    def __iter__(self) -> Any:
        return _ask(self, "iter")

    def __getitem__(self, key: Any) -> Any:
        return _ask(self, "call_method", "__getitem__", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        _ask(self, "call_method", "__setitem__", key, value)

    def __delitem__(self, key: Any) -> None:
        _ask(self, "call_method", "__delitem__", key)

    def __contains__(self, item: Any) -> bool:
        return bool(_ask(self, "contains", item))

    def __enter__(self) -> Any:
        return _ask(self, "call_method", "__enter__")

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> Any:
        return _ask(self, "exit", error)

    async def __aenter__(self) -> Any:
        return await asyncio.to_thread(_ask, self, "aenter")

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> Any:
        return await asyncio.to_thread(_ask, self, "aexit", error)

    def __hash__(self) -> int:
        return int(_ask(self, "hash"))

    def __format__(self, form: str) -> str:
        return str(_ask(self, "format", form))


def _operator(name: str, is_swapped: bool = False) -> Callable[..., Any]:
    def operate(self: Remote, *others: Any) -> Any:
        result = _ask(self, "operator", name, is_swapped, *others)
        if isinstance(result, Remote) or others and all(isinstance(other, Remote) for other in others):
            return result
        raise TypeError(
            f"operator.{name} between an object that the learner made and a value gives {type(result).__name__}: "
            "compare its attributes instead (an object could answer anything)"
        )

    return operate


OPERATORS = frozenset(
    [
        "add",
        "sub",
        "mul",
        "matmul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "and_",
        "or_",
        "xor",
        "lshift",
        "rshift",
        "lt",
        "le",
        "gt",
        "ge",
        "neg",
        "pos",
        "abs",
        "invert",
    ]
)
for _name in OPERATORS:
    _plain = _name.rstrip("_")
    setattr(RemoteObject, f"__{_plain}__", _operator(_name))
    if _plain not in ("lt", "le", "gt", "ge", "neg", "pos", "abs", "invert"):
        setattr(RemoteObject, f"__r{_plain}__", _operator(_name, is_swapped=True))


_KINDS: dict[str, type[Remote]] = {
    "function": RemoteFunction,
    "coroutine function": RemoteCoroutineFunction,
    "class": RemoteClass,
    "iterator": RemoteIterator,
    "async iterator": RemoteAsyncIterator,
    "awaitable": RemoteAwaitable,
    "object": RemoteObject,
}


def make(peer: Caller, number: int, description: dict[str, Any]) -> Remote:
    """The proxy for a reference that has arrived; an object with fields is also comparable as a record."""
    kind = _KINDS.get(str(description.get("kind")), RemoteObject)
    if kind is RemoteObject:
        kind = _class_of_objects(peer, description)
    return kind(peer, number, description)


def _class_of_objects(peer: Caller, description: dict[str, Any]) -> type[RemoteObject]:
    """RemoteObject with the name and the fields of the original; for `isinstance` it is what a given cell calls so."""
    members: dict[str, Any] = {"__module__": "__main__"}
    fields, names = description.get("fields"), description.get("names")
    if isinstance(fields, list) and all(isinstance(name, str) for name in fields):
        members["model_fields"] = dict.fromkeys(fields[:200])
    if isinstance(names, list):
        given = [found for name in names[:20] if (found := peer.find_class("__main__", str(name)))]
        if given:
            members["__class__"] = property(lambda self: given[0])
    name = str(description.get("name", "object"))
    return type(name if name.isidentifier() else "object", (RemoteObject,), members)


def _ask(remote: Remote, op: str, *args: Any, **kwargs: Any) -> Any:
    peer, number, _ = object.__getattribute__(remote, "_course")
    return peer.request(op, number, *args, **kwargs)

"""Exceptions by type and message: names along the class tree, arguments, plain attributes, the cause.

On arrival an exception is of a class that this side knows, or of an empty class with the same name whose base is the
nearest known one. It can always be raised, and never ends a process: exits and interrupts arrive as ordinary errors.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coursekit.grading.judging.values import Decoder, Encoder

MAX_TEXT = 20_000
MAX_CHAIN = 6
MAX_ATTRIBUTES = 30


class EndedItself(Exception):
    """The other side's code raised SystemExit, KeyboardInterrupt or another error that is meant to end a process."""


def encode(error: BaseException, encoder: Encoder, depth: int) -> dict[str, Any]:
    """The exception as data; one that came from the other side goes home as itself."""
    home = getattr(error, "_course_home", None)
    if home is not None:
        return {"$": "own", "n": home}
    arguments = _plain_args(error, encoder, depth)  # in the order in which `decode` reads
    attributes = [] if depth > MAX_CHAIN else _attributes(error, encoder, depth)
    return {
        "$": "exception",
        "classes": [[kind.__module__, kind.__qualname__] for kind in type(error).__mro__[:20] if kind is not object],
        "message": _text(error),
        "args": arguments,
        "attributes": attributes,
        "cause": _chained(error.__cause__, encoder, depth),
        "context": None if error.__suppress_context__ else _chained(error.__context__, encoder, depth),
        "suppress": bool(error.__suppress_context__),
        "n": encoder.world.to_reference(error)["n"],
    }


def decode(data: dict[str, Any], decoder: Decoder, depth: int) -> BaseException:
    """An exception that looks like the one sent; its message is exactly the sent one."""
    kind = _class(data["classes"], decoder)
    message = str(data["message"])[:MAX_TEXT]
    error = kind.__new__(kind)
    arguments = None if data["args"] is None else decoder.decode(data["args"], depth + 1)
    error.args = tuple(arguments) if isinstance(arguments, tuple) else (message,)
    for name, item in data["attributes"][:MAX_ATTRIBUTES]:
        if isinstance(name, str) and name.isidentifier() and not name.startswith("_"):
            try:
                setattr(error, name, decoder.decode(item, depth + 1))
            except (AttributeError, TypeError, ValueError):
                continue
    if str(error) != message:
        error.args = (message,)
    if str(error) != message:
        error = _named(kind.__name__, (EndedItself,))(message)
    object.__setattr__(error, "_course_home", int(data["n"]))
    for name in ("cause", "context"):
        if data[name] is not None and depth < MAX_CHAIN:
            chained = decoder.decode(data[name], depth + 1)
            if isinstance(chained, BaseException):
                setattr(error, f"__{name}__", chained)
    error.__suppress_context__ = bool(data["suppress"])
    return error


def _class(names: list[list[str]], decoder: Decoder) -> type[Exception]:
    unknown: list[str] = []
    for module, name in names[:20]:
        found = getattr(builtins, name, None) if module == "builtins" else decoder.world.find_class(module, name)
        if isinstance(found, type) and issubclass(found, Exception):
            for missing in reversed(unknown):
                found = _named(missing, (found,))
            return found
        unknown.append(str(name).split(".")[-1] if str(name).split(".")[-1].isidentifier() else "UnknownError")
    return _named(unknown[0] if unknown else "UnknownError", (EndedItself,))


def _named(name: str, bases: tuple[type[Exception], ...]) -> type[Exception]:
    return type(name, bases, {"__module__": "__main__"})


def _text(error: BaseException) -> str:
    try:
        return str(error)[:MAX_TEXT]
    except Exception as problem:  # noqa: BLE001  its __str__ is anybody's code
        return f"<its text could not be had: {type(problem).__name__}>"


def _plain_args(error: BaseException, encoder: Encoder, depth: int) -> Any:
    """The arguments where they are short plain data: an object in them would only keep references alive."""
    plain = all(item is None or type(item) in (bool, int, float, str, bytes) for item in error.args)
    if not plain or len(error.args) > 20 or any(len(str(item)) > MAX_TEXT for item in error.args):
        return None
    return encoder.encode(tuple(error.args), depth + 1)


def _attributes(error: BaseException, encoder: Encoder, depth: int) -> list[Any]:
    from coursekit.grading.judging.values import CannotCross

    found = []
    for name, value in list(getattr(error, "__dict__", {}).items())[:MAX_ATTRIBUTES]:
        if name.startswith("_") or not _is_plain(value):
            continue
        try:
            found.append([name, encoder.encode(value, depth + 1)])
        except CannotCross:
            continue
    return found


def _is_plain(value: Any, depth: int = 0) -> bool:
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return True
    if depth > 4:
        return False
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(_is_plain(item, depth + 1) for item in value)
    return isinstance(value, dict) and all(_is_plain(item, depth + 1) for pair in value.items() for item in pair)


def _chained(error: BaseException | None, encoder: Encoder, depth: int) -> Any:
    return None if error is None or depth > MAX_CHAIN else encode(error, encoder, depth + 2)

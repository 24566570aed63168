"""Exceptions by type and message: names along the class tree, arguments, plain attributes, the cause.

On arrival an exception is of a class that this side knows, or of an empty class with the same name whose base is the
nearest known one. It can always be raised, and never ends a process: exits and interrupts arrive as ordinary errors.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

from coursekit.grading.judging import classes

if TYPE_CHECKING:
    from coursekit.grading.judging.decoding import Decoder
    from coursekit.grading.judging.encoding import Encoder
    from coursekit.grading.judging.values import World

MAX_TEXT = 20_000
MAX_CHAIN = 6
MAX_ATTRIBUTES = 30
_MAX_CLASSES = 20


class EndedItself(Exception):
    """The other side's code raised SystemExit, KeyboardInterrupt or another error that is meant to end a process."""


def encode(error: BaseException, encoder: Encoder, depth: int) -> dict[str, Any]:
    """The exception as data; one that came from the other side goes home as itself."""
    home = getattr(error, "_course_home", None)
    if home is not None:
        return {"$": "own", "n": home}
    arguments = _plain_args(error, encoder, depth)  # in the order in which `decode` reads
    attributes = [] if depth > MAX_CHAIN else _attributes(error, encoder, depth)
    problems = _validation_problems(error, encoder, depth)
    return {
        **({} if problems is None else {"problems": problems}),
        "$": "exception",
        "classes": class_names(type(error)),
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
    kind = class_of(data["classes"], decoder.world)
    message = str(data["message"])[:MAX_TEXT]
    problems = decoder.decode(data["problems"], depth + 1) if "problems" in data else None
    arguments = None if data["args"] is None else decoder.decode(data["args"], depth + 1)
    if problems is not None and hasattr(kind, "from_exception_data"):
        return _validation_error(kind, problems)
    error = _new(kind, arguments if isinstance(arguments, tuple) else (message,))
    for name, item in data["attributes"][:MAX_ATTRIBUTES]:
        if isinstance(name, str) and name.isidentifier() and not name.startswith("_"):
            try:
                setattr(error, name, decoder.decode(item, depth + 1))
            except (AttributeError, TypeError, ValueError):
                continue
    if _text(error) != message:
        error.args = (message,)
    if _text(error) != message:  # or it has no text: its class counts on a constructor that did not run
        error = _named(kind.__name__, (EndedItself,))(message)
    object.__setattr__(error, "_course_home", int(data["n"]))
    for name in ("cause", "context"):
        if data[name] is not None and depth < MAX_CHAIN:
            chained = decoder.decode(data[name], depth + 1)
            if isinstance(chained, BaseException):
                setattr(error, f"__{name}__", chained)
    error.__suppress_context__ = bool(data["suppress"])
    return error


def class_names(kind: type[BaseException]) -> list[Any]:
    """Module, name and direct bases of the class and of every exception class below which it stands, nearest first."""
    tree = [base for base in kind.__mro__[:_MAX_CLASSES] if issubclass(base, BaseException)]
    return [
        [base.__module__, base.__qualname__, [[parent.__module__, parent.__qualname__] for parent in base.__bases__]]
        for base in tree
    ]


def _validation_problems(error: BaseException, encoder: Encoder, depth: int) -> Any:
    """What pydantic found wrong; its exception has no arguments and cannot be made empty."""
    if type(error).__module__ != "pydantic_core._pydantic_core" or not hasattr(error, "errors"):
        return None
    found = error.errors(include_url=False, include_context=False)[:MAX_ATTRIBUTES]
    rows = [
        [item["type"], item["msg"], item["loc"], item["input"] if _is_plain(item["input"]) else repr(item["input"])]
        for item in found
    ]
    return encoder.encode([str(getattr(error, "title", "")), rows], depth + 1)


def _validation_error(kind: Any, problems: Any) -> Exception:
    from pydantic_core import PydanticCustomError

    title, rows = problems
    lines = [{"type": PydanticCustomError(code, text), "loc": loc, "input": value} for code, text, loc, value in rows]
    error: Exception = kind.from_exception_data(title, lines)
    return error


def _new(kind: type[Exception], arguments: tuple[Any, ...]) -> Exception:
    """An exception with these arguments, made by the nearest class of Python's own: no constructor of anybody else runs."""
    native = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    try:
        error: Exception = native.__new__(kind, *arguments)
        native.__init__(error, *arguments)  # type: ignore[misc]
    except (TypeError, ValueError):
        error = kind.__new__(kind)
    error.args = arguments[:2] if isinstance(error, OSError) else arguments
    return error


def class_of(names: list[Any], world: World) -> type[Exception]:
    """The class with these names along its tree: one that this side knows, or a look-alike below look-alikes of its bases."""
    found: dict[tuple[str, str], type[Exception]] = {}
    result: type[Exception] | None = None
    for module, name, parents in reversed(names[:_MAX_CLASSES]):
        known = getattr(builtins, name, None) if module == "builtins" else world.find_class(module, name)
        if isinstance(known, type) and issubclass(known, Exception):
            result = known
        elif (module, name) == ("builtins", "BaseException"):
            continue
        else:
            bases = tuple(found[tuple(parent)] for parent in parents if tuple(parent) in found) or (EndedItself,)
            short = str(name).split(".")[-1]
            short = short if short.isidentifier() else "UnknownError"
            result = classes.exception_class(short, bases, world.lookalikes)
        found[module, name] = result
    return result or _named("UnknownError", (EndedItself,))


def _named(name: str, bases: tuple[type[Exception], ...]) -> type[Exception]:
    return type(name, bases, {"__module__": "__main__"})


def _text(error: BaseException) -> str:
    try:
        return str(error)[:MAX_TEXT]
    except Exception as problem:  # noqa: BLE001  its __str__ is anybody's code
        return f"<its text could not be had: {type(problem).__name__}>"


def _plain_args(error: BaseException, encoder: Encoder, depth: int) -> Any:
    """The arguments where they are short plain data: an object in them would only keep references alive."""
    arguments = error.args
    if isinstance(error, OSError) and error.filename is not None:
        arguments = (error.errno, error.strerror, error.filename)
    grouped = isinstance(error, BaseExceptionGroup) and depth <= MAX_CHAIN
    plain = grouped or all(_is_plain(item) for item in arguments)
    if not plain or len(arguments) > 20 or any(len(str(item)) > MAX_TEXT for item in arguments):
        return None
    return encoder.encode(tuple(arguments), depth + 1)


def _attributes(error: BaseException, encoder: Encoder, depth: int) -> list[Any]:
    from coursekit.grading.judging.values import CannotCross

    found = []
    notebooks = [kind for kind in reversed(type(error).__mro__) if kind.__module__ == "__main__"]
    fields = {name: value for kind in notebooks for name, value in vars(kind).items()}
    for name, value in list({**fields, **getattr(error, "__dict__", {})}.items())[:MAX_ATTRIBUTES]:
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

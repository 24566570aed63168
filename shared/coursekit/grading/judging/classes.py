"""Classes that cross: well-known ones by name, the other side's exception classes and enums as look-alikes.

A look-alike is a real class on this side, because `except` and `match` accept nothing less. Its members or bases are what the
other side says; nothing of the other side runs here. Calling an exception class makes the exception over there.
"""

from __future__ import annotations

import builtins
import dataclasses
import enum
import functools
import reprlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coursekit.grading.judging.decoding import Decoder
    from coursekit.grading.judging.encoding import Encoder

_MAX_MEMBERS = 200
_PLAIN = (
    bool, bytearray, bytes, complex, dict, float, frozenset, int, list, object, range, set, str, tuple, type(None),
)  # fmt: skip
_ENUM_BASES: dict[str, type[enum.Enum]] = {
    kind.__name__: kind for kind in (enum.IntFlag, enum.Flag, enum.IntEnum, enum.StrEnum, enum.Enum)
}


class _FromElsewhere(type):
    """The class of look-alikes of exception classes; `_course_class` is (peer, number) of the original."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        home = cls.__dict__.get("_course_class")
        if home is None:
            return super().__call__(*args, **kwargs)
        return home[0].request("call", home[1], *args, **kwargs)

    def __getattr__(cls, name: str) -> Any:
        home = cls.__dict__.get("_course_class")
        if home is None or name.startswith("_"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        return home[0].request("getattr", home[1], name)


def plain_class(module: str, name: str) -> type | None:
    """A class that both sides have, whatever they know else, and that does no harm when it is called."""
    found = type(None) if name == "NoneType" else getattr(builtins, name, None) if module == "builtins" else None
    if not isinstance(found, type) or module != "builtins":
        return None
    return found if found in _PLAIN or issubclass(found, BaseException) else None


def exception_class(name: str, bases: tuple[type[Exception], ...], made: dict[Any, type]) -> type[Exception]:
    """The look-alike of this name below `bases`; `made` remembers it, so that `except` finds it again."""
    key = ("exception", name, bases)
    if key not in made:
        try:
            made[key] = _FromElsewhere(name, bases, {"__module__": "__main__"})
        except TypeError:  # bases that do not go together
            made[key] = _FromElsewhere(name, bases[:1], {"__module__": "__main__"})
    return made[key]


def describe_enum(kind: type[enum.Enum], encoder: Encoder, depth: int) -> dict[str, Any]:
    """An enum's members, for the side that does not know it."""
    members = list(kind.__members__.items())[:_MAX_MEMBERS]
    return {
        "base": next(name for name, base in _ENUM_BASES.items() if issubclass(kind, base)),
        "members": [[name, encoder.encode(member.value, depth + 1)] for name, member in members],
    }


def enum_class(name: str, data: dict[str, Any], decoder: Decoder, depth: int, made: dict[Any, type]) -> Any:
    """The look-alike of an enum that was described by `describe_enum`."""
    members = [(str(member), decoder.decode(value, depth + 1)) for member, value in data["members"][:_MAX_MEMBERS]]
    base = str(data["base"])
    key = ("enum", name, base, repr(members))
    if key not in made:
        create: Any = _ENUM_BASES[base]
        made[key] = create(name, members, module="__main__")
    return made[key]


@functools.lru_cache(maxsize=500)
def has_behaviour(kind: type) -> bool:
    """Can its instances do more than hold their fields: methods, properties, operators written by hand?"""
    return any(
        _is_behaviour(name, member)
        for base in kind.__mro__
        if base.__module__ not in _LIBRARIES
        for name, member in vars(base).items()
    )


_GENERATED = ("<string>", dataclasses.__file__, reprlib.__file__)
_LIBRARIES = ("builtins", "enum", "typing", "abc", "collections.abc", "pydantic.main")
_SETS_UP = ("__init__", "__new__", "__post_init__", "__init_subclass__", "__class_getitem__", "__getnewargs__")


def _is_behaviour(name: str, member: Any) -> bool:
    if isinstance(member, (property, classmethod, staticmethod)) or type(member).__name__ == "cached_property":
        return not name.startswith("_")
    code = getattr(member, "__code__", None)
    if code is None or name in _SETS_UP:
        return False
    is_special = name.startswith("__") and name.endswith("__")
    return code.co_filename not in _GENERATED if is_special else not name.startswith("_")

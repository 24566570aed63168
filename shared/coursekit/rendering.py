"""Values and calls as short, stable text for messages: the same input always gives the same text.

No memory addresses, no unordered sets, long values cut in the middle.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

MAX_CHARS = 240

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def render_value(value: Any, limit: int = MAX_CHARS) -> str:
    """A short, stable text for `value`."""
    if isinstance(value, (set, frozenset)):
        text = "{" + ", ".join(sorted(map(repr, value))) + "}" if value else "set()"
    elif isinstance(value, float) and not isinstance(value, bool):
        text = f"{value:.6g}" if value == value else "nan"
    elif isinstance(value, list):
        text = "[" + ", ".join(render_value(item, limit) for item in value) + "]"
    elif type(value) is tuple:
        text = "(" + ", ".join(render_value(item, limit) for item in value) + ("," if len(value) == 1 else "") + ")"
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{key!r}: {render_value(item, limit)}" for key, item in value.items()) + "}"
    elif callable(value) and hasattr(value, "__name__"):
        text = value.__name__
    else:
        text = _safe_repr(value)
    return _shorten(text, limit)


def render_call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The call as a reader would type it, each argument cut to a readable length."""
    name = getattr(function, "__qualname__", type(function).__name__).replace("<locals>.", "")
    parts = [render_value(arg, 120) for arg in args]
    parts += [f"{key}={render_value(value, 120)}" for key, value in kwargs.items()]
    return f"{name}({', '.join(parts)})"


def _safe_repr(value: Any) -> str:
    try:
        return _ADDRESS.sub("", repr(value))
    except Exception as error:  # noqa: BLE001  a learner's __repr__ may raise anything
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"


def _shorten(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"

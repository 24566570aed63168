"""The object that a prompt without a schema asks for: its keys, and what their values should look like.

Keys stand in a template (`{"label": "bug" | "feature", "sources": [numbers]}`), in a list ("with the keys a, b and c"), or
before "as JSON" ("name and email as JSON"). A template's value tells a type where it is one of the usual ways to write it.
"""

from __future__ import annotations

import re
from typing import Any

from simllm.skills.answer_object import CONFIDENCE, SOURCES, SUPPORTED
from simllm.skills.words import terms

_KEY = re.compile(r"[\"'`]([A-Za-z_][\w-]{0,40})[\"'`]\s*:")
_NAME = r"[\"'`]?[a-z_][\w-]*[\"'`]?"
_KEY_LIST = re.compile(
    r"\b(?:keys?|fields?|propert(?:y|ies))\b[^.:\n]*?[: ]\s*((?:[\"'`]?[a-z_][\w-]*[\"'`]?(?:,? and |, ?|$|[.\n]|(?=:)))+)",
    re.I,
)
_QUOTED_LIST = re.compile(
    r"\bwith ((?:[\"'`][A-Za-z_][\w-]*[\"'`](?: ?\([^()\n]{1,60}\))?(?:,? and |, ?|(?=[.:\n]|$)))+)", re.I
)
_QUOTED_KEY = re.compile(r"[\"'`]([A-Za-z_][\w-]*)[\"'`](?: ?\(([^()\n]{1,60})\))?")
_AS_JSON = re.compile(
    rf"\b(?:extract|return|give|list|get|find|put)(?: me)?(?: the)? ({_NAME}(?:(?:, ?(?:and )?| and )(?:the )?{_NAME})+) (?:as|in|into) (?:an? )?json\b",
    re.I,
)
_OPEN, _CLOSE = "[{(", "]})"
MOST_OPTIONS = 20


def schema_from_prompt(text: str) -> dict[str, Any]:
    """An object with the keys that the prompt shows; {"answer": ...} when it shows none."""
    found = {match.group(1): _value_at(text, match.end()) for match in reversed(list(_KEY.finditer(text)))}
    keys = dict(reversed(list(found.items())))
    if not keys:
        listed, quoted, asked = _KEY_LIST.search(text), _QUOTED_LIST.search(text), _AS_JSON.search(text)
        if listed or asked:
            names = re.findall(r"[A-Za-z_][\w-]*", (listed or asked).group(1))  # type: ignore[union-attr]
            keys = {name: "" for name in names if name not in ("and", "the")}
        elif quoted:
            keys = dict(_QUOTED_KEY.findall(quoted.group(1)))
    made = {key: _shown(key, value) for key, value in (keys or {"answer": ""}).items()}
    return {"type": "object", "properties": made}


def _value_at(text: str, start: int) -> str:
    """What stands for the value behind a key, up to the comma or bracket that ends it."""
    depth, quoted = 0, ""
    for i, char in enumerate(text[start : start + 300], start):
        if quoted:
            quoted = "" if char == quoted else quoted
        elif char in "\"'" and (char == '"' or not text[i - 1].isalnum()):
            quoted = char
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        if depth < 0 or depth == 0 and not quoted and char in ",\n":
            return text[start:i].strip()
    return ""


def _shown(key: str, value: str) -> dict[str, Any]:
    """The schema of one key by the way its value is written."""
    usual = _usual_type(key)
    plain = value.strip().strip("\"'<>").strip()
    nullable = re.search(r"\bnull\b", plain) is not None and plain != "null"
    said = re.sub(r"\s*(?:\bor\b|\|)\s*null\b", "", value).strip()
    if said.startswith("{") or not plain:
        return {"type": usual}
    if said.startswith("[") or re.match(r"(?:array|list)\b", plain, re.I):
        whole = re.search(r"\b(?:numbers?|ints?|integers?|digits?)\b|^\[\s*\d+\s*[,\]]", plain, re.I)
        made: dict[str, Any] = {"type": "array", "items": {"type": "integer" if whole else "string"}}
    elif options := _options(said):
        made = {"type": "boolean"} if set(options) == {"true", "false"} else {"type": "string", "enum": options}
    elif re.match(r"(?:bool(?:ean)?|true|false)\b", plain, re.I):
        made = {"type": "boolean"}
    elif re.match(r"(?:int(?:eger)?|whole number)\b", plain, re.I):
        made = {"type": "integer"}
    elif re.match(r"(?:number|float|decimal|\d*\.\d+)\b", plain, re.I):
        made = {"type": "number"}
    else:
        made = {"type": usual}
    if nullable and "enum" not in made:
        made["type"] = [made["type"], "null"]
    return made


def _options(value: str) -> list[str]:
    """The options of "a" | "b", "a|b|c" or "a" or "b"; [] where the value is no list of options."""
    parts = [part.strip().strip("\"'` ") for part in re.split(r"\s*\|\s*|(?<=[\"'])\s+or\s+(?=[\"'])", value)]
    fitting = all(re.fullmatch(r"[\w][\w &/-]{0,40}", part) for part in parts)
    types = {"string", "str", "number", "int", "integer", "float", "array", "object", "list"}
    return parts if 1 < len(parts) <= MOST_OPTIONS and fitting and not types & {part.lower() for part in parts} else []


def _usual_type(key: str) -> str:
    names = set(terms(key))
    plural = key.endswith("s") and bool(names & SOURCES)
    if plural:
        return "array"
    if names & CONFIDENCE:
        return "number"
    return "boolean" if names & SUPPORTED else "string"

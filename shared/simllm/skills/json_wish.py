"""The object that a prompt without a schema asks for: its keys, and what their values should look like.

Keys stand in a template (`{"label": "bug" | "feature", "sources": [numbers]}`), in a list ("with the keys a, b and c"), or
before "as JSON" ("name and email as JSON"). A template's value tells a type where it is one of the usual ways to write it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from simllm.skills.answer_object import CONFIDENCE, SOURCES, SUPPORTED
from simllm.skills.json_template import find_template
from simllm.skills.words import terms

_KEY = re.compile(r"[\"'`]([A-Za-z_][\w-]{0,40})[\"'`]\s*:")
_NAME = r"[\"'`]?[a-z_][\w-]*[\"'`]?"
_NOTE = r"(?: ?\([^()\n]{1,80}\))?"
_KEY_LIST = re.compile(
    rf"\b(?:keys?|fields?|propert(?:y|ies))\b[^.:\n]*?[: ]\s*((?:{_NAME}{_NOTE}(?:,? and |, ?|$|[.\n]|(?=:)))+)",
    re.I,
)
_QUOTED_LIST = re.compile(rf"\bwith ((?:[\"'`][A-Za-z_][\w-]*[\"'`]{_NOTE}(?:,? and |, ?|(?=[.:\n]|$)))+)", re.I)
_LISTED_KEY = re.compile(r"([\"'`]?)([A-Za-z_][\w-]*)\1(?: ?\(([^()\n]{1,80})\))?")
_BULLETS = re.compile(
    r"\b(?:keys?|fields?|propert(?:y|ies)|values?)\b[^.\n]*:[ \t]*\n((?:[ \t]*(?:[-*•]|\d[.)])[ \t]+[^\n]+(?:\n|$))+)",
    re.I,
)
_BULLET = re.compile(
    r"^[ \t]*(?:[-*•]|\d[.)])[ \t]+[\"'`*]*([A-Za-z_][\w-]*)[\"'`*]*[ \t]*(?:\(([^()\n]*)\)|[:–—-][ \t]*([^\n]*))?",
    re.M,
)
_AS_JSON = re.compile(
    rf"\b(?:extract|return|give|list|get|find|put)(?: me)?(?: the)? ({_NAME}(?:(?:, ?(?:and )?| and )(?:the )?{_NAME})+) (?:as|in|into) (?:an? )?json\b",
    re.I,
)
_ONE_OF = re.compile(r"^(?:one of|either|any of|must be|oneof)\b[ :]*", re.I)
_SPAN = re.compile(
    r"^(?:(?:number|float|integer|int)\s*)?(?:from |between )?(\d+(?:\.\d+)?)\s*(?:-|–|to|and|\.\.)\s*(\d+(?:\.\d+)?)$",
    re.I,
)
_DAY = re.compile(r"^(?:(?:iso )?date\b|YYYY-MM-DD\b)", re.I)
MOST_OPTIONS = 20
LEAST_TEXT = 12  # characters


def schema_from_prompt(text: str) -> dict[str, Any]:
    """An object with the keys that the prompt shows; {"answer": ...} when it shows none."""
    template = find_template(text, _shown)
    if template is not None:
        return template[0]
    keys = dict.fromkeys(_KEY.findall(text), "") or _listed_keys(text) or {"answer": ""}
    return {"type": "object", "properties": {key: _shown(key, value) for key, value in keys.items()}}


def shown_object(text: str) -> dict[str, Any] | None:
    """The object that a text shows in braces; None where it shows none, or one with values of its own."""
    template = find_template(text, _shown)
    return template[0] if template and not _is_data(text[template[1] : template[2]]) else None


def _is_data(text: str) -> bool:
    try:
        filled = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return any(value not in ("", "...", 0, None, []) for value in filled.values())


def without_wish(text: str) -> str:
    """What a message says besides the object that it shows or lists: the text to read where wish and text are one message."""
    template, bullets = find_template(text, _shown), _BULLETS.search(text)
    span = template[1:] if template else bullets.span() if bullets else None
    if span is None:
        return text
    behind = re.sub(r"^[\s.:;,`]+(?:text|input|message|document)?\s*:?\s*", "", text[span[1] :], flags=re.I).strip(
        "` \n"
    )
    before = text[: span[0]].rstrip("`: \n")
    if len(behind) >= LEAST_TEXT:
        return behind
    paragraphs = re.split(r"\n[ \t]*\n", before)
    return "\n\n".join(paragraphs[:-1]) if len(paragraphs) > 1 else text


def _listed_keys(text: str) -> dict[str, str]:
    """Keys that a sentence or bullets name, with what stands in brackets behind them."""
    bullets = _BULLETS.search(text)
    found = _BULLET.findall(bullets.group(1)) if bullets else []
    if found:
        return {name: note or said for name, note, said in found}
    listed = _KEY_LIST.search(text) or _AS_JSON.search(text) or _QUOTED_LIST.search(text)
    found = _LISTED_KEY.findall(listed.group(1)) if listed else []
    return {name: note for quote, name, note in found if quote or name not in ("and", "the")}


def _shown(key: str, value: str) -> dict[str, Any]:
    """The schema of one key by the way its value is written."""
    usual = _usual_type(key)
    plain = value.strip().strip("\"'<>").strip()
    span = _SPAN.match(plain)
    if span:
        number = "number" if float(span.group(2)) <= 1 or "." in plain else "integer"
        return {"type": number, "minimum": float(span.group(1)), "maximum": float(span.group(2))}
    if _DAY.match(plain):
        return {"type": "string", "format": "date"}
    plain = re.sub(r"^(?:an?|the) (?=\w)", "", plain, flags=re.I)
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
    listed = _ONE_OF.sub("", value.strip("<> "))
    commas = (
        r"\s*,\s*(?:or\s+)?|\s+or\s+|" if listed != value.strip("<> ") else r"(?<=[\"'])\s*,\s*(?:or\s+)?(?=[\"'])|"
    )
    cut = re.split(rf"{commas}\s*\|\s*|(?<=[\"'])\s+or\s+(?=[\"'])", listed.strip("()[]"))
    parts = [part.strip().strip("\"'` ") for part in cut]
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

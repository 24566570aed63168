"""What tools answered: facts for further calls, complaints to heed, and sentences to tell the user.

A result is JSON or text. JSON is read as leaves with their key paths; an error is recognised by its keys or words,
and a suggestion in it ("did you mean", "must be one of", a format) corrects the argument that was refused.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simllm.skills.conforming import fits_text, within
from simllm.skills.field_words import MONEY_WORDS
from simllm.skills.fields import Field, leaves, split_name
from simllm.skills.filling import value_of
from simllm.skills.mentions import find_mentions
from simllm.skills.words import stem, terms
from simllm.tools import Tool

_ERROR_KEY = re.compile(r"^(?:error|errors|error_message|exception|fault|failure)$", re.I)
_ERROR_TEXT = re.compile(
    r"^\W*(?:\w*error\b|failed|failure|invalid\b|unknown\b|bad request|exception|not found\b|no such\b|4\d\d\b|5\d\d\b)",
    re.I,
)
_NOTHING = re.compile(
    r"\b(?:not found|nothing found|no (?:results?|match(?:es)?|records?|such|entry|entries|data)|does not exist|unknown)\b",
    re.I,
)
_MEANT = re.compile(
    r"\b(?:did you mean|do you mean|try|use|perhaps|maybe|instead use|should be|closest (?:match|is)|suggest(?:ion|ed)?s?|nearest|expected|must be|allowed values?(?: are)?|one of|available|valid (?:values?|options?)(?: are)?)\b\W*([^?\n]+)",
    re.I,
)


@dataclass(frozen=True)
class Leaf:
    """One value of a JSON result: the keys above it, the list position it stands under (or 0), the value."""

    keys: tuple[str, ...]
    item: int
    value: Any

    @property
    def key(self) -> str:
        return self.keys[-1] if self.keys else ""


@dataclass(frozen=True)
class Answered:
    """A call and its result."""

    name: str
    arguments: Mapping[str, Any]
    text: str

    @property
    def data(self) -> Any:
        """The result as JSON; None when it is text."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None

    @property
    def leaves(self) -> list[Leaf]:
        return list(_leaves(self.data, (), 0))

    @property
    def error(self) -> str:
        """What went wrong; "" when nothing did."""
        data = self.data
        if isinstance(data, dict):
            found = [leaf for leaf in self.leaves if any(_ERROR_KEY.match(key) for key in leaf.keys) and leaf.value]
            if found:
                others = [str(leaf.value) for leaf in self.leaves if not isinstance(leaf.value, bool)]
                return " ".join(others) or "error"
            if (
                data.get("ok") is False
                or data.get("success") is False
                or str(data.get("status")).lower() in ("error", "failed", "invalid")
            ):
                return " ".join(str(leaf.value) for leaf in self.leaves)
            return ""
        return (
            self.text.strip() if isinstance(data, str | type(None)) and _ERROR_TEXT.match(self.text.strip(' "')) else ""
        )


def _leaves(value: Any, keys: tuple[str, ...], item: int) -> Iterator[Leaf]:
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, (*keys, str(key)), item)
    elif isinstance(value, list):
        for i, child in enumerate(value[:50]):
            yield from _leaves(child, keys, i)
    else:
        yield Leaf(keys, item, value)


def from_results(field: Field, answered: Sequence[Answered], need: str) -> tuple[float, Any]:
    """(fit, value) for a parameter among the results' values; (0, None) when there is none.

    The key decides: the same name, the same words, a last part that is the same ("plant": {"id": …} for plant_id), or
    both an amount of money; else a value that meets the parameter's pattern or is one of its options.
    """
    best: tuple[float, Any] = (0.0, None)
    said = set(terms(need))
    for age, call in enumerate(reversed(answered)):
        if call.error:
            continue
        found = call.leaves
        for leaf in found:
            value = _as(field, leaf.value)
            if value is None:
                continue
            score = _key_fit(field, leaf)
            if score <= 0:
                continue
            about = {t for other in found if other.item == leaf.item for t in terms(str(other.value))}
            score += 0.3 * len(said & about) / (len(said) + 1) - 0.1 * age - 0.01 * abs(leaf.item - _wanted_item(need))
            if score > best[0]:
                best = (score, value)
    return best


def _wanted_item(need: str) -> int:
    """Which of several the need speaks of, from 0."""
    if re.search(
        r"\b(?:second|previous|prior|before the (?:last|latest|newest|current)|one before|next to last)\b", need, re.I
    ):
        return 1
    return 2 if re.search(r"\bthird\b", need, re.I) else 0


def _as(field: Field, value: Any) -> Any:
    kind = field.kind
    if value is None or isinstance(value, bool) != (kind == "boolean"):
        return None
    if kind == "enum":
        return next((option for option in field.schema["enum"] if str(option).lower() == str(value).lower()), None)
    if kind == "string":
        text = str(value)
        return text if fits_text(text, field.schema) else None
    if kind in ("number", "integer") and isinstance(value, int | float):
        fits = within(value, field.schema) and (kind == "number" or float(value).is_integer())
        return (int(value) if float(value).is_integer() else value) if fits else None
    return value if kind == "boolean" else None


def _key_fit(field: Field, leaf: Leaf) -> float:
    own, key = split_name(field.name), split_name(leaf.key)
    above = [part for name in leaf.keys[:-1] for part in split_name(name)]
    if own == key:
        return 1.5
    stems, keys = {stem(w) for w in own}, {stem(w) for w in key}
    if stems == keys:
        return 1.4
    if len(own) > 1 and key == own[-1:] and field.wants == "identity":
        return 1.3 if {stem(w) for w in above} & {stem(w) for w in own[:-1]} else 1.0
    if "pattern" in field.schema and isinstance(leaf.value, str):
        return 0.9
    if field.kind == "enum":
        return 0.8
    if set(own) & MONEY_WORDS and set(key) & MONEY_WORDS and field.kind in ("number", "integer"):
        return 0.7
    rare = {w for w in stems if w not in ("id", "number", "name", "code", "date", "type", "new")}
    if rare & keys and (field.wants != "identity" or "id" in keys or "number" in keys or "code" in keys):
        return 0.7
    return 0.0


def corrected(call: Answered, tool: Tool) -> dict[str, Any] | None:
    """The arguments of a refused call with what the refusal suggests; None when it suggests nothing new."""
    fields = {f.name: f for f in leaves(tool.parameters) if len(f.path) == 1}
    suggestions = [match.group(1) for match in _MEANT.finditer(call.error)]
    best: tuple[float, str, Any] = (0.0, "", None)
    for text in [*reversed(suggestions), call.error]:
        for mention in find_mentions(text):
            for name, field in fields.items():
                value, _ = value_of(field, mention) if field.kind != "enum" else (_as(field, mention.text), 0)
                old = call.arguments.get(name)
                if (
                    value is None
                    or value == old
                    or name not in call.arguments
                    or mention.kind == "phrase"
                    and text is call.error
                ):
                    continue
                alike = difflib.SequenceMatcher(None, str(old).lower(), str(value).lower()).ratio()
                named = any(stem(w) in terms(call.error) for w in split_name(name))
                score = alike + 0.3 * named + 0.2 * (text is not call.error)
                if score > best[0]:
                    best = (score, name, value)
        for name, field in fields.items():
            for option in field.schema.get("enum", ()):
                if (
                    str(option).lower() in text.lower()
                    and option != call.arguments.get(name)
                    and name in call.arguments
                ):
                    alike = difflib.SequenceMatcher(
                        None, str(call.arguments[name]).lower(), str(option).lower()
                    ).ratio()
                    if alike + 0.4 > best[0]:
                        best = (alike + 0.4, name, option)
    return {**call.arguments, best[1]: best[2]} if best[0] >= 0.7 else None


def nothing_found(call: Answered) -> bool:
    """Whether a result says that there is no such thing."""
    return (
        bool(_NOTHING.search(call.error))
        or call.data in ([], {})
        or isinstance(call.data, dict)
        and bool(call.data)
        and all(v == [] for v in call.data.values())
    )

"""Say what a task skill decided, in the form that the prompt wants: a word, a number, a list, JSON.

A skill returns an `Outcome`: its value, how it would pick among offered words, and why. One function turns it into
text, another fills any JSON schema with it, so every task skill answers in every form. A pure function of both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simllm.schema import ReplyFormat, schema_types
from simllm.skills.words import terms

_KEY = re.compile(r"[\"'`]([A-Za-z_][\w-]{0,40})[\"'`]\s*:\s*(\[|\"[^\"\n]*\"|[^,}\n]*)")
_KEY_LIST = re.compile(
    r"\b(?:keys?|fields?|propert(?:y|ies)|attributes?)\b(?: (?:named|called|are|is))?[ :]*((?:[\"'`]?[a-z_][\w-]*[\"'`]?(?: \([^()\n]*\))?(?:,? and |, ?|(?=[.;\n]|$)))+)",
    re.I,
)
_CRITERIA = re.compile(
    r"\b(?:score|rate|grade|assess|evaluate|judge)(?: the (?:answer|response|reply|text)(?:'s)?)?(?: (?:for|on|by|its|in))?(?: its)? "
    r"((?:[a-z]+, )+[a-z]+,? and [a-z]+|[a-z]+ and [a-z]+)\b[^.\n]{0,30}?(?:\b(?:from|on a scale|between|each)\b|\(?\d)",
    re.I,
)
_JSON = re.compile(r"\bjson\b", re.I)
_RANGE = re.compile(
    r"\b(?:from|between|scale(?: of)?|score(?: of)?|rat(?:e|ing)\b[^.\n]{0,60}?)\s*\(?(-?\d+(?:\.\d+)?)\)?[^.\d\n]{0,30}?(?:to|and|through|[-–—])\s*\(?(\d+(?:\.\d+)?)|"
    r"\b(\d+(?:\.\d+)?)\s*(?:to|[-–—])\s*(\d+(?:\.\d+)?)\b(?=[^.\n]{0,40}\b(?:scale|score|rating|points?|stars?)|\s*[).(,]|\s*\W*$)|"
    r"\b(\d)\s*\([^()]{2,60}\)\s*(?:to|and|[-–—])\s*(\d+)",
    re.I,
)
_NOT_ONLY = re.compile(
    r"\b(?:explain\w*|reason(?:s|ing)?|justif\w*|why|rationale|explanation|step by step|think)\b", re.I
)
_NO_REASON = re.compile(
    r"\b(?:no|without|not|don['’]t|do not|never)\b[^.\n]{0,25}\b(?:expla\w+|reason\w*|justif\w*|anything else|comment\w*|other text)|"
    r"\b(?:only|just|single|one|exactly)\b[^.\n]{0,30}\b(?:word|number|label|digit|letter|integer|name)\b|\bnothing else\b",
    re.I,
)
_REASON_FIRST = re.compile(
    r"\b(?:first|then|before|finally|last line|end with|final line|conclude|step by step|followed by (?:the |your |a )?(?:verdict|score|label|rating))\b",
    re.I,
)
_PREFIX = re.compile(
    r"[\"'`*]*\b((?:final )?(?:verdict|score|rating|label|category|class|answer|grade|decision|judge?ment|result|winner))\b[\"'`*]*:[ *]*(?=[<\[{(\"'`*]|$|\d\b|[\w-]+ ?[|/])",
    re.I | re.M,
)
_REASONS = set(
    terms("reason reasoning rationale explanation explain justification why analysis thought thinking comment")
)
_QUOTES = set(terms("quote evidence excerpt snippet support_quote"))
_CONFIDENCE = set(terms("confidence probability certainty likelihood"))
_NEGATIVE_FLAG = re.compile(r"hallucinat|contradict|unsupported|incorrect|wrong|irrelevant|invalid|fail|error", re.I)


@dataclass(frozen=True)
class Outcome:
    """What a skill decided.

    Attributes:
        text: the value in words, as the prompt spells it.
        score: how good or sure it is, in [0, 1].
        reason: one or two sentences.
        quote: the words of the prompt that it rests on.
        items: the value as a list.
        flag: the value as yes or no.
        pick: chooses among words that a schema offers; None picks `text`.
        children: outcomes for the items of a list of objects.
    """

    text: str
    score: float = 1.0
    reason: str = ""
    quote: str = ""
    items: tuple[str, ...] = ()
    flag: bool = True
    pick: Callable[[Sequence[str]], str] | None = None
    children: tuple[Outcome, ...] = ()


@dataclass(frozen=True)
class Scale:
    """The numbers that a score may take; `whole` without decimals."""

    low: float
    high: float
    whole: bool = True

    def place(self, share: float) -> float | int:
        """A share in [0, 1] as a number of this scale."""
        value = self.low + min(max(share, 0.0), 1.0) * (self.high - self.low)
        return int(value + 0.5) if self.whole else round(value, 2)


def read_scale(text: str) -> Scale | None:
    """The range of scores that a text speaks of, e.g. "from 1 to 5"; None when it names none."""
    for found in _RANGE.finditer(text):
        low, high = (float(number) for number in found.groups() if number is not None)
        if low < high <= 100:
            decimals = high <= 1 or "." in found.group(0)
            return Scale(low, high, not decimals)
    return None


def write(outcome: Outcome, wanted: ReplyFormat, instructions: str) -> str:
    """The reply, in the form that request and instructions ask for."""
    schema = wanted.schema if wanted.kind == "json_schema" else None
    if schema is None and (wanted.kind == "json_object" or _wants_json(instructions)):
        schema = _shown_schema(instructions)
    if schema is not None:
        return json.dumps(fill("", schema, outcome, instructions), ensure_ascii=False)
    prefix = _PREFIX.search(instructions)
    value = f"{_sentence_case(prefix.group(1))}: {outcome.text}" if prefix else outcome.text
    asks = outcome.reason and _NOT_ONLY.search(instructions)
    if not asks or (_NO_REASON.search(instructions) and not _REASON_FIRST.search(instructions)):
        return value
    if _REASON_FIRST.search(instructions):
        return f"{outcome.reason}\n{value}"
    return f"{value}\n{outcome.reason}" if prefix else f"{value}. {outcome.reason}"


def is_verdict(schema: Mapping[str, Any]) -> bool:
    """Whether one decision fills all of an object: a choice, with a sureness, a reason or a quote beside it."""
    others = [
        name
        for name, child in schema.get("properties", {}).items()
        if "enum" not in child and not set(terms(name)) & (_REASONS | _QUOTES | _CONFIDENCE)
    ]
    return not others


def _sentence_case(text: str) -> str:
    return text[:1].upper() + text[1:]


def _wants_json(text: str) -> bool:
    return bool(_JSON.search(text)) and bool(
        re.search(r"\b(?:keys?|fields?|object|array|only|as|in|valid)\b|\{", text, re.I)
    )


def _shown_schema(text: str) -> dict[str, Any]:
    """The object or array that the prompt shows or lists; {"answer": ...} when it shows none."""
    shown = [(key, value) for key, value in _KEY.findall(text)]
    if not shown:
        if re.search(r"\bjson (?:array|list)\b|\b(?:array|list) of strings\b", text, re.I):
            return {"type": "array", "items": {"type": "string"}}
        criteria = _CRITERIA.search(text)
        if criteria:
            names = [name for name in re.findall(r"[a-z]+", criteria.group(1).lower()) if name != "and"]
            return {"type": "object", "properties": {name: {"type": "integer"} for name in names}}
        listed = _KEY_LIST.search(text)
        named = re.sub(r"\([^()]*\)", "", listed.group(1)) if listed else ""
        shown = [(name, "") for name in re.findall(r"[A-Za-z_][\w-]*", named) if name not in ("and", "only", "in")]
    return {"type": "object", "properties": {key: _shown_type(key, value) for key, value in shown or [("answer", "")]}}


def _shown_type(key: str, value: str) -> dict[str, Any]:
    names = set(terms(key))
    value = value.strip().strip("<>").lower()
    if value.startswith("[") or re.search(r"\b(?:list|array)\b", value):
        return {"type": "array", "items": {"type": "string"}}
    if re.fullmatch(r"true|false|(?:true|false)\s*(?:/|\||or)\s*(?:true|false)|bool(?:ean)?", value):
        return {"type": "boolean"}
    if names & _CONFIDENCE:
        return {"type": "number"}
    if names & _REASONS or names & _QUOTES or value.startswith('"'):
        return {"type": "string"}
    if re.search(r"\d|int|number|float", value) or names & set(terms("score rating grade stars points")):
        return {"type": "number" if "float" in value or "0.0" in value else "integer"}
    if key.lower() in ("queries", "variants", "questions", "rewrites", "paraphrases", "versions", "points", "items"):
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "string"}


def fill(name: str, schema: Mapping[str, Any], outcome: Outcome, instructions: str = "") -> Any:
    """A value that the schema node allows.

    Args:
        name: the field that the node describes; "" for the whole reply.
        schema: a plain schema node (no references, no unions).
        outcome: what to say.
        instructions: where the scale of a number stands when the schema does not say it.
    """
    if "const" in schema:
        return schema["const"]
    types = schema_types(schema)
    kind = next((one for one in types if one != "null"), "null")
    names = set(terms(name))
    if "enum" in schema:
        return _pick(schema["enum"], outcome, instructions)
    if kind == "object":
        return {key: fill(key, child, outcome, instructions) for key, child in schema.get("properties", {}).items()}
    if kind == "array":
        return _list(name, schema, outcome, instructions)
    if kind == "boolean":
        return outcome.flag != bool(_NEGATIVE_FLAG.search(name))
    if kind in ("number", "integer"):
        return _number(names, schema, outcome, instructions, whole=kind == "integer")
    if kind != "string":
        return None
    if names & _REASONS:
        return outcome.reason
    return outcome.quote if names & _QUOTES else outcome.text


def _pick(options: Sequence[Any], outcome: Outcome, instructions: str) -> Any:
    words = [option for option in options if isinstance(option, str)]
    numbers = sorted(option for option in options if isinstance(option, int | float) and not isinstance(option, bool))
    if numbers and not words:
        scale = Scale(numbers[0], numbers[-1], False)
        return min(numbers, key=lambda number: abs(number - scale.place(outcome.score)))
    if not words:
        return outcome.flag if outcome.flag in options else options[0]
    digits = [word for word in words if word.isdigit()]
    if len(digits) == len(words):
        place = Scale(min(map(int, digits)), max(map(int, digits))).place(outcome.score)
        return min(digits, key=lambda digit: abs(int(digit) - place))
    if outcome.pick is not None:
        return outcome.pick(words)
    same = [word for word in words if word.casefold() == outcome.text.casefold()]
    return same[0] if same else words[0]


def _number(
    names: set[str], schema: Mapping[str, Any], outcome: Outcome, instructions: str, *, whole: bool
) -> float | int:
    described = str(schema.get("description", ""))
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        scale = Scale(float(low), float(high), whole)
    elif names & _CONFIDENCE:
        scale = Scale(0.0, 1.0, whole)
    else:
        scale = read_scale(described) or read_scale(instructions) or Scale(0.0, 1.0, whole)
    if whole and not scale.whole:
        scale = Scale(scale.low, scale.high)
    return scale.place(outcome.score)


def _list(name: str, schema: Mapping[str, Any], outcome: Outcome, instructions: str) -> list[Any]:
    items = schema.get("items", {"type": "string"})
    kind = next((one for one in schema_types(items) if one != "null"), "null")
    if kind == "object":
        children = outcome.children or tuple(Outcome(item, outcome.score, outcome.reason) for item in outcome.items)
        values: list[Any] = [fill(name, items, child, instructions) for child in children or (outcome,)]
    elif kind == "string" and "enum" not in items:
        values = list(outcome.items or ([outcome.text] if outcome.text else []))
    else:
        values = [fill(name, items, outcome, instructions)]
    fewest, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 64))
    while values and len(values) < fewest:
        values.append(values[-1])
    return values[:most]

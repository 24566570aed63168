"""Choose among given options (enums) and say yes or no (booleans), from what a text says.

An option is taken when the text has its words, else by related words of general vocabulary (units, order, urgency),
else by similarity in meaning. A yes/no field is set when the text speaks of it; negations on either side flip it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simllm.skills.amounts import CURRENCIES
from simllm.skills.evidence import Evidence, negative
from simllm.skills.fields import Field, split_name
from simllm.skills.languages import LANGUAGES
from simllm.skills.opposites import OPPOSED
from simllm.skills.words import STOP_WORDS, stem

_STATED = re.compile(r"([A-Za-z][^.:=\n!?;]{2,60}?)\s*[:=?]\s*(yes|no|true|false|y|n|on|off)\b", re.I)
_SAID = re.compile(r"\W{0,3}[:=?]\s*(yes|no|true|false|on|off|y|n)\b", re.I)
MOST_COMPARED = 48  # options of one field
CLEAR = 0.5  # similarity from which an optional field is set without any of its words
BOOLEAN_CLEAR = 0.42
BOOLEAN_LIKELY = 0.25  # a required one is true from here
_WORKING = frozenset(["on", "enabled", "active"])
ASSUMED = 0.4  # score of a yes or no that nobody said
_TURNED = re.compile(
    r"\b(?:turn|switch|put|power|keep|leave|set)(?:s|ed|ing)?\b(?:\s+[\w'-]+){0,5}?\s+(on|off)\b", re.I
)
RELATED = {
    "metric": "celsius centigrade kilometers kilometres meters metres km kg",
    "imperial": "fahrenheit miles feet inches pounds",
    "celsius": "centigrade metric",
    "fahrenheit": "imperial",
    "asc": "cheapest lowest ascending smallest oldest earliest increasing",
    "desc": "highest descending largest decreasing priciest expensive",
    "ascending": "cheapest lowest smallest oldest earliest increasing",
    "descending": "highest largest newest latest decreasing",
    "newest": "latest recent newest",
    "oldest": "oldest earliest",
    "high": "urgent urgently important asap critical immediately",
    "urgent": "asap immediately emergency critical",
    "critical": "emergency outage down",
    "low": "whenever minor someday",
    "day": "daily", "daily": "day", "week": "weekly", "weekly": "week", "month": "monthly", "monthly": "month",
    "year": "yearly annual annually", "yearly": "year annual annually", "hourly": "hour", "hour": "hourly",
    "none": "nothing no without",
    "gt": "over above exceeds more greater higher", "lt": "under below less fewer lower",
    "gte": "least", "lte": "most",
}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """An option, how sure it is (about 0 to 1), and the words that say it."""

    value: Any
    score: float
    span: tuple[int, int] | None = None


def choose(field: Field, evidence: Evidence, *, closed: Sequence[tuple[int, int]] = ()) -> list[Choice]:
    """All options of an enum, best first; `closed` are spans that other fields have used."""
    options = [option for option in field.schema["enum"] if option is not None]
    texts = [_spoken(option) for option in options]
    made = [_by_words(option, text, field, evidence, closed) for option, text in zip(options, texts, strict=True)]
    if max((choice.score for choice in made), default=0) < 0.7:
        chosen = _shortlist(texts, evidence)
        spoken = [texts[i] for i in chosen]
        plain, _ = evidence.similarity(spoken)
        named, _ = evidence.similarity([text if text in RELATED else f"{field.label} {text}" for text in spoken])
        for row, i in enumerate(chosen):
            near = max(float(plain[row].max()), 0.95 * float(named[row].max())) if plain.size else 0.0
            if near > made[i].score:
                made[i] = Choice(made[i].value, near)
    return sorted(made, key=lambda choice: -choice.score)


def _shortlist(texts: Sequence[str], evidence: Evidence) -> list[int]:
    """The options that are compared by the slow embedding: all, or of very many those that static vectors find near."""
    if len(texts) <= MOST_COMPARED:
        return list(range(len(texts)))
    near = evidence.kinship([evidence.text], texts)[0]
    return sorted(sorted(range(len(texts)), key=lambda i: (-float(near[i]), i))[:MOST_COMPARED])


def _spoken(option: Any) -> str:
    """An option in words; a language code as the language's name."""
    text = str(option)
    return LANGUAGES.get(text.lower().split("-")[0], "") or " ".join(split_name(text)) or text


def _by_words(option: Any, text: str, field: Field, evidence: Evidence, closed: Sequence[tuple[int, int]]) -> Choice:
    raw = str(option)
    found = re.search(rf"(?<![\w]){re.escape(raw)}(?![\w])", evidence.text, re.I)
    for found in re.finditer(rf"(?<![\w]){re.escape(raw)}(?![\w])", evidence.text, re.I if len(raw) > 2 else 0):
        if not _closed(found.span(), closed):
            return Choice(option, 1.0 + _beside(found.start(), field, evidence), found.span())
    words = text.split()
    span = evidence.find_words(words)
    if span and not _closed(span, closed):
        return Choice(option, 0.95 + _beside(span[0], field, evidence), span)
    for mention in evidence.mentions:
        if mention.unit == raw and raw in CURRENCIES.values() and not _closed((mention.start, mention.end), closed):
            return Choice(option, 0.98 + _beside(mention.start, field, evidence), (mention.start, mention.end))
    if raw in CURRENCIES.values():
        for word, start, end in evidence.words:
            if CURRENCIES.get(evidence.text[start:end].lower(), CURRENCIES.get(word)) == raw and not _closed(
                (start, end), closed
            ):
                return Choice(option, 0.96 + _beside(start, field, evidence), (start, end))
    related = {stem(w) for word in words for w in RELATED.get(word, "").split()}
    hit = next(((start, end) for word, start, end in evidence.words if word in related), None)
    if hit:
        return Choice(option, 0.8 + 0.01 * len(set(words) & {w for w, _, _ in evidence.words}), hit)
    stems = [stem(word) for word in words]
    share = sum(len(word) > 2 and _alike(word, evidence) for word in stems) / max(1, len(stems))
    return Choice(option, 0.6 * share)


def _same_root(word: str, other: str) -> bool:
    return len(word) > 4 and len(other) > 4 and word[:4] == other[:4] and abs(len(word) - len(other)) < 4


def _alike(word: str, evidence: Evidence) -> bool:
    """Whether the text has a word of the same root."""
    root = word[: max(4, len(word) - 3)]
    return (
        word in evidence.stems
        or len(word) > 4
        and any(other.startswith(root) and abs(len(other) - len(word)) <= 4 for other in evidence.stems)
    )


def _closed(span: tuple[int, int], closed: Sequence[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in closed)


def _beside(position: int, field: Field, evidence: Evidence) -> float:
    """A bonus when the words before or after belong to the field."""
    near = evidence.text[max(0, position - 30) : position + 30].lower()
    words = re.findall(r"[a-z]+", near)
    before = re.findall(r"[a-z]+", evidence.text[max(0, position - 30) : position].lower())[-3:]
    if any(
        m.kind == "number" and m.end <= position <= m.end + 1 or m.start <= position < m.end
        for m in evidence.mentions
        if m.number is not None and m.unit
    ):
        return (
            0.3
            if field.own & {"from", "source", "origin", "unit", "currency"}
            else -0.1
            if field.own & {"to", "target", "destination"}
            else 0.0
        )
    bonus = 0.1 * any(stem(word) in field.stems for word in words)
    return bonus + 0.2 * any(word in field.leads for word in before[-2:])


def _stated(field: Field, evidence: Evidence) -> bool | None:
    """The yes or no behind a label that says what the description says: "We may call back: no"."""
    best: tuple[float, bool | None] = (0.5, None)
    for match in _STATED.finditer(evidence.text):
        label = {stem(word) for word in re.findall(r"[a-z]+", match.group(1).lower()) if word not in STOP_WORDS}
        share = len(label & (field.about | field.stems)) / len(label) if label else 0.0
        if share > best[0]:
            best = share, match.group(2).lower() in ("yes", "true", "y", "on")
    return best[1]


def decide(field: Field, evidence: Evidence) -> Choice | None:
    """True or false for a boolean field; None when the text does not speak of it."""
    for word in field.stems:
        for other, _, end in evidence.words:
            said = _SAID.match(evidence.text, end) if other == word or _same_root(other, word) else None
            if said:
                return Choice(said.group(1).lower() in ("yes", "true", "on", "y", "x"), 1.0)
    stated = _stated(field, evidence)
    if stated is not None:
        return Choice(stated, 1.0)
    if any(
        word[2:] in field.stems
        and word[:2] in ("in", "un", "im")
        or word[3:] in field.stems
        and word[:3] in ("non", "dis")
        for word, _, _ in evidence.words
    ):
        return Choice(False, 0.9)
    stems = [s for s in field.stems if s not in ("is", "ha", "only", "includ", "wants", "enabl", "allow", "with")]
    for word, start, end in evidence.words:
        if (
            word in stems
            and len(stems) == 1
            or len(stems) > 1
            and word in stems
            and set(stems) <= {w for w, s, _ in evidence.words if abs(s - start) < 60}
        ):
            last = max(s for w, s, _ in evidence.words if w in stems and abs(s - start) < 60)
            value = not evidence.negated(max(start, last))
            if negative(field.label) or "exclud" in field.stems:
                value = True
            return Choice(value, 1.0, (start, end))
    turned = _TURNED.search(evidence.text) if field.own & {"on", "off", "active"} else None
    if turned:
        return Choice((turned.group(1).lower() == "on") == ("off" not in field.own), 1.0, turned.span(1))
    if len(stems) == 1:
        against = next(((s, e) for word, s, e in evidence.words if word in OPPOSED.get(stems[0], ())), None)
        if against:
            return Choice(evidence.negated(against[0]), 0.8, against)
    described = f"{field.label}: {field.description}" if field.description else field.label
    cosines, parts = evidence.similarity([described, field.label], parts="clauses")
    best = cosines.max(axis=0)
    at = int(best.argmax())
    if float(best[at]) < BOOLEAN_CLEAR:
        return (
            Choice(float(best[at]) > BOOLEAN_LIKELY or bool(field.own & _WORKING), ASSUMED) if field.required else None
        )
    return Choice(negative(parts[at][1]) == negative(described), float(best[at]))

"""One mention as a value of one field: does its kind suit, and what does it look like there.

Dates become ISO, times HH:MM, amounts change unit where the field names its own ("_minutes", "in grams"). Scores say
how well the kind suits the field, before any look at the words around it. Pure functions.
"""

from __future__ import annotations

import re
from itertools import pairwise

from simllm.skills.amounts import CURRENCIES
from simllm.skills.conforming import fits_text
from simllm.skills.field_words import ADDRESSEES, MONEY_WORDS, PARTY_WORDS, PERSON_WORDS, PLACE_WORDS
from simllm.skills.fields import Field, shape, split_name
from simllm.skills.languages import CODES
from simllm.skills.measures import MEASURES, unit_name
from simllm.skills.mention import Mention
from simllm.skills.phrases import FIRM
from simllm.skills.words import stem

_PIECES = frozenset(["x", "×", "piece", "pieces", "pcs", "units", "unit"])
_COUNT_WORDS = frozenset(
    ["count", "number", "quantity", "limit", "max", "many", "people", "persons", "person", "guests"]
)
_COUNTS = frozenset(["quantity", "qty", "count", "pieces"])
CODED = 0.32  # for a form that says itself that it is some code, where nothing better is wanted
_CODES = ("ip", "coordinates", "path", "uuid", "identifier")
_ADDRESSED = frozenset(["address", "street", "location", "place", "where", "site", "pickup", "road"])
PERCENT_WORDS = frozenset(["percent", "percentage", "rate", "share", "pct"])


def number_for(target: Field, mention: Mention) -> tuple[float | None, float]:
    """The amount in the field's unit, and how well it suits."""
    if mention.number is None or mention.kind not in ("number", "identifier"):
        return None, 0.0
    amount, score = mention.number, 0.3 if mention.kind == "number" else 0.1
    named = [w for before, w in pairwise(("", *split_name(target.name))) if before != "per"]
    named += ["m2"] if re.search(r"m2|sqm|square", target.name) else []
    words = (
        frozenset(named)
        | frozenset(part for name in target.path[:-1] for part in split_name(name))
        | frozenset(re.findall(r"[a-z°%]+", target.description.lower()))
    )
    unit = unit_name(mention.unit)
    measure = next((m for m in MEASURES if unit in m), None)
    if measure:
        wanted = next(
            (w for w in (*sorted(named), *sorted(words)) if unit_name(w) in measure and (len(w) > 1 or w in named)),
            None,
        )
        if wanted and unit_name(wanted) in measure:
            amount = round(amount * measure[unit] / measure[unit_name(wanted)], 6)
            score += 0.55
        elif words & {"duration", "length", "distance", "weight", "size", "period", "back", "temperature"}:
            score += 0.15
        elif stem(mention.unit.lower()) not in {stem(word) for word in words}:
            score -= (
                0.35
                if any(unit_name(w) in m and len(w) > 1 for w in target.own for m in MEASURES)
                or words & MONEY_WORDS - {"amount", "total", "sum", "balance"}
                or not target.required
                else 0.12
            )
    if words & MONEY_WORDS and re.search(r"\.\d\d\b", mention.text):
        score += 0.15
    if mention.unit in CURRENCIES.values() and target.own & _COUNTS:
        return None, 0.0
    if mention.unit in CURRENCIES.values():
        score += (
            0.45 if words & (MONEY_WORDS | {"eur", "euro", "usd", "dollar", "dollars", "gbp", "currency"}) else -0.1
        )
    elif mention.unit == "%":
        score += 0.45 if words & PERCENT_WORDS or "%" in words else 0.0 if target.required else -0.2
    elif mention.unit and measure is None and words & MONEY_WORDS:
        score -= 0.1
    if mention.unit.lower() in ("year", "years") and "age" in target.own:
        score += 0.45
    if mention.unit.lower() in _PIECES and target.kind == "integer":
        score += 0.25
    if not mention.unit and words & _COUNT_WORDS:
        score += 0.1
    if (
        mention.unit
        and stem(mention.unit.lower()) in {stem(word) for word in target.own}
        or mention.unit
        and stem(mention.unit.lower()) in target.about
    ):
        score += 0.35
    return amount, score


def text_for(target: Field, mention: Mention) -> tuple[str, float]:
    """The mention as the field's text, and how well its kind suits; ("", 0) when it cannot be one."""
    wants, kind = target.wants, mention.kind
    if wants in ("date", "time", "date-time", "month"):
        return _when(wants, target, mention)
    if kind == "number" and "unit" in target.own and mention.unit:
        return mention.unit, 0.8
    if "currency" in target.own and "pattern" not in target.schema:
        return _currency(mention)
    if wants in ("email", "url", "phone", "ip"):
        return (mention.text, 0.9) if kind == wants else ("", 0.0)
    code = CODES.get(mention.text.lower()) if "language" in target.own and _takes_code(target) else None
    if code and fits_text(code, target.schema):
        return code, 0.8
    if "pattern" in target.schema and not fits_text(mention.text, target.schema):
        return _respelled(target, mention)
    text = mention.text
    if kind == "number" and (mention.unit or not re.search(r"\d", text)):
        return "", 0.0
    if kind == "when":
        return (text, 0.0) if wants == "text" else ("", 0.0)
    head, _, tail = text.partition(" ")
    if kind == "name" and tail and stem(head.lower()) in target.stems:
        text = tail
    score = _TEXT_SCORES[wants].get(kind, CODED if kind in _CODES else 0.0)
    if kind == "quoted" and target.own & (PERSON_WORDS | PLACE_WORDS) - {"name"}:
        score -= 0.4
    if score <= 0.0:
        return "", 0.0
    if target.example and re.search(r"\d", target.example):
        alike = shape(text) == shape(target.example)
        score += (
            (0.6 if _letters(text) == _letters(target.example) else -0.2)
            if alike
            else -0.35
            if wants == "identity"
            else -0.1
        )
    if wants == "open" and kind == "name":
        score += 0.1 * bool(target.own & (PERSON_WORDS | PLACE_WORDS | PARTY_WORDS))
        score += 0.2 * bool(target.own & PARTY_WORDS and FIRM.search(text))
    if wants == "open" and kind == "email" and target.own & ADDRESSEES:
        score += 0.8
    if wants == "open" and kind == "address":
        score += 0.3 if target.own & _ADDRESSED else -0.3 if target.own & PLACE_WORDS else 0.0
    if wants == "identity" and kind == "name":
        score = 0.65 if re.search(r"\d", text) or "pattern" in target.schema else 0.0
    return (text, score) if score > 0 else ("", 0.0)


def _currency(mention: Mention) -> tuple[str, float]:
    """The ISO 4217 code of an amount's currency, or of a currency that stands alone."""
    if mention.kind == "number":
        return (mention.unit, 0.8) if mention.unit in CURRENCIES.values() else ("", 0.0)
    code = CURRENCIES.get(mention.text.lower())
    return (code, 0.7) if code else ("", 0.0)


def _takes_code(target: Field) -> bool:
    """Whether a language is wanted as its ISO 639-1 code."""
    return (
        "pattern" in target.schema
        or "639" in target.description
        or re.fullmatch(r"[a-z]{2}", target.example) is not None
    )


def _letters(text: str) -> str:
    """The leading letters of an identifier."""
    found = re.match(r"[A-Za-z]*", text)
    return found.group().upper() if found else ""


_TEXT_SCORES: dict[str, dict[str, float]] = {
    "identity": {"identifier": 0.6, "uuid": 0.8, "quoted": 0.1, "name": 0.1, "labelled": 0.5, "number": 0.15},
    "text": {"quoted": 0.75, "labelled": 1.4, "following": 0.95, "said": 0.6, "phrase": 0.37, "name": 0.41, "identifier": 0.05},
    "open": {"quoted": 0.65, "labelled": 1.4, "following": 0.15, "name": 0.45, "address": 0.45, "identifier": 0.4, "phrase": 0.37, "url": 0.05, "email": 0.05, "uuid": 0.1},
    "path": {"path": 0.8, "quoted": 0.5, "identifier": 0.3, "phrase": 0.1},
}  # fmt: skip


def _when(wants: str, target: Field, mention: Mention) -> tuple[str, float]:
    if mention.kind != "when":
        return "", 0.0
    if wants == "time":
        if not mention.time:
            return "", 0.0
        for text in (mention.time, f"{mention.time}:00", f"{mention.time}:00Z"):
            if fits_text(text, target.schema):
                return text, 0.6 if mention.day else 0.75
        return "", 0.0
    if not mention.day:
        return "", 0.0
    if wants == "month" or len(mention.day) == 7:
        return (
            (mention.day[:7], 0.6) if wants != "date-time" and fits_text(mention.day[:7], target.schema) else ("", 0.0)
        )
    if wants == "date-time":
        raw = mention.text.replace(" ", "T", 1)
        plain = f"{mention.day}T{mention.time or '00:00'}"
        for text in (raw if "T" in raw[10:11] else "", f"{plain}:00", plain, f"{plain}:00Z"):
            if text and fits_text(text, target.schema):
                return text, 0.8 if mention.time else 0.4
        return "", 0.0
    return mention.day, 0.6 if mention.time else 0.7


def _respelled(target: Field, mention: Mention) -> tuple[str, float]:
    """The mention with blanks, case or marks changed so that it meets the pattern."""
    if mention.kind == "phrase":
        return "", 0.0
    text = mention.text
    for other in (
        text.upper(),
        text.lower(),
        re.sub(r"[\s]+", "", text),
        re.sub(r"\W+", "", text),
        re.sub(r"(?<=[A-Za-z])(?=\d)", "-", text.upper()),
        re.sub(r"\D+", "", text) if mention.kind in ("phone", "identifier") else text,
    ):
        if other and fits_text(other, target.schema):
            return other, 0.5
    return "", 0.0

"""Measures said in words, put the way that `quantities` reads them: "four times a minute" is "every 15 seconds".

Frequencies, compound durations ("3 hours and 20 minutes"), simple fractions ("two fifths of"), "fifteen hundred".
General knowledge of English and of time; nothing else of a text is changed.
"""

from __future__ import annotations

import re

from simllm.skills.quantities import COUNTS
from simllm.skills.time_units import MONTH_SECONDS, MONTHS, SECONDS

_SECONDS = {unit: SECONDS[unit] for unit in ("second", "minute", "hour", "day", "night", "week")} | {
    unit: MONTHS[unit] * MONTH_SECONDS for unit in ("month", "year")
}
_ADVERBS = {
    "hour": "hourly",
    "day": "daily",
    "night": "nightly",
    "week": "weekly",
    "month": "monthly",
    "year": "yearly",
}
_PARTS = {"half": 2, "halve": 2, "third": 3, "quarter": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_COUNT = rf"\d+|{'|'.join(COUNTS[1:])}"
_UNIT = "|".join(_SECONDS)
_OFTEN = re.compile(rf"\b(?:(once|twice)|({_COUNT}) times) (?:an?|per|each|every) ({_UNIT})\b", re.I)
_EVERY = re.compile(rf"\b(?:every|each) ({'|'.join(_ADVERBS)})\b", re.I)
_QUARTERLY = re.compile(r"\bquarterly\b", re.I)
_COMPOUND = re.compile(rf"\b({_COUNT}) ({_UNIT})s?(?: and|,)? ({_COUNT}) ({_UNIT})s?\b", re.I)
_FRACTION = re.compile(rf"\b(an?|{_COUNT}) ({'|'.join(_PARTS)})s?(?= of\b)", re.I)
_HUNDREDS = re.compile(rf"\b({'|'.join(COUNTS[11:20])}) hundred\b", re.I)


def plain_measures(text: str) -> str:
    """The text with frequencies, compound durations and fractions in one spelling.

    >>> plain_measures("It polls four times a minute, for 3 hours and 20 minutes.")
    'It polls every 15 seconds, for 200 minutes.'
    """
    text = _OFTEN.sub(_period, text)
    text = _EVERY.sub(lambda m: _ADVERBS[m.group(1).lower()], text)
    text = _QUARTERLY.sub("every 3 months", text)
    text = _COMPOUND.sub(_duration, text)
    text = _FRACTION.sub(lambda m: f"{100 * _number(m.group(1)) / _PARTS[m.group(2).lower()]:.0f} percent", text)
    return _HUNDREDS.sub(lambda m: f"{100 * _number(m.group(1)):.0f}", text)


def _number(word: str) -> float:
    if word.lower() in ("a", "an"):
        return 1.0
    return float(word) if word.isdigit() else float(COUNTS.index(word.lower()))


def _period(match: re.Match[str]) -> str:
    adverb, count, unit = match.groups()
    times = {"once": 1.0, "twice": 2.0}[adverb.lower()] if adverb else _number(count)
    return _every(_SECONDS[unit.lower()] / times) if times else match.group()


def _every(seconds: float) -> str:
    """A period in the largest unit that it fills a whole number of times."""
    for unit in ("year", "month", "week", "day", "hour", "minute"):
        if seconds == _SECONDS[unit]:
            return _ADVERBS.get(unit, f"every {unit}")
        if seconds > _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"every {seconds / _SECONDS[unit]:.0f} {unit}s"
    return f"every {seconds:g} seconds"


def _duration(match: re.Match[str]) -> str:
    large, unit, small, smaller = match.groups()
    one, other = _SECONDS[unit.lower()], _SECONDS[smaller.lower()]
    if other >= one:
        return match.group()
    return f"{_number(large) * one / other + _number(small):g} {smaller}s"

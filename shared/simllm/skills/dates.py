"""Dates and times in running text.

ISO 8601, the usual English forms ("14 March 2026", "March 14th", "03/14/2026", "7:30 pm"), and relative ones
("tomorrow", "next Friday", "in two weeks"), which are read only when the prompt says what day it is. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
SMALL_NUMBERS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ]
    )
}
_MONTH = "(?P<month>" + "|".join(f"{name[:3]}(?:{name[3:]})?\\.?" if name != "may" else "may" for name in MONTHS) + ")"
_MONTH = _MONTH.replace("sep(?:tember)?", "sep(?:t(?:ember)?)?")
_YEAR = r"(?:,?\s+(?P<year>(?:19|20)\d\d))"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
_DAY_NAME = "(?P<weekday>" + "|".join(f"{name[:3]}(?:{name[3:]})" for name in DAYS) + ")"
_COUNT = r"(?P<count>\d+|an?|" + "|".join(SMALL_NUMBERS) + ")"
_ABSOLUTE = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        r"(?<![\d-])(?P<year>(?:19|20)\d\d)[-/.](?P<number>[01]?\d)[-/.](?P<day>[0-3]?\d)(?!\d)",
        rf"(?<!\d)\b{_DAY}(?:\s+of)?[\s-]+{_MONTH}\b(?:{_YEAR}|-(?P<year2>(?:19|20)\d\d))?",
        rf"\b{_MONTH}\s+(?:the\s+)?{_DAY}\b(?!:){_YEAR}?",
        r"(?<![\d.])(?P<day>[0-3]?\d)\.(?P<number>[01]?\d)\.(?P<year>(?:19|20)\d\d)\b",
        r"(?<![\d/])(?P<first>[0-3]?\d)/(?P<second>[0-3]?\d)/(?P<year>(?:19|20)\d\d|\d\d)\b",
    )
)
_TO = r"(?:st|nd|rd|th)?\s*(?:-|–|—|to|and|until|till|through)\s*(?:the\s+)?"
_RANGE = re.compile(
    rf"(?<![\d:.-])(?P<a>[0-3]?\d){_TO}(?P<b>[0-3]?\d)(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}\b(?:,?\s+(?P<year>(?:19|20)\d\d))?"
    rf"|\b{_MONTH.replace('month', 'month2')}\s+(?P<c>[0-3]?\d){_TO}(?P<d>[0-3]?\d)\b(?!:)(?:,?\s+(?P<year2>(?:19|20)\d\d))?",
    re.I,
)
_MONTH_OF_YEAR = re.compile(
    rf"\b{_MONTH}\s+(?P<year>(?:19|20)\d\d)\b|(?<![\d-])(?P<iso>(?:19|20)\d\d-[01]\d)(?![\d-])", re.I
)
_RELATIVE = re.compile(
    r"\b(?:(?P<word>(?:the\s+)?day after tomorrow|(?:the\s+)?day before yesterday|today|tonight|this (?:morning|afternoon|evening)|"
    r"tomorrow|yesterday)"
    rf"|in\s+{_COUNT}\s+(?P<unit>day|week|month)s?(?:'?\s+time)?"
    rf"|{_COUNT.replace('count', 'ago')}\s+(?P<agounit>day|week|month)s?\s+(?P<back>ago|from (?:now|today))"
    rf"|(?:(?P<which>next|this|coming|last|past)\s+(?:week\s+)?)?{_DAY_NAME}(?P<plus>\s+next week)?"
    r"|(?P<end>(?:the\s+)?end of (?:the|this) month))\b",
    re.I,
)
_TIME = re.compile(
    r"(?<![\d:.])(?<![A-Za-z]-)(?<!:\d\d:\d\d-)(?:(?P<h>[01]?\d|2[0-4])[:.](?P<m>[0-5]\d)(?::[0-5]\d)?\s*(?P<half>[ap]\.?m\b\.?)?|(?P<h2>1[0-2]|0?[1-9])\s*(?P<half2>[ap]\.?m\b\.?)"
    r"|(?P<h3>1[0-2]|[1-9])\s+(?:o'?clock)(?:\s+in the\s+(?P<part>morning|afternoon|evening))?|\b(?P<noon>noon|midday|midnight)\b)(?![\d:])",
    re.I,
)
_SPOKEN_TIME = re.compile(
    rf"\b(?:(?P<how>half|quarter)\s+(?P<side>past|to)|(?P<at>at))\s+(?P<hour>{'|'.join(SMALL_NUMBERS)}|1[0-2]|[1-9])\b(?!\s*(?:[:.%]\d|\w+s\b))"
    r"(?:\s+(?:o'?clock\s*)?(?:in the\s+)?(?P<part>morning|afternoon|evening|[ap]\.?m\b\.?))?",
    re.I,
)
_TODAY = re.compile(
    r"\b(?:today(?:'s date)?|current date|the date|date today|now)\b(?:\s*\([^)]*\))?\W*(?:is\b\W*)?(?:\w+day\W+)?",
    re.I,
)


@dataclass(frozen=True)
class When:
    """A point in time and where the text says it.

    `day` is ISO (YYYY-MM-DD, for a month YYYY-MM), `time` is HH:MM; one of them may be "".
    """

    start: int
    end: int
    day: str = ""
    time: str = ""


def find_today(text: str) -> date | None:
    """The day that the prompt calls today; None when it names none."""
    for mark in _TODAY.finditer(text):
        rest = text[mark.end() : mark.end() + 40]
        for when in _absolute(rest, None):
            if when.start <= 3:
                return date.fromisoformat(when.day)
    return None


def find_whens(text: str, today: date | None) -> list[When]:
    """All dates and times in text order; a time right beside a date gives a third that joins both."""
    found: list[When] = list(_ranges(text, today))
    for when in (*_absolute(text, today), *_relative(text, today), *_months(text), *_times(text)):
        if not any(when.start < other.end and other.start < when.end for other in found):
            found.append(when)
    joined: list[When] = []
    for when in sorted(found, key=lambda w: w.start):
        last = joined[-1] if joined else None
        if (
            last
            and _adjacent(text[last.end : when.start])
            and bool(last.day) != bool(when.day)
            and not (last.day and last.time)
            and not (when.day and when.time)
        ):
            joined.append(When(last.start, when.end, last.day or when.day, last.time or when.time))
            found.append(joined[-1])
        else:
            joined.append(when)
    return sorted(found, key=lambda w: w.start)


def _ranges(text: str, today: date | None) -> Iterator[When]:
    """Both ends of "from 3 to 9 May 2026" and "May 3-9, 2026"."""
    for match in _RANGE.finditer(text):
        first, second = match.group("a") or match.group("c"), match.group("b") or match.group("d")
        month = match.group("month") or match.group("month2")
        year = match.group("year") or match.group("year2")
        for group, day in (("a" if match.group("a") else "c", first), ("b" if match.group("a") else "d", second)):
            made = _made(int(year) if year else None, _month(month), int(day), today)
            if made:
                end = match.end() if group in "b" else match.end(group)
                yield When(match.start(group), end, made.isoformat())


def _adjacent(between: str) -> bool:
    return re.fullmatch(r"\s*(?:,|at|T|on|from|by|@|around)?\s*(?:at\s+)?", between, re.I) is not None


def _absolute(text: str, today: date | None) -> Iterator[When]:
    for pattern in _ABSOLUTE:
        for match in pattern.finditer(text):
            got = match.groupdict()
            if got.get("first"):
                first, second = int(got["first"]), int(got["second"])
                month, day = (second, first) if first > 12 else (first, second)
            else:
                month = int(got["number"]) if got.get("number") else _month(got["month"])
                day = int(got["day"])
            year = got.get("year") or got.get("year2")
            made = _made(int(year) + (2000 if len(year) == 2 else 0) if year else None, month, day, today)
            if made:
                end = match.end()
                time = (
                    re.match(r"[T ](\d\d:\d\d)(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?", text[end:])
                    if got.get("number")
                    else None
                )
                yield When(
                    match.start(), end + (time.end() if time else 0), made.isoformat(), time.group(1) if time else ""
                )


def _month(name: str) -> int:
    return next(i for i, month in enumerate(MONTHS, 1) if month.startswith(name.lower().rstrip(".")[:3]))


def _made(year: int | None, month: int, day: int, today: date | None) -> date | None:
    if year is None and today is None:
        return None
    try:
        if year is not None:
            return date(year, month, day)
        assert today is not None
        made = date(today.year, month, day)
        return made if (today - made).days < 180 else date(today.year + 1, month, day)
    except ValueError:
        return None


def _months(text: str) -> Iterator[When]:
    for match in _MONTH_OF_YEAR.finditer(text):
        iso = match.group("iso") or f"{match.group('year')}-{_month(match.group('month')):02d}"
        yield When(match.start(), match.end(), iso)


def _relative(text: str, today: date | None) -> Iterator[When]:
    if today is None:
        return
    for match in _RELATIVE.finditer(text):
        got = match.groupdict()
        if got["word"]:
            word = got["word"].lower().removeprefix("the ")
            shift = {"tomorrow": 1, "yesterday": -1, "day after tomorrow": 2, "day before yesterday": -2}.get(word, 0)
            day = today + timedelta(days=shift)
        elif got["count"] or got["ago"]:
            sign = -1 if (got["back"] or "").lower() == "ago" else 1
            day = _shift(today, sign * _count(got["count"] or got["ago"]), (got["unit"] or got["agounit"]).lower())
        elif got["end"]:
            first = _shift(today.replace(day=1), 1, "month")
            day = first - timedelta(days=1)
        else:
            day = _weekday(today, got["weekday"].lower(), (got["which"] or "").lower(), bool(got["plus"]))
        yield When(match.start(), match.end(), day.isoformat())


def _weekday(today: date, name: str, which: str, next_week: bool) -> date:
    ahead = (DAYS.index(name) - today.weekday()) % 7
    if which in ("last", "past"):
        return today - timedelta(days=(7 - ahead) % 7 or 7)
    if next_week:
        return today + timedelta(days=7 - today.weekday() + DAYS.index(name))
    return today + timedelta(days=ahead or (0 if which == "this" else 7))


def _count(word: str) -> int:
    return 1 if word.lower() in ("a", "an") else SMALL_NUMBERS.get(word.lower()) or int(word)


def _shift(day: date, count: int, unit: str) -> date:
    count = max(-3000, min(3000, count))
    if unit != "month":
        return day + timedelta(days=count * (7 if unit == "week" else 1))
    months = day.year * 12 + day.month - 1 + count
    for last in (day.day, 30, 29, 28):
        try:
            return date(months // 12, months % 12 + 1, last)
        except ValueError:
            continue
    return day


def _times(text: str) -> Iterator[When]:
    for match in _TIME.finditer(text):
        got = match.groupdict()
        half = (got["half"] or got["half2"] or "").lower()[:1] or {"morning": "a"}.get(
            got["part"] or "", "p" if got["part"] else ""
        )
        if got["noon"]:
            hour, minute = (0 if got["noon"].lower() == "midnight" else 12), 0
        else:
            hour, minute = int(got["h"] or got["h2"] or got["h3"]), int(got["m"] or 0)
            if got["h"] and "." in match.group(0) and not half:
                continue  # "3.50" is a number
            hour = hour % 12 + (12 if half == "p" else 0) if half else hour
        if hour < 24:
            yield When(match.start(), match.end(), "", f"{hour:02d}:{minute:02d}")
    for match in _SPOKEN_TIME.finditer(text):
        if not match["how"] and not match["part"]:
            continue  # "at 5" may be a place in a list
        hour = _count(match["hour"])
        part = (match["part"] or "").lower()
        if part.startswith(("p", "afternoon", "evening")) and hour < 12:
            hour += 12
        minute = 0 if not match["how"] else 30 if match["how"].lower() == "half" else 15
        hour, minute = (hour - 1, 60 - minute) if (match["side"] or "").lower() == "to" else (hour, minute)
        if 0 <= hour < 24:
            yield When(
                match.start("hour") if not match["how"] else match.start(), match.end(), "", f"{hour:02d}:{minute:02d}"
            )

"""Values of a text that are known by their form: addresses, paths, phone numbers, quotations, identifiers.

No gazetteer and no list of anybody's codes. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from simllm.skills.amounts import NUMBER_WORDS
from simllm.skills.mention import Mention

_SHAPES = (
    ("email", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("url", re.compile(r"\b(?:https?://|www\.)[^\s<>\"')]+[^\s<>\"').,;:!?]")),
    ("uuid", re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.I)),
    ("quoted", re.compile(r"\"([^\"\n]{1,400})\"|“([^”\n]{1,400})”|«([^»\n]{1,400})»|`([^`\n]{1,400})`|(?<![\w])'([^'\n]{2,400})'(?!\w)|(?<!\w)‘([^’\n]{2,400})’")),
    ("ip", re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?\b")),
    ("path", re.compile(r"(?<![\w/])(?:~|\.{1,2})?/[\w.@-]+(?:/[\w.@-]+)*/?")),
    ("phone", re.compile(r"(?<![\w-])(?:\+\d[\d ()-]{6,16}\d|\(?\d{3}\)?[ -]\d{3}[ -]\d{4})(?![\w-])")),
    ("address", re.compile(r"(?<![\w-])\d{1,5}[a-z]?,? (?:[A-Z][\w'’.-]*,? ){1,4}(?:Street|St|Road|Rd|Lane|Ln|Avenue|Ave|Square|Sq|Way|Drive|Dr|Court|Ct|Place|Boulevard|Blvd|Close|Terrace|Row|Quay|Hill)\b|\b[A-Z]\w*(?:strasse|straße|weg|gasse|platz) \d+\w?\b")),
    ("coordinates", re.compile(r"-?\d{1,3}\.\d{2,}\s*,\s*-?\d{1,3}\.\d{2,}")),
)  # fmt: skip
_IDENTIFIER = re.compile(
    r"(?<![\w@/.-])#?(?=[\w./:-]*\d)(?=[\w./:-]*[A-Za-z_])[A-Za-z0-9]+(?:[-_./:][A-Za-z0-9]+)*(?![\w@])"
    r"|(?<![\w-])(?!I |EUR|USD|GBP|CHF|JPY)[A-Z]{1,4}(?:-[A-Z]{1,3})? \d{1,5}(?: \d{2,4})?(?![\w%]|[.,:/-]\d)"
    r"|(?<![\w@/.-])[a-z]+(?:[-_][a-z]+)+(?![\w@])|#\d+|(?<![\w.,$€£-])\d{5,}(?![\w,.]*\d)|\b\d+(?:-\d+)+\b|\bv?\d+(?:\.\d+){2,}(?:-[\w.]+)?(?![\w@])|(?<![\w.,/])\d{2,}/\d{2,}(?![\w/])|\b[A-Z][a-z]+(?:/[A-Z][a-z]+(?:_[A-Z][a-z]+)*)+\b"
)


def shaped(text: str) -> Iterator[Mention]:
    taken: list[tuple[int, int]] = []
    for kind, pattern in _SHAPES:
        for match in pattern.finditer(text):
            value = (
                next((group for group in match.groups() if group), match.group(0)) if match.groups() else match.group(0)
            )
            ended = len(value) - len(value.rstrip(".")) if kind == "path" else 0  # the end of the sentence
            value = value[: len(value) - ended]
            mention = Mention(kind, value.strip(), match.start(), match.end() - ended)
            if not mention.inside(taken):
                taken += [(match.start(), match.end())] if kind != "quoted" else []
                yield mention


def identifiers(text: str) -> Iterator[Mention]:
    for match in _IDENTIFIER.finditer(text):
        value = match.group(0).rstrip(".:/-")
        if value.split("-")[0].lower() in NUMBER_WORDS:
            continue
        if re.fullmatch(
            r"\d+(?:\.\d+)?(?:st|nd|rd|th|s|x|k|m|am|pm|h|min|kg|g|km|cm|mm|gb|mb|tb|ms|mg|ml|l|c|f|w|kw|kwh|v|hz|khz|mhz|ghz|px|p)",
            value,
            re.I,
        ):
            continue
        digits = value.removeprefix("#")
        number = float(digits) if digits.isdigit() and len(digits) < 16 else None
        yield Mention("identifier", value.removeprefix("#"), match.start(), match.start() + len(value), number)

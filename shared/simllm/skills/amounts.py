"""Amounts in a text: digits, words, money, percentages, each with its unit.

"from 20 to 30 km" gives both the unit, "two and a half" is one amount, "1 hour and 10 minutes" is one duration, and
"7-1" (a result) are two. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from simllm.skills.dates import SMALL_NUMBERS
from simllm.skills.measures import measure_of, unit_name
from simllm.skills.mention import Mention
from simllm.skills.sentence_words import PREPOSITIONS
from simllm.skills.words import STOP_WORDS

NUMBER_WORDS = SMALL_NUMBERS | {
    "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100,
    "dozen": 12, "couple": 2, "half": 0.5, "twice": 2, "once": 1, "single": 1,
}  # fmt: skip
CURRENCIES = {
    "$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "dollar": "USD", "dollars": "USD", "usd": "USD", "bucks": "USD",
    "euro": "EUR", "euros": "EUR", "eur": "EUR", "pound": "GBP", "pounds": "GBP", "gbp": "GBP", "sterling": "GBP",
    "yen": "JPY", "jpy": "JPY", "chf": "CHF", "francs": "CHF", "cad": "CAD", "aud": "AUD", "sek": "SEK", "nok": "NOK",
    "dkk": "DKK", "inr": "INR", "rupees": "INR", "cny": "CNY", "pln": "PLN", "zloty": "PLN", "mxn": "MXN", "krona": "SEK",
    "₹": "INR", "₩": "KRW", "₺": "TRY", "₴": "UAH", "₪": "ILS", "zł": "PLN", "nzd": "NZD", "sgd": "SGD", "hkd": "HKD",
    "czk": "CZK", "huf": "HUF", "zar": "ZAR", "brl": "BRL", "krw": "KRW", "thb": "THB", "ils": "ILS", "aed": "AED",
    "uah": "UAH",
}  # fmt: skip
_SCALE = {"k": 1e3, "thousand": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "hundred": 1e2, "dozen": 12}
_MONEY = re.compile(
    r"(?P<sign>[$€£¥₹₩₺₴₪])\s?(?P<n>\d[\d,]*(?:\.\d+)?)\s?(?P<scale>k|m|million|thousand|billion)?\b", re.I
)
_NUMBER = re.compile(
    r"(?<![\w.])(?P<n>[-−]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-−]?\d+(?:\.\d+)?)(?P<x>x|×)?\s?(?P<percent>%)?(?P<scale>\s?(?:k|thousand|million|billion|dozen)\b)?"
    r"(?P<unit>[ \t-]?(?:°\s?|square\s|sq\.?\s)?[^\W\d_]+(?:/[A-Za-z]+|[²³2](?!\w))?|[ \t]?[€$£¥₹₩₺₴₪](?!\s?\d))?(?![\d])"
)
_WORDS = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
_SPELLED = re.compile(rf"\b(?:(?:a|the)\s+)?({_WORDS})(?:[\s-]+({_WORDS}))?\b(?:[\s-]+(?:of\s+)?([a-z]+))?", re.I)
_ONE = re.compile(r"\b(?:past|last|an?)\s+(hour|minute|day|week|month|year)\b", re.I)

_PER = re.compile(
    r"(?:\d[\d.,]*(?:\s+(?!(?:for|in|of|at|within|after|over)\b)[a-z]+)?|\b(?:once|twice|times|euros?|dollars?|pounds?|francs?))\s+$",
    re.I,
)


def amounts(text: str) -> Iterator[Mention]:
    taken: list[tuple[int, int]] = []
    for match in _MONEY.finditer(text):
        amount = float(match["n"].replace(",", "")) * _SCALE.get((match["scale"] or "").lower(), 1)
        taken.append((match.start(), match.end()))
        yield Mention("number", match.group(0), match.start(), match.end(), amount, CURRENCIES[match["sign"]])
    for match in _NUMBER.finditer(text):
        amount = float(match["n"].replace(",", "").replace("−", "-")) * _SCALE.get(
            (match["scale"] or "").strip().lower(), 1
        )
        word = (match["unit"] or "").strip(" -°\n")
        word = "" if word.lower() in STOP_WORDS and not measure_of(word) or word.lower() in PREPOSITIONS else word
        word = "m2" if re.fullmatch(r"(?:square|sq\.?)\s(?:metres?|meters?|m)", word, re.I) else word
        unit = "%" if match["percent"] or word.lower() == "percent" else CURRENCIES.get(word.lower(), word)
        end = match.end() if unit in CURRENCIES.values() else match.start("unit") if match["unit"] else match.end()
        mention = Mention("number", match.group(0).strip(), match.start(), end, amount, unit)
        if not mention.inside(taken):
            taken.append((mention.start, mention.end))
            code = re.search(r"\b([A-Z]{3})\s?$", text[: match.start()])
            if code and code.group(1).lower() in CURRENCIES:
                mention = Mention("number", mention.text, code.start(1), end, amount, code.group(1))
            yield mention
    for match in _SPELLED.finditer(text):
        first, second = match.group(1).lower(), (match.group(2) or "").lower()
        amount = float(NUMBER_WORDS[first])
        partly = re.match(r"\s+of\b", text[match.end(1) :]) is not None
        if first == "one" and partly or first in ("one", "single", "once", "half") and not match.group(3):
            continue  # "the newest one", "one of them"
        if second:
            extra = NUMBER_WORDS[second]
            amount = (
                amount * extra
                if extra in (100, 12) or first == "half"
                else amount + extra
                if amount >= 20 and extra < 10
                else amount
            )
        unit = (match.group(3) or "").lower()
        if first == "half" and unit in ("an", "a"):
            unit = next(iter(re.findall(r"[a-z]+", text[match.end() :].lower())), "")
        mention = Mention(
            "number",
            match.group(0),
            match.start(),
            match.end(2) if second else match.end(1),
            amount,
            CURRENCIES.get(unit, unit),
        )
        if not mention.inside(taken):
            taken.append((mention.start, mention.end))
            yield mention
    for match in _ONE.finditer(text):
        if _PER.search(text[: match.start()]):
            continue
        mention = Mention("number", match.group(0), match.start(), match.end(), 1.0, match.group(1).lower())
        if not mention.inside(taken):
            yield mention


def joined(numbers: list[Mention], text: str) -> list[Mention]:
    """In "from 20 to 30 km" both amounts have the unit; "two and a half" and "1 hour and 10 minutes" are one amount."""
    halves = re.compile(r"\s*[a-z]*\s+and a half\b", re.I)
    numbers = [
        replace(m, number=m.number + 0.5) if m.number is not None and halves.match(text, m.end) else m for m in numbers
    ]
    numbers = sorted(
        (m for m in numbers if not re.search(r"\band an?\s*$", text[: m.start + 2]) or m.number != 0.5),
        key=lambda m: m.start,
    )
    for i, (left, right) in enumerate(pairwise(numbers)):
        if (
            right.unit
            and (not left.unit or left.unit.lower() in ("to", "and"))
            and re.fullmatch(r"\s*(?:to|and|-|–|until)\s*", text[left.end : right.start])
        ):
            numbers[i] = replace(left, unit=right.unit)
    return _compound(numbers, text)


def _compound(numbers: list[Mention], text: str) -> list[Mention]:
    """An amount in two units, the smaller one last, as one amount in the smaller unit."""
    found: list[Mention] = []
    for right in numbers:
        left = found[-1] if found else None
        table = measure_of(right.unit) if left and right.unit else None
        if (
            left
            and table
            and left.number is not None
            and right.number is not None
            and table is measure_of(left.unit)
            and table[unit_name(left.unit)] > table[unit_name(right.unit)]
            and re.fullmatch(rf"\s*(?:{re.escape(left.unit)})?\s*(?:,|and)?\s*", text[left.end : right.start], re.I)
        ):
            amount = left.number * table[unit_name(left.unit)] / table[unit_name(right.unit)] + right.number
            found[-1] = replace(right, text=text[left.start : right.end], start=left.start, number=round(amount, 6))
        else:
            found.append(right)
    return found

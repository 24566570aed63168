"""Numbers with their units, as a careful reader compares them: "90 minutes" is "1.5 hours", and not "90 seconds".

Digits, number words, currencies, percentages, clock times and dates, reduced to a value and a dimension. General
knowledge of measures only; nothing here looks at a context or a model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from simllm.skills.time_units import ROUGHLY
from simllm.skills.words import STOP_WORDS, stem

COUNTS = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty",
)
_WORDS = {word: float(i) for i, word in enumerate(COUNTS)} | {
    "thirty": 30.0,
    "forty": 40.0,
    "fifty": 50.0,
    "sixty": 60.0,
    "seventy": 70.0,
    "eighty": 80.0,
    "ninety": 90.0,
    "hundred": 100.0,
    "thousand": 1000.0,
    "million": 1e6,
    "half": 0.5,
    "dozen": 12.0,
    "twice": 2.0,
    "double": 2.0,
    "once": 1.0,
    "fortnight": 14.0,
}
_SCALES = {
    "hundred": 100.0,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "dozen": 12.0,
    "k": 1e3,
    "m": 1e6,
    "bn": 1e9,
}
_UNITS = {name if len(name) < 4 else stem(name): ("time", float(seconds)) for name, seconds in ROUGHLY.items()}
for _dimension, _table in {
    "mass": "mg=.001 g=1 gram=1 kg=1000 kilo=1000 kilogram=1000 tonne=1000000 ton=1000000 pound=453.6 lb=453.6 ounce=28.35 oz=28.35",
    "length": "yard=.9144 yd=.9144 feet=.3048 ft=.3048 mm=.001 millimetre=.001 millimeter=.001 cm=.01 centimetre=.01 centimeter=.01 m=1 metre=1 meter=1 km=1000 kilometre=1000 "
    "kilometer=1000 mile=1609 foot=.3048 inch=.0254",
    "volume": "gallon=3.785 pint=.473 ml=.001 millilitre=.001 milliliter=.001 cl=.01 l=1 litre=1 liter=1",
    "bytes": "byte=1 kb=1000 mb=1000000 gb=1000000000 tb=1000000000000 kilobyte=1000 megabyte=1000000 gigabyte=1000000000",
    "percent": "percent=1 %=1 percentage=1",
    "money:euro": "€=1 euro=1 eur=1 cent=.01",
    "money:dollar": "$=1 dollar=1 usd=1",
    "money:pound": "£=1 gbp=1",
    "money:franc": "franc=1 chf=1",
    "money:crown": "crown=1 krone=1 krona=1",
    "money:yen": "yen=1 ¥=1",
    "degrees": "°c=1 °=1 degree=1 celsius=1 °f=1",
}.items():
    for _entry in _table.split():
        _unit, _factor = _entry.split("=")
        _UNITS[_unit if len(_unit) < 4 else stem(_unit)] = (_dimension, float(_factor))
_MONTHS = re.findall(r"\w+", "january february march april may june july august september october november december")
_MONTH = rf"({'|'.join([*_MONTHS, *(m[:3] for m in _MONTHS), 'sept'])})\.?"
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_DAY_FIRST = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH}\b(?:,? (\d{{4}})\b)?", re.I)
_MONTH_FIRST = re.compile(rf"\b{_MONTH} (\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,? (\d{{4}})\b)?", re.I)
_CLOCK = re.compile(
    r"\b(?:(\d{1,2})[:.h](\d{2})(?:\s?(a|p)\.?m\b\.?)?|(\d{1,2})\s?(a|p)\.?m\b\.?|(\d{1,2}) o['’]clock|(noon|midday|midnight)\b)",
    re.I,
)
_AND_A_HALF = re.compile(
    rf"\b(\d+|{'|'.join(_WORDS)}) and a half ([a-z]+)|\b(half an? [a-z]+)|\b(an?) ([a-z]+)(?: and a half)?\b", re.I
)
_NUMBER = re.compile(
    rf"(?<![\w.])([€$£])?\s?(\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?|\d+(?:\.\d+)?)(?![\w]*\d)\s?-?([a-z%°€$£]+)?|\b({'|'.join(_WORDS)})\b",
    re.I,
)
_WORD = re.compile(r"[a-z%°€$£]+", re.I)


@dataclass(frozen=True)
class Quantity:
    """A number as it stands in a text.

    Attributes:
        value: in the base unit of its dimension.
        dimension: "time", "mass", "date", "clock" ...; "" for a bare count.
        nouns: stems of the words behind a bare count ("12 new seats": new, seat).
        start: where it stands.
        text: as it is written.
        spoken: written as a word.
        vague: "a week": a measure without a number, which may mean "per week".
    """

    value: float
    dimension: str
    nouns: tuple[str, ...]
    start: int
    text: str
    spoken: bool = False
    vague: bool = False


def quantities(text: str) -> list[Quantity]:
    """All numbers of a text, in order."""
    found: list[Quantity] = []
    taken = list(" " * len(text))

    def claim(match: re.Match[str]) -> bool:
        free = all(mark == " " for mark in taken[match.start() : match.end()])
        if free:
            taken[match.start() : match.end()] = "x" * (match.end() - match.start())
        return free

    for match in _ISO.finditer(text):
        if claim(match):
            year, month, day = map(int, match.groups())
            found.append(Quantity(year * 10000 + month * 100 + day, "date", (), match.start(), match.group()))
    for pattern, day_at, month_at in ((_DAY_FIRST, 1, 2), (_MONTH_FIRST, 2, 1)):
        for match in pattern.finditer(text):
            if claim(match):
                month = next(
                    i for i, name in enumerate(_MONTHS, 1) if name.startswith(match.group(month_at).lower()[:3])
                )
                value = int(match.group(3) or 0) * 10000 + month * 100 + int(match.group(day_at))
                found.append(Quantity(value, "date", (), match.start(), match.group()))
    for match in _CLOCK.finditer(text):
        if claim(match):
            found.append(Quantity(_minutes(match), "clock", (), match.start(), match.group()))
    for match in _AND_A_HALF.finditer(text):
        word, unit, half, article, single = match.groups()
        known = _UNITS.get(stem((unit or single or (half or " ").split()[-1]).lower()))
        if known is None or known[0] not in ("time", "mass", "volume", "length") or not claim(match):
            continue
        size = (
            (_WORDS.get(word.lower(), 0.0) or float(word if word.isdigit() else 0)) + 0.5
            if word
            else 0.5
            if half
            else 1.0
        )
        found.append(Quantity(size * known[1], known[0], (), match.start(), match.group(), True, article is not None))
    for match in _NUMBER.finditer(text):
        if claim(match):
            found.append(_read(text, match))
    return sorted(found, key=lambda quantity: quantity.start)


def _minutes(match: re.Match[str]) -> float:
    hour, minute, half, bare_hour, bare_half, oclock, word = match.groups()
    if word:
        return 0.0 if word.lower() == "midnight" else 720.0
    hours = int(hour or bare_hour or oclock)
    mark = (half or bare_half or "").lower()
    hours = hours % 12 + 12 if mark == "p" else hours % 12 if mark == "a" else hours
    return hours * 60.0 + int(minute or 0)


def _read(text: str, match: re.Match[str]) -> Quantity:
    currency, digits, attached, word = match.groups()
    value = _WORDS[word.lower()] if word else float(digits.replace(",", ""))
    following = [w.lower() for w in _WORD.findall(re.split(r"[.;:,()\n]", text[match.end() :], maxsplit=1)[0])[:3]]
    if attached:
        following.insert(0, attached.lower())
    if (
        following
        and following[0] in _SCALES
        and (word is None or following[0] in ("hundred", "thousand", "million", "dozen"))
    ):
        unit_of_length = following[0] in ("m", "k") and not currency
        if not unit_of_length:
            value *= _SCALES[following.pop(0)]
    if currency:
        return Quantity(value, _UNITS[currency][0], (), match.start(), match.group().strip(), bool(word))
    if word and word.lower() == "half" and following[:2] and following[0] in ("a", "an"):
        following.pop(0)
    if following:
        unit = _UNITS.get(following[0]) or _UNITS.get(stem(following[0]))
        if unit:
            return Quantity(value * unit[1], unit[0], (), match.start(), f"{match.group().strip()}", bool(word))
    nouns = tuple(stem(w) for w in following if w not in STOP_WORDS)[:2]
    return Quantity(value, "", nouns, match.start(), match.group().strip(), bool(word))


def same_value(a: Quantity, b: Quantity) -> bool:
    """Whether two numbers say the same, apart from what a bare count counts."""
    if a.dimension == "date" and b.dimension == "date" and (a.value < 10000 or b.value < 10000):
        return a.value % 10000 == b.value % 10000
    if a.dimension == "clock" and b.dimension == "clock" and abs(a.value - b.value) == 720:
        return not (re.search("[ap]", a.text, re.I) and re.search("[ap]", b.text, re.I))
    if a.dimension and b.dimension and a.dimension != b.dimension:
        return False
    if bool(a.dimension) != bool(b.dimension) and (a.dimension or b.dimension) in ("date", "clock"):
        return False
    if bool(a.dimension) != bool(b.dimension):  # one side leaves its unit out: compare what is written
        written = [re.search(r"\d+(?:\.\d+)?", q.text.replace(",", "")) for q in (a, b)]
        if all(written):
            return float(written[0].group()) == float(written[1].group())  # type: ignore[union-attr]
    return abs(a.value - b.value) <= 1e-6 * max(abs(a.value), abs(b.value))


def agree(a: Quantity, b: Quantity) -> bool:
    """Whether two numbers say the same of the same kind of thing."""
    if not same_value(a, b):
        return False
    if bool(a.dimension) != bool(b.dimension):
        return not (a.nouns or b.nouns)
    return bool(a.dimension) or not a.nouns or not b.nouns or bool(set(a.nouns) & set(b.nouns))

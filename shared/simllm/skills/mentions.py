"""What a text mentions: values that could fill a field, each with its kind and its surroundings.

Named-entity recognition by form only: quotations, addresses, identifiers, dates, amounts with units, capitalised
names, and the phrases between prepositions. No gazetteer, no list of anybody's names. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

from simllm.skills.dates import SMALL_NUMBERS, find_whens
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
}  # fmt: skip
_SCALE = {"k": 1e3, "thousand": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9, "hundred": 1e2, "dozen": 12}
PREPOSITIONS = frozenset(
    [
        "in",
        "at",
        "near",
        "from",
        "to",
        "for",
        "by",
        "with",
        "about",
        "on",
        "of",
        "into",
        "onto",
        "called",
        "named",
        "titled",
        "via",
        "using",
        "between",
        "within",
        "around",
        "under",
        "over",
        "after",
        "before",
        "until",
        "till",
        "since",
        "through",
        "against",
        "toward",
        "towards",
        "regarding",
        "saying",
        "per",
        "as",
        "during",
        "than",
        "that",
        "because",
        "starting",
        "ending",
    ]
)
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
    r"|(?<![\w@/.-])[a-z]+(?:[-_][a-z]+)+(?![\w@])|#\d+|(?<![\w.,$€£-])\d{5,}(?![\w,.]*\d)|\b\d+(?:-\d+)+\b|\bv?\d+(?:\.\d+){2,}(?:-[\w.]+)?(?![\w@])|(?<![\w.,/])\d{2,}/\d{3,}(?![\w/])"
)
_MONEY = re.compile(r"(?P<sign>[$€£¥])\s?(?P<n>\d[\d,]*(?:\.\d+)?)\s?(?P<scale>k|m|million|thousand|billion)?\b", re.I)
_NUMBER = re.compile(
    r"(?<![\w.])(?P<n>[-−]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-−]?\d+(?:\.\d+)?)(?P<x>x|×)?\s?(?P<percent>%)?(?P<scale>\s?(?:k|thousand|million|billion|dozen)\b)?"
    r"(?P<unit>[\s-]?(?:°\s?)?[A-Za-z]+(?:/[A-Za-z]+|[²³2](?!\w))?)?(?![\d])"
)
_WORDS = "|".join(sorted(NUMBER_WORDS, key=len, reverse=True))
_SPELLED = re.compile(rf"\b(?:(?:a|the)\s+)?({_WORDS})(?:[\s-]+({_WORDS}))?\b(?:[\s-]+(?:of\s+)?([a-z]+))?", re.I)
_ONE = re.compile(r"\b(?:past|last|an?)\s+(hour|minute|day|week|month|year)\b", re.I)
_NAME = re.compile(
    r"(?:(?:Dr|Mr|Mrs|Ms|Prof|St)\.\s)?[^\W\d_a-z](?:[\w'’&-]|\.(?=\w)|(?<=\b\w)\.)*(?:(?:[ ](?:of|the|de|la|van|von|der|du|del|da|&))*[ ](?:[^\W\d_a-z](?:[\w'’&-]|\.(?=\w)|(?<=\b\w)\.)*|\d{1,4}(?![\w:,.]*\d)))*"
)
_EMPTY = frozenset(NUMBER_WORDS) | frozenset(
    [
        "minutes",
        "hours",
        "days",
        "weeks",
        "months",
        "years",
        "minute",
        "hour",
        "day",
        "week",
        "month",
        "year",
        "maybe",
        "today",
        "now",
    ]
)
_STARTERS = frozenset(
    [
        "please",
        "can",
        "could",
        "would",
        "will",
        "what",
        "whats",
        "which",
        "who",
        "when",
        "where",
        "how",
        "why",
        "is",
        "are",
        "do",
        "does",
        "did",
        "i",
        "my",
        "we",
        "our",
        "let",
        "lets",
        "the",
        "a",
        "an",
        "this",
        "that",
        "there",
        "it",
        "its",
        "if",
        "and",
        "or",
        "but",
        "also",
        "then",
        "next",
        "now",
        "hi",
        "hello",
        "hey",
        "dear",
        "thanks",
        "thank",
        "regards",
        "best",
        "yes",
        "no",
        "not",
        "give",
        "get",
        "show",
        "find",
        "book",
        "search",
        "look",
        "check",
        "list",
        "tell",
        "send",
        "set",
        "add",
        "create",
        "make",
        "play",
        "start",
        "stop",
        "turn",
        "order",
        "buy",
        "cancel",
        "update",
        "delete",
        "remove",
        "schedule",
        "remind",
        "convert",
        "translate",
        "transfer",
        "pay",
        "change",
        "move",
        "open",
        "close",
        "calculate",
        "compute",
        "file",
        "log",
        "report",
        "fetch",
        "pull",
        "put",
        "switch",
        "reserve",
        "rent",
        "run",
        "restart",
        "deploy",
        "scale",
        "for",
        "from",
        "to",
        "in",
        "on",
        "at",
        "by",
        "with",
        "need",
        "want",
        "id",
        "i'd",
        "i'm",
        "i've",
        "what's",
        "who's",
        "where's",
        "how's",
        "please,",
        "mark",
        "assign",
        "register",
        "enroll",
        "enrol",
        "renew",
        "return",
        "track",
        "email",
        "message",
        "text",
        "call",
        "write",
        "post",
        "draft",
        "summarize",
        "summarise",
        "compare",
        "estimate",
        "increase",
        "decrease",
        "lower",
        "raise",
        "dim",
        "lock",
        "unlock",
        "enable",
        "disable",
        "invite",
        "share",
        "upload",
        "download",
        "issue",
        "refund",
        "record",
        "note",
        "save",
        "has",
        "have",
        "was",
        "were",
        "any",
        "some",
        "all",
        "first",
        "second",
        "after",
        "before",
        "since",
        "until",
        "plan",
        "suggest",
        "recommend",
        "generate",
        "compose",
        "rename",
        "archive",
        "approve",
        "reject",
        "pause",
        "resume",
        "skip",
        "queue",
        "subscribe",
        "customer",
        "invoice",
        "date",
        "total",
        "subject",
        "time",
        "name",
        "amount",
        "status",
        "as",
        "he",
        "she",
        "they",
        "you",
        "your",
        "his",
        "her",
        "their",
        "both",
        "each",
    ]
)
_SAYING = re.compile(
    r"\b(?:(?:saying|says|say|that says)(?: that)?|(?:tell|remind|inform|notify|let)\s+(?:\w+|[A-Z][\w.]+(?: [A-Z]\w+)*)\s+(?:that|to|know(?: that)?|about)|"
    r"search(?: the \w+| \w+)? for|look(?:ing)? for|find(?: me)?|translate|(?:[A-Z][\w'’-]+ )(?:will|is to|must|should|shall|has to|needs to)|with the (?:text|message|note|title|subject|name))\s*:?\s+([^\n.;]+)",
    re.I,
)
_HEAD = re.compile(r"[A-Za-z][\w'’-]*|\d[\w.,:]*|[^\w\s]")
_ARTICLES = frozenset(
    [
        "the",
        "a",
        "an",
        "my",
        "our",
        "your",
        "their",
        "his",
        "her",
        "its",
        "this",
        "that",
        "these",
        "those",
        "some",
        "any",
        "me",
        "us",
        "please",
        "all",
        "new",
    ]
)


@dataclass(frozen=True)
class Mention:
    """A value in a text.

    Attributes:
        kind: "quoted", "email", "url", "uuid", "ip", "path", "phone", "identifier", "when", "number", "name", "phrase"
            or "rest" (all that follows a colon or a verb of saying).
        text: the value as text.
        start, end: where it stands.
        number: its amount.
        unit: the word after the amount, "%" or an ISO currency code; "".
        day, time: of a "when".
        cue: the words right before it, lower-cased, nearest last.
        after: the words right after it.
    """

    kind: str
    text: str
    start: int
    end: int
    number: float | None = None
    unit: str = ""
    day: str = ""
    time: str = ""
    cue: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def overlaps(self, other: Mention) -> bool:
        """Whether both cover some of the same characters."""
        return self.start < other.end and other.start < self.end


def find_mentions(text: str, today: date | None = None) -> list[Mention]:
    """All mentions in text order; kinds may overlap, fields choose among them."""
    found = list(_shaped(text))
    taken = [(m.start, m.end) for m in found if m.kind != "quoted"]
    whens = [
        Mention("when", text[w.start : w.end], w.start, w.end, day=w.day, time=w.time) for w in find_whens(text, today)
    ]
    whens = [w for w in whens if not _inside(w, taken)]
    found += whens
    taken += [(m.start, m.end) for m in whens]
    identifiers = [m for m in _identifiers(text) if not _inside(m, taken)]
    found += identifiers
    coded = [(m.start, m.end) for m in identifiers if not m.text.isdigit()]
    found += _ranged([m for m in _numbers(text) if not _inside(m, taken + coded)], text)
    found += [m for m in _names(text, taken) if not any(i.start <= m.start and m.end <= i.end for i in identifiers)]
    found += _said(text)
    found += [m for m in _phrases(text) if not _inside(m, taken)]
    placed = {(m.kind, m.start, m.end): _placed(m, text) for m in found}
    return sorted(placed.values(), key=lambda m: (m.start, -m.end))


def _inside(mention: Mention, spans: list[tuple[int, int]]) -> bool:
    return any(mention.start < end and start < mention.end for start, end in spans)


def _placed(mention: Mention, text: str) -> Mention:
    """The mention with the words around it, within its own sentence."""
    before = re.split(r"[.!?](?:\s|$)|\n", text[max(0, mention.start - 80) : mention.start])[-1]
    after = re.split(r"[.!?,;](?:\s|$)|\n", text[mention.end : mention.end + 40])[0]
    cue = tuple(word.lower() for word in re.findall(r"[A-Za-z][\w'’]*|[:=#]", before)[-6:])
    follow = tuple(word.lower() for word in re.findall(r"[A-Za-z][\w'’]*", after)[:3])
    return Mention(
        mention.kind, mention.text, mention.start, mention.end, mention.number, mention.unit, mention.day, mention.time,
        cue, follow,
    )  # fmt: skip


def _shaped(text: str) -> Iterator[Mention]:
    taken: list[tuple[int, int]] = []
    for kind, pattern in _SHAPES:
        for match in pattern.finditer(text):
            value = (
                next((group for group in match.groups() if group), match.group(0)) if match.groups() else match.group(0)
            )
            mention = Mention(kind, value.strip(), match.start(), match.end())
            if not _inside(mention, taken):
                taken += [(match.start(), match.end())] if kind != "quoted" else []
                yield mention


def _ranged(numbers: list[Mention], text: str) -> list[Mention]:
    """In "from 20 to 30 km" both amounts have the unit; "two and a half" is one amount."""
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
    return numbers


def _identifiers(text: str) -> Iterator[Mention]:
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
        number = float(value) if value.isdigit() and len(value) < 16 else None
        yield Mention("identifier", value.removeprefix("#"), match.start(), match.start() + len(value), number)


def _numbers(text: str) -> Iterator[Mention]:
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
        word = "" if word.lower() in STOP_WORDS or word.lower() in PREPOSITIONS else word
        unit = "%" if match["percent"] or word.lower() == "percent" else CURRENCIES.get(word.lower(), word)
        end = match.end() if unit in CURRENCIES.values() else match.start("unit") if match["unit"] else match.end()
        mention = Mention("number", match.group(0).strip(), match.start(), end, amount, unit)
        if not _inside(mention, taken):
            taken.append((mention.start, mention.end))
            code = re.search(r"\b([A-Z]{3})\s?$", text[: match.start()])
            if code and code.group(1).lower() in CURRENCIES:
                mention = Mention("number", mention.text, code.start(1), end, amount, code.group(1))
            yield mention
    for match in _SPELLED.finditer(text):
        first, second = match.group(1).lower(), (match.group(2) or "").lower()
        amount = float(NUMBER_WORDS[first])
        if first in ("one", "single", "once", "half") and not match.group(3):
            continue  # "the newest one"
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
        if not _inside(mention, taken):
            taken.append((mention.start, mention.end))
            yield mention
    for match in _ONE.finditer(text):
        mention = Mention("number", match.group(0), match.start(), match.end(), 1.0, match.group(1).lower())
        if not _inside(mention, taken):
            yield mention


def _names(text: str, taken: list[tuple[int, int]]) -> Iterator[Mention]:
    for match in _NAME.finditer(text):
        if match.start() and (text[match.start() - 1].isalnum() or text[match.start() - 1] in "-_@/"):
            continue
        start, words = match.start(), match.group(0)
        at_start = re.search(r"(?:^|[.!?:>\n\"“-])\s*$", text[:start]) is not None
        first = re.match(r"\S+\s*", words)
        while (
            first
            and re.sub(r"[^a-z']", "", first.group(0).lower().replace("’", "'")) in _STARTERS
            and (at_start or first.group(0).strip() in ("I", "I'd", "I'm", "I've"))
        ):
            start += first.end()
            words = words[first.end() :]
            first = re.match(r"\S+\s*", words)
        words = re.sub(r"(?:['’]s)?[.,'’&\s-]*$", "", words)
        alone = " " not in words and (
            re.search(r"(?:^|[.!?]\s)\s*$", text[:start]) or words.isupper() and len(words) > 4
        )
        # a single word at the start of a sentence is a name only if it is written so elsewhere too
        weak = alone and not re.search(rf"[^.!?\s] +{re.escape(words)}\b", text)
        mention = Mention("phrase" if weak else "name", words, start, start + len(words))
        if len(words) > 1 and not _inside(mention, taken):
            yield mention


def _said(text: str) -> Iterator[Mention]:
    """What somebody is to be told or reminded of: all that follows a verb of saying."""
    for match in _SAYING.finditer(text):
        words = re.split(r"\s+(?:by|until|before)\s+(?=\d|[A-Z])", match.group(1))[0].strip(" .!?\"'“”")
        if words:
            yield Mention("said", words, match.start(1), match.start(1) + len(words))


def _phrases(text: str) -> Iterator[Mention]:
    """Stretches between prepositions, conjunctions and punctuation, without their articles."""
    start = end = -1
    for match in [*_HEAD.finditer(text), None]:
        word = match.group(0) if match else "."
        border = (
            not (word[0].isalnum())
            or word.lower() in PREPOSITIONS
            or word.lower()
            in (
                "and",
                "or",
                "but",
                "if",
                "is",
                "are",
                "i",
                "you",
                "it",
                "then",
                "so",
                "please",
                "has",
                "have",
                "had",
                "was",
                "were",
                "got",
                "get",
                "will",
                "be",
                "been",
                "need",
                "needs",
                "want",
                "wants",
                "can",
                "did",
                "does",
                "do",
                "like",
                "d",
            )
            or word[0].isdigit()
        )
        if border and start >= 0:
            if text[start:end].lower() not in _EMPTY:
                yield Mention("phrase", text[start:end], start, end)
            start = -1
        elif not border and match:
            if start < 0 and (word.lower() in _ARTICLES or word.lower() in _STARTERS or word.lower() in STOP_WORDS):
                continue
            if start < 0:
                start = match.start()
            end = match.end()

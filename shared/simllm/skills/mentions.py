"""What a text mentions: values that could fill a field, each with its kind and its surroundings.

Named-entity recognition by form only: quotations, addresses, identifiers, dates, amounts with units, capitalised
names, and the phrases between prepositions. Kinds may overlap: fields choose among them. Pure functions.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from simllm.skills.amounts import NUMBER_WORDS, amounts, joined
from simllm.skills.codes import identifiers, shaped
from simllm.skills.dates import find_whens
from simllm.skills.measures import measure_of
from simllm.skills.mention import Mention
from simllm.skills.phrases import FIRM, names, phrases, said

__all__ = ["Mention", "find_mentions"]

_LABEL = re.compile(
    r"(?:^|[.;,!?\n|(]\s*|\s[-–—]\s+|\s(?=\w+=))(?P<label>[A-Za-z][\w /'’.-]{0,30}?)\s*(?P<mark>[:=])\s*"
    r"(?P<gap>(?:(?![.!?;]\s|\s\w+=)[^\n:=])*)\Z"
)
_LED = re.compile(r"\b(?:from|by|to|for|via|tell|message|text|notify|ping|inform|e-?mail)\s+$", re.I)
_SCORES = re.compile(r"(?<![\w:.,/-])(\d{1,3})\s?([-:–])\s?(\d{1,3})(?![\w:/]|[.,-]\d)")


def find_mentions(text: str, today: date | None = None) -> list[Mention]:
    """All mentions in text order; kinds may overlap, fields choose among them."""
    found = list(shaped(text))
    taken = [(m.start, m.end) for m in found if m.kind != "quoted"]
    whens = [
        Mention("when", text[w.start : w.end], w.start, w.end, day=w.day, time=w.time) for w in find_whens(text, today)
    ]
    whens = [w for w in whens if not w.inside(taken)]
    found += whens
    taken += [(m.start, m.end) for m in whens]
    codes = [m for m in identifiers(text) if not m.inside(taken)]
    found += codes
    coded = [(m.start, m.end) for m in codes if not m.text.isdigit()]
    counted = joined([m for m in amounts(text) if not m.inside(taken + coded)], text)
    found += [*counted, *_results(text, taken)]
    found += [m for m in names(text, taken + coded) if not any(c.start <= m.start and m.end <= c.end for c in codes)]
    found += said(text, whens)
    found += [m for m in phrases(text, frozenset(NUMBER_WORDS)) if not m.inside(taken)]
    found = [m for m in found if m.kind not in ("name", "phrase") or not _is_label(text, m.end) or _is_party(m, text)]
    found = [m for m in found if m.kind != "phrase" or not _is_unit(m, counted)]
    placed = {(m.kind, m.start, m.end): _placed(m, text) for m in found}
    return sorted(placed.values(), key=lambda m: (m.start, -m.end))


def _is_label(text: str, end: int) -> bool:
    """Whether the words that end here name the value behind them, as in "Total: 5" or "total=5"."""
    return re.match(r"\s?:\s|=", text[end : end + 3]) is not None


def _is_party(mention: Mention, text: str) -> bool:
    """Whether a name before a colon is somebody, as in "Order from Ada Ltd: two lamps"."""
    return mention.kind == "name" and (_LED.search(text[: mention.start]) or FIRM.search(mention.text)) is not None


def _is_unit(phrase: Mention, counted: list[Mention]) -> bool:
    """Whether a phrase is only the unit of an amount."""
    return any(
        m.unit and phrase.text.lower() == m.unit.lower() and m.start <= phrase.start <= m.end + 1 and measure_of(m.unit)
        for m in counted
    )


def _results(text: str, taken: list[tuple[int, int]]) -> list[Mention]:
    """Both numbers of a result such as "2-1" or "0:3"."""
    found = []
    for match in _SCORES.finditer(text):
        pair = [Mention("number", match.group(i), match.start(i), match.end(i), float(match.group(i))) for i in (1, 3)]
        found += [mention for mention in pair if not mention.inside(taken)]
    return found


def _placed(mention: Mention, text: str) -> Mention:
    """The mention with the words around it, within its own sentence, and the label that it stands behind."""
    lead = text[max(0, mention.start - 120) : mention.start]
    before = re.split(r"[.!?](?:\s|$)|\n", lead[-80:])[-1]
    after = re.split(r"[.!?,;](?:\s|$)|\n", text[mention.end : mention.end + 40])[0]
    cue = tuple(word.lower() for word in re.findall(r"(?<![\w-])[A-Za-z][\w'’]*(?![\w-]*\d)|[:=#]", before)[-6:])
    follow = tuple(word.lower() for word in re.findall(r"[A-Za-z][\w'’]*", after)[:3])
    label = _LABEL.search(lead)
    return replace(
        mention,
        cue=cue,
        after=follow,
        label=tuple(re.findall(r"[a-z0-9]+", label["label"].lower())[-4:]) if label else (),
        next_to_label=label is not None and len(label["gap"].strip(" \"'“(€$£")) == 0,
    )

"""Two fields that hold two currencies, from one and to the other: "20 EUR to USD", "how many yen are 5 pounds".

The unit of the amount is what is exchanged; of two currencies without an amount, "to", "in" and "into" lead to the new
one, and otherwise the first one named is the old one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from simllm.skills.amounts import CURRENCIES
from simllm.skills.conforming import fits_text
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Field, split_name
from simllm.skills.filling import Filling
from simllm.skills.words import stem

SCORE = 0.9
_OLD = frozenset(["from", "source", "base", "origin", "have"])
_NEW = frozenset(["to", "target", "quote", "into", "destination", "want"])
_CURRENCY = stem("currency")
_WORD = re.compile(
    rf"(?<![^\W_])({'|'.join(map(re.escape, sorted(CURRENCIES, key=len, reverse=True)))})(?![^\W_])", re.I
)
_LEADS = re.compile(r"\b(?:to|into|in)\s+(?:the\s+)?(?:[A-Z]\w+\s+)?$", re.I)
_ASKED = re.compile(r"\bhow (?:many|much)\s+$", re.I)


def take_currencies(targets: Sequence[Field], evidence: Evidence, made: Filling) -> None:
    """Fill the two fields, where the schema has them and the text names two currencies."""
    fields = [t for t in targets if t.kind == "string" and t.path not in made.values and _side(t)]
    old, new = (next((t for t in fields if _side(t) == side), None) for side in ("old", "new"))
    if old is None or new is None or len(fields) != 2 or not any(_about_money(t, targets) for t in fields):
        return
    found = [(m.start(), CURRENCIES[m.group(1).lower()]) for m in _WORD.finditer(evidence.text)]
    codes = list(dict.fromkeys(code for _, code in found))
    if len(codes) != 2:
        return
    target = _new_one(found, evidence)
    source = next(code for code in codes if code != target)
    if fits_text(source, old.schema) and fits_text(target, new.schema):
        made.put(old, source, SCORE)
        made.put(new, target, SCORE)


def _side(field: Field) -> str:
    """ "old", "new" or "" (no side of an exchange)."""
    words = set(split_name(field.name)) - {"currency", "code", "symbol"}
    return "" if not words or len(words) > 1 else "old" if words <= _OLD else "new" if words <= _NEW else ""


def _about_money(field: Field, targets: Sequence[Field]) -> bool:
    """Whether the field's words, the tool's, or another field's say that it is about currencies."""
    said = field.topic | field.about | {stem(word) for word in field.own}
    return bool({_CURRENCY, stem("exchange")} & said) or any(_CURRENCY in t.about for t in targets)


def _new_one(found: Sequence[tuple[int, str]], evidence: Evidence) -> str:
    """The currency that is wanted."""
    amounts = {m.unit for m in evidence.mentions if m.kind == "number" and m.number is not None}
    unpaid = [code for _, code in found if code not in amounts]
    if unpaid and len(set(unpaid)) == 1:
        return unpaid[0]
    led = [code for start, code in found if _LEADS.search(evidence.text[:start])]
    asked = [code for start, code in found if _ASKED.search(evidence.text[:start])]
    return (asked or led or [found[-1][1]])[-1]

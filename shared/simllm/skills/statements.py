"""Tell the user what the tools found, in sentences.

Names each value by its key, the ones that the need speaks of first; long results are cut to what is asked. A text
result is quoted by its best sentences. No model of the world: only what stands in the results is said.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from simllm.skills.amounts import CURRENCIES
from simllm.skills.fields import split_name
from simllm.skills.results import Answered, Leaf, nothing_found
from simllm.skills.words import stem, terms

MOST_SAID = 14  # values in one answer
MOST_SENTENCES = 4
LONGEST_SUBJECT = 40  # characters
SPELT_ALIKE = 0.5
_WORKED = frozenset(["ok", "okay", "success", "successful", "succeeded", "done"])
_NO_NOUNS = frozenset(
    [
        "to",
        "from",
        "by",
        "at",
        "in",
        "on",
        "for",
        "of",
        "with",
        "is",
        "has",
        "was",
        "available",
        "remaining",
        "left",
        "open",
        "free",
        "due",
    ]
)


def statement(need: str, answered: Sequence[Answered]) -> str:
    """The answer from all results so far; says so when they hold nothing."""
    good = [call for call in answered if not call.error and not nothing_found(call)]
    if not good:
        last = answered[-1]
        return f"I could not find that: {_plain(last.error)}." if last.error else "I found nothing for this request."
    said: list[str] = []
    share = max(4, MOST_SAID // len(good))
    for call in good:
        told = (
            _of_json(need, call, share)
            if call.data is not None and not isinstance(call.data, str)
            else _of_text(need, str(call.data or call.text))
        )
        subject = _subject(call, answered)
        said.append(f"{subject}: {told}" if subject and told else told)
    for call in answered:
        if call.error and _subject(call, answered) and not _made_good(call, answered):
            said.append(f"{_subject(call, answered)}: {_plain(call.error)}.")
    return " ".join(dict.fromkeys(text for text in said if text))


def _subject(call: Answered, answered: Sequence[Answered]) -> str:
    """What tells a call from the others of its tool: the one argument whose value no other has."""
    others = [other for other in answered if other is not call and other.name == call.name]
    if not others:
        return ""
    own = [
        value
        for key, value in call.arguments.items()
        if isinstance(value, str | int) and all(other.arguments.get(key) != value for other in others)
    ]
    return str(own[0]) if len(own) == 1 and len(str(own[0])) <= LONGEST_SUBJECT else ""


def _made_good(call: Answered, answered: Sequence[Answered]) -> bool:
    """Whether a later call corrected this one: the same tool, and one argument in other words."""
    position = next(i for i, other in enumerate(answered) if other is call)
    behind = [other for other in answered[position + 1 :] if other.name == call.name and not other.error]
    return any(
        difflib.SequenceMatcher(None, str(call.arguments.get(key)).lower(), str(value).lower()).ratio() >= SPELT_ALIKE
        for other in behind
        for key, value in other.arguments.items()
    )


def _plain(text: str) -> str:
    return text.strip(' ."')


def _of_json(need: str, call: Answered, most: int) -> str:
    found = [leaf for leaf in call.leaves if leaf.value not in (None, "")]
    if not found:
        return ""
    wanted = set(terms(need))
    if len(found) > most:
        ranked = sorted(range(len(found)), key=lambda i: (-_interest(found[i], wanted, found), i))[:most]
        found = [found[i] for i in sorted(ranked)]
    items: dict[int, list[Leaf]] = {}
    for leaf in found:
        items.setdefault(leaf.item, []).append(leaf)
    return " ".join(sentence_of(group) for group in items.values())


def sentence_of(group: Sequence[Leaf]) -> str:
    """Values with their names: "That worked. The price is 12 EUR. Available: 2." """
    worked = [leaf for leaf in group if leaf.value is True and leaf.key.lower() in _WORKED]
    noted = [leaf for leaf in group if leaf not in worked and _is_note(leaf)]
    named = [_clause(leaf) for leaf in group if leaf not in worked and leaf not in noted]
    said = ["That worked."] if worked else []
    if named:
        said.append(f"The {named[0]}." if len(named) == 1 else f"The {', '.join(named[:-1])} and {named[-1]}.")
    for leaf in noted:
        label = _label(leaf)
        said.append(f"{label[:1].upper()}{label[1:]}: {_value(leaf.value)}.")
    return " ".join(said)


def _clause(leaf: Leaf) -> str:
    """ "price is 12 EUR" for price_eur, "days are 3" for days."""
    parts = split_name(leaf.key)
    if len(parts) > 1 and parts[-1].upper() in CURRENCIES.values() and isinstance(leaf.value, int | float):
        return f"{' '.join(parts[:-1])} is {_value(leaf.value)} {parts[-1].upper()}"
    several = bool(parts) and re.search(r"(?<![sui])s$", parts[-1]) is not None
    return f"{_label(leaf)} {'are' if several else 'is'} {_value(leaf.value)}"


def _is_note(leaf: Leaf) -> bool:
    """Whether a key is no noun that could be the subject of a sentence ("sent", "in_stock", "to", "available")."""
    first = (split_name(leaf.key) or [""])[0]
    return isinstance(leaf.value, bool) or first in _NO_NOUNS


def _interest(leaf: Leaf, wanted: set[str], found: Sequence[Leaf]) -> float:
    """How much the need asks for a value: by its key, and by what stands beside it."""
    keys = {stem(word) for key in leaf.keys for word in split_name(key)}
    beside = {
        term
        for other in found
        if other.item == leaf.item and other.keys[:-1] == leaf.keys[:-1]
        for term in terms(str(other.value))
    }
    return 1.0 * len(keys & wanted) + 0.8 * len(beside & wanted) - 0.05 * leaf.item


def _label(leaf: Leaf) -> str:
    return " ".join(split_name(leaf.key)) or "result"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).rstrip(".")


def _of_text(need: str, text: str) -> str:
    sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n+", text) if s.strip()]
    if len(sentences) > MOST_SENTENCES:
        wanted = set(terms(need))
        ranked = sorted(range(len(sentences)), key=lambda i: (-len(wanted & set(terms(sentences[i]))), i))[
            :MOST_SENTENCES
        ]
        sentences = [sentences[i] for i in sorted(ranked)]
    return " ".join(sentences)

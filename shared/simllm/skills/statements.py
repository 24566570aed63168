"""Tell the user what the tools found, in sentences.

Names each value by its key, the ones that the need speaks of first; long results are cut to what is asked. A text
result is quoted by its best sentences. No model of the world: only what stands in the results is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from simllm.skills.fields import split_name
from simllm.skills.results import Answered, Leaf, nothing_found
from simllm.skills.words import stem, terms

MOST_SAID = 14  # values in one answer
MOST_SENTENCES = 4


def statement(need: str, answered: Sequence[Answered]) -> str:
    """The answer from all results so far; says so when they hold nothing."""
    good = [call for call in answered if not call.error and not nothing_found(call)]
    if not good:
        last = answered[-1]
        return f"I could not find that: {_plain(last.error)}." if last.error else "I found nothing for this request."
    said: list[str] = []
    share = max(4, MOST_SAID // len(good))
    for call in good:
        said.append(
            _of_json(need, call, share)
            if call.data is not None and not isinstance(call.data, str)
            else _of_text(need, str(call.data or call.text))
        )
    return " ".join(dict.fromkeys(text for text in said if text))


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
    sentences = []
    for group in items.values():
        parts = [f"{_label(leaf)} is {_value(leaf.value)}" for leaf in group]
        text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
        sentences.append(f"The {text}.")
    return " ".join(sentences)


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

"""Put an elliptic follow-up ("And for children?") in the place of its counterpart in the question before.

The counterpart has the same preposition, or is the topic of the conversation, or a phrase of the same kind (name,
number, day) and of the nearest meaning; without one, the follow-up is added at the end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from simllm.embeddings import WORDLLAMA
from simllm.skills.alignment import Reader
from simllm.skills.topics import PREPOSITIONS, Phrase, phrases
from simllm.skills.words import STOP_WORDS, terms

QUESTION = re.compile(
    r"^\W*(?:what|which|who|whose|when|where|why|how|is|are|was|were|do|does|did|can|could|should|would|will|may|must|has|have|am|tell|show|give|explain|list|find)\b",
    re.I,
)
_WHEN = re.compile(r"^(?:tomorrow|today|tonight|now|yesterday|later|next \w+|last \w+|this \w+|afterwards)\W*$", re.I)


def substitute(before: str, said: str, topics: Sequence[str], reader: Reader) -> str:
    """The question before, with its counterpart of `said` exchanged."""
    said = re.sub(r",? for (?:instance|example)\b", "", said)
    if _WHEN.match(said):
        return f"{before.rstrip(' ?.')} {_lower_first(said)}?"
    preposition, _, rest = said.partition(" ")
    by_preposition = preposition.lower() in PREPOSITIONS and bool(rest)
    found = phrases(before)
    if by_preposition:
        same = [p for p in found if p.preposition == preposition.lower()]
        if same:
            return _exchange(before, _closest(same, rest, reader) or same[-1], rest)
        return f"{before.rstrip(' ?.')} {_lower_first(said)}?"
    for earlier in reversed(topics):  # the topic of the conversation changes, the rest of the question stays
        if earlier and earlier in before and _kind(earlier) == _kind(said) != "words":
            return question(before.replace(earlier, said + _predicate(before, earlier), 1))
    target = _closest(found, said, reader)
    if target is None:
        return f"{before.rstrip(' ?.')} for {said}?"
    return _exchange(before, target, said)


def _closest(found: Sequence[Phrase], said: str, reader: Reader) -> Phrase | None:
    """The phrase of the same kind as `said`."""
    if not found:
        return None
    kind = [p for p in found if _kind(p.text) == _kind(said)]
    pool = kind or list(found)
    if len(pool) == 1 and kind and _kind(said) != "words":
        return pool[0]
    vectors = reader.embedder.embed([said, *(p.text for p in pool)], WORDLLAMA)
    plural = re.search(r"[^su]s$", said) is not None
    bare = re.match(r"(?:the|a|an|my|your) ", said, re.I) is None
    alike = [
        0.2 * (p.plural == plural) + 0.1 * (bare == (re.match(r"(?:the|a|an|my|your) ", p.text, re.I) is None))
        for p in pool
    ]
    cosines = vectors[1:] @ vectors[0] + alike
    best = int(cosines.argmax())
    return pool[best] if cosines[best] > 0.15 or kind and _kind(said) != "words" else None


def _kind(text: str) -> str:
    if any(c.isdigit() for c in text):
        return "number"
    if re.search(r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|weekend|weekday|holiday", text, re.I):
        return "day"
    return "name" if re.search(r"\b[A-ZÀ-Þ]", text) else "words"


def _exchange(before: str, target: Phrase, said: str) -> str:
    determiner = re.match(r"(?:the|a|an|my|your|our) ", target.text, re.I)
    if (
        determiner
        and not re.match(r"(?:the|a|an|my|your|our|this|that) ", said, re.I)
        and not re.match(r"[A-Z0-9]", said)
    ):
        said = determiner.group() + said
    said += _predicate(before, before[target.start : target.stop])
    return question(before[: target.start] + said + before[target.stop :])


def _predicate(before: str, phrase: str) -> str:
    """The last word of a phrase that is all that a question says: of "Is the Orion tent waterproof?" it is no part."""
    words = phrase.rstrip(" ?.").split()
    alone = not terms(before.replace(phrase, " ", 1))
    asks_whether = re.match(r"(?:is|are|was|were)\b", before, re.I)
    return f" {words[-1]}" if alone and asks_whether and len(words) > 2 and words[-1].islower() else ""


def question(text: str) -> str:
    text = upper(text.strip().rstrip(" ?."))
    return (
        f"{text}?"
        if QUESTION.match(text) and not re.match(r"(?:tell|show|give|explain|list|find)\b", text, re.I)
        else f"{text}."
    )


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower_first(text: str) -> str:
    """A phrase inside a sentence: its first word keeps a capital only where it is a name."""
    first = text.split()[0].lower() if text.split() else ""
    return text[:1].lower() + text[1:] if first in PREPOSITIONS | STOP_WORDS or _WHEN.match(text) else text

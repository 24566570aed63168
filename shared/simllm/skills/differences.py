"""What differs between a claim and the sentence that comes nearest to it: the checks of a careful reader.

Numbers with their units, which thing a number or name belongs to, exchanged parties, names that the text never mentions,
negation, opposites and dropped conditions. Each check returns its finding in words, "" when there is none. Patterns and
counting only: no model, no embeddings, no parser, so a passive or a long sentence can mislead it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from simllm.skills.opposites import negations, opposed_words
from simllm.skills.quantities import agree, quantities
from simllm.skills.words import STOP_WORDS, stem, terms

_CLAUSE = re.compile(
    r"[;:()—–]|,(?!\d)|\s(?:and|but|while|whereas|although|though|because|if|unless|which|so that|except)\s", re.I
)
_NAME = re.compile(r"(?<![.!?:]\s)(?<!^)(?<![\"“(])\b[A-ZÀ-Þ][\w'’-]*[\w]\b")
NUMERIC = re.compile(r"^\d[\d.,:/-]*$")
_PART = re.compile(r"[;:—–]|,(?!\d)|\s(?:but|while|whereas|although|except)\s", re.I)
_CLAUSE_OR_AND = re.compile(r"[;:()—–]|,(?!\d)|\s(?:and|but|while|whereas|although)\s", re.I)
_PASSIVE = re.compile(r"\bby\b", re.I)


def content(text: str) -> list[str]:
    """Content terms; numbers are left to the number check."""
    return [term for term in terms(text) if not NUMERIC.match(term)]


def swapped(claim: str, sentence: str) -> str:
    """A number that stands in another clause of the sentence than the words that the claim gives it to."""
    parts = [part for part in _CLAUSE.split(sentence) if part.strip()]
    numbered = [(set(content(part)), quantities(part)) for part in parts]
    numbered = [(words, found) for words, found in numbered if found]
    own = [part for part in _CLAUSE.split(claim) if quantities(part)]
    if len(numbered) < 2:
        return ""
    for part in own:
        words = set(content(part))
        for wanted in quantities(part):
            homes = [i for i, (_, found) in enumerate(numbered) if any(agree(wanted, q) for q in found)]
            if len(homes) != 1:
                continue
            fits = []
            for i, (there, _) in enumerate(numbered):
                elsewhere = set().union(*(w for j, (w, _) in enumerate(numbered) if j != i))
                fits.append(len(words & (there - elsewhere)))
            best = int(np.argmax(fits))
            if best != homes[0] and fits[best] > fits[homes[0]]:
                return f"{wanted.text} belongs to something else"
    return ""


def foreign_name(claim: str, text: str) -> str:
    """A name or identifier in the claim that the text never mentions."""
    known = {stem(word) for word in re.findall(r"\w+", text.lower())}
    initials = "".join(word[0] for word in re.findall(r"\b[A-Za-z]\w*", text)).lower()
    for match in _NAME.finditer(claim):
        for word in re.findall(r"\w+", match.group().lower()):
            if word in STOP_WORDS or stem(word) in known or len(word) < 2:
                continue
            if match.group().isupper() and word in initials:
                continue
            return match.group()
    for term in terms(claim):
        mixed = any(c.isdigit() for c in term) and any(c.isalpha() for c in term)
        if mixed and term not in text.lower() and not quantities(term):
            return term
    return ""


def negated(claim: str, sentence: str) -> str:
    """A negation on one side only, judged on the clauses that speak of the same."""
    words = set(content(claim))
    if not words:
        return ""
    parts = [
        part
        for part in re.split(r"[;:—–]|,(?!\d)|\s(?:but|while|whereas|although|except|unless)\s", sentence)
        if part.strip()
    ]
    best = max(parts or [sentence], key=lambda part: len(words & set(content(part))))
    if len(words & set(content(best))) < 0.5 * len(words):
        best = sentence
    shared = len(words & set(content(best))) / len(words)
    if shared >= 0.4 and negations(claim) % 2 != negations(best) % 2:
        if opposed_words(claim, best):  # "not open" and "closed" agree
            return ""
        return "one of the two is negated"
    return ""


def opposed(claim: str, sentence: str) -> str:
    """An opposite, closed-class words ("may", "will") included, in the clause that speaks of the same."""
    if negations(claim) % 2 != negations(sentence) % 2:
        return ""
    found = opposed_words(claim, _nearest_clause(claim, sentence))
    return f"'{found[0][0]}' against '{found[0][1]}'" if found else ""


def _nearest_clause(claim: str, sentence: str) -> str:
    words = set(content(claim))
    parts = [part for part in _PART.split(sentence) if len(content(part)) > 1] or [sentence]
    best = max(parts, key=lambda part: len(words & set(content(part))))
    return best if len(words & set(content(best))) >= 0.5 * len(words & set(content(sentence))) else sentence


def other_clause(claim: str, sentence: str) -> str:
    """A name that the sentence has in another clause, where the fitting clause has a name of its own."""
    parts = [part for part in _CLAUSE_OR_AND.split(sentence) if len(content(part)) > 1]
    if len(parts) < 2:
        return ""
    words = set(content(claim))
    best = max(parts, key=lambda part: len(words & set(content(part))))
    elsewhere = " ".join(part for part in parts if part is not best)
    for name in proper(claim):
        if stem(name.lower()) in set(content(elsewhere)) - set(content(best)):
            rivals = [other for other in proper(best) if stem(other.lower()) not in words]
            if rivals:
                return f"it says that of {rivals[0]}, not of {name}"
    return ""


def reordered(claim: str, sentence: str) -> str:
    """The same words around the same verb, with the two parties exchanged."""
    clause = _nearest_clause(claim, sentence)
    order, other = content(claim), content(clause)
    shared = [t for t in order if t in other and order.count(t) == 1 and other.count(t) == 1]
    if len(shared) < 3 or len(shared) < 0.75 * len(set(order)) or _PASSIVE.search(claim) or _PASSIVE.search(clause):
        return ""
    there = sorted(shared, key=other.index)
    first, last = shared[0], shared[-1]
    if (
        there.index(first) > there.index(last)
        and len(shared) - 1 == there.index(first) - there.index(last)
        or _exchanged(shared, there)
    ):
        return f"'{first}' and '{last}' have changed places"
    return ""


def _exchanged(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two words have changed places around one that stays."""
    moved = [i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    return len(moved) == 2 and moved[1] - moved[0] > 1 and one[moved[0]] == other[moved[1]]


def proper(text: str) -> list[str]:
    """Words whose capital does not come from the start of a sentence alone; there, only what acts at once ("Ana left")."""
    found = []
    for match in re.finditer(r"\b[A-ZÀ-Þ][\w'’-]*\w\b", text):
        word, before, after = match.group(), text[: match.start()].rstrip(), text[match.end() :]
        opening = not before or before[-1] in ".!?:"
        acts = not word.endswith("s") and re.match(r"\s+(?:is|was|has|had|[a-z]+ed|[A-ZÀ-Þ]\w+)\b", after)
        if word.lower() not in STOP_WORDS and (not opening or acts or not word[1:].islower()):
            found.append(word)
    return found

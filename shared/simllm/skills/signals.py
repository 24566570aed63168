"""What a judge sees when it holds one text against another, as numbers: the input of its fitted weights.

Three sets of signals: a claim against a source, a question against a passage, a candidate against a reference. Shares and
cosines lie in [0, 1]; flags are 0 or 1. The words come from `pairing`, the checks of a careful reader from `differences`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simllm.embeddings import MINILM, WORDLLAMA, Embedder
from simllm.skills.differences import content, foreign_name, negated, opposed, other_clause, reordered, swapped
from simllm.skills.exclusive import exclusive
from simllm.skills.opposites import negations, opposed_words, unconditional
from simllm.skills.pairing import Reading, Scores, pair
from simllm.skills.plain_measures import plain_measures
from simllm.skills.quantities import Quantity, same_value
from simllm.skills.units import sentences
from simllm.skills.wanted import provides

MOST_SENTENCES = 4  # of a source that are read closely
DENIED = (
    0.7  # of alike words times alike sentences, from which one negation more turns one into the contrary of the other
)
WEAK = 0.5  # pairing under which a word counts as absent
_UNIVERSAL = re.compile(r"\b(?:all|every|each|everybody|everyone|always|everywhere)\b", re.I)
_ONLY = re.compile(r"\b(?:only|alone|exclusively|nothing but|nobody but|solely)\b", re.I)
_HEDGE = re.compile(r"\b(?:not sure|don['’]t know|do not know|unsure|no idea|cannot say|hard to say|depends)\b", re.I)
_YES_NO = re.compile(r"^\W*(yes|no)\b[\s,.:;—–-]*", re.I)


@dataclass(frozen=True)
class Signals:
    """Numbers by name, and what a reason can quote.

    Attributes:
        values: the signals.
        sentence: of the other text, the one that comes nearest.
        conflict: what contradicts, in words; "" when nothing does.
        missing: what the other text does not have; "" when it has everything.
    """

    values: Mapping[str, float]
    sentence: str
    conflict: str = ""
    missing: str = ""


def of_claim(claim: str, source: str, embedder: Embedder | None) -> Signals:
    """A claim against a source."""
    claim = plain_measures(claim)
    source = plain_measures(_near_sentences(claim, source, embedder))
    mine, theirs = Reading(claim, embedder), Reading(source, embedder)
    table = pair(mine, theirs)
    if not table.size:
        return Signals({"mean": float(not mine.items)}, source)
    weights = mine.weights / mine.weights.sum()
    by_sentence = np.stack([_best(table, theirs.sentence_of == s) for s in range(len(theirs.sentences))], axis=1)
    similar = _cosines(claim, [text for _, text in theirs.sentences], embedder)
    at = int(np.argmax(weights @ by_sentence + 0.7 * similar))
    nearest = theirs.sentences[at][1]
    near, anywhere = by_sentence[:, at], table.max(axis=1)
    held = np.maximum(near, 0.9 * anywhere)
    number, missing = _numbers(mine, theirs, table, at)
    against = _against(mine, theirs, table, at) or opposed(claim, nearest)
    mixed = swapped(claim, nearest) or other_clause(claim, nearest) or reordered(claim, nearest)
    foreign = foreign_name(claim, source)
    negation = negated(claim, nearest)
    even = negations(claim) % 2 == negations(nearest) % 2
    everything = _UNIVERSAL.search(claim) and not (_UNIVERSAL.search(nearest) or _ONLY.search(nearest))
    condition = unconditional(claim, nearest)
    words = np.array([item.quantity is None for item in mine.items])
    bound = _bound(mine, theirs, table)
    values = {
        "mean": float(weights @ held),
        "least": _least(held[words], mine.weights[words]),
        "weak": float(weights @ (held < WEAK)),
        "near": float(weights @ near),
        "bound": bound,
        "apart": max(0.0, float(weights @ anywhere) - bound),
        "similar": float(similar[at]),
        "number": float(bool(number)),
        "missing": float(bool(missing)),
        "against": float(bool(against) and even),
        "mixed": float(bool(mixed)),
        "foreign": float(bool(foreign)),
        "negated": float(bool(negation) and not against),
        "denied": float(bool(negation) and not against and float(weights @ near) * float(similar[at]) > DENIED),
        "universal": float(bool(everything)),
        "condition": float(condition),
        "length": math.log(1 + len(mine.items)),
    }
    conflict = number or against or mixed or negation
    return Signals(values, nearest, conflict, missing or foreign)


def of_passage(question: str, passage: str, embedder: Embedder | None) -> Signals:
    """A question against a passage."""
    near = _near_sentences(question, passage, embedder)
    mine, theirs = Reading(question, embedder), Reading(near, embedder)
    table = pair(mine, theirs)
    if not table.size:
        return Signals({"whole": 0.0}, near)
    weights = mine.weights / mine.weights.sum()
    held = table.max(axis=1)
    by_sentence = np.stack([_best(table, theirs.sentence_of == s) for s in range(len(theirs.sentences))], axis=1)
    similar = _cosines(question, [text for _, text in theirs.sentences], embedder)
    at = int(np.argmax(weights @ by_sentence + 0.7 * similar))
    mean, common = float(weights @ held), float((held == 1.0).mean())
    foreign = foreign_name(question, passage)
    opposite = opposed_words(question, theirs.sentences[at][1])
    values = {
        "mean": mean,
        "least": _least(held, mine.weights),
        "common": common * (1 - common),
        "similar": float(similar[at]),
        "whole": float(_cosines(question, [near], embedder)[0]),
        "back": float(theirs.weights @ table.max(axis=0) / theirs.weights.sum()),
        "foreign": float(bool(foreign)),
        "against": float(bool(opposite)),
        "provides": provides(question, near),
    }
    conflict = f"it speaks of {opposite[0][1]}, the question of {opposite[0][0]}" if opposite else ""
    return Signals(values, theirs.sentences[at][1], conflict, foreign)


def of_candidate(question: str, reference: str, candidate: str, embedder: Embedder | None) -> Signals:
    """A candidate against a reference, both read as answers to the question."""
    question, reference, candidate = (plain_measures(text) for text in (question, reference, candidate))
    asked = Reading(question, embedder)
    right, said = (_answer(question, text, embedder) for text in (reference, candidate))
    table = pair(right, said)
    recall = _shares(table, right, asked)
    precision = _shares(table.T, said, asked)
    asked_alike = float(_cosines(f"{question} {reference}", [f"{question} {candidate}"], embedder)[0])
    bare, spoken = _YES_NO.sub("", reference), _YES_NO.sub("", candidate)
    first = (sentences(spoken) or [spoken])[0]
    odd = negations(bare) % 2 != negations(first) % 2
    pairs = opposed_words(bare, first)
    turned = next((found for at in range(len(right.sentences)) if (found := _against(said, right, table.T, at))), "")
    answers = _YES_NO.match(reference), _YES_NO.match(candidate)
    yes_no = bool(answers[0] and answers[1] and answers[0].group(1).lower() != answers[1].group(1).lower())
    mixed = swapped(candidate, reference) or other_clause(candidate, reference) or reordered(candidate, reference)
    values = {f"recall {name}": value for name, value in recall.items()}
    values |= {f"precision {name}": value for name, value in precision.items()}
    values |= {
        "similar": float(_cosines(reference, [candidate], embedder)[0]),
        "asked": asked_alike,
        "bound": min(_bound(right, said, table), _bound(said, right, table.T)) if table.size else 0.0,
        "yes no": float(yes_no),
        "against": float(bool(pairs) and not odd),
        "turned": float(bool(turned) and not odd),
        "negated": float(odd and not pairs),
        "denied": float(odd and not pairs and asked_alike > DENIED),
        "mixed": float(bool(mixed)),
        "hedged": float(bool(_HEDGE.search(candidate))),
        "shorter": max(0.0, math.log((1 + len(right.items)) / (1 + len(said.items)))),
        "longer": max(0.0, math.log((1 + len(said.items)) / (1 + len(right.items)))),
    }
    conflict = (
        "yes against no" if yes_no else mixed or (f"{pairs[0][0]} against {pairs[0][1]}" if pairs and not odd else "")
    )
    absent = [item.text for item, best in zip(right.items, _rows(table, len(right.items)), strict=True) if best < WEAK]
    return Signals(values, reference, conflict, absent[0] if absent else "")


def _answer(question: str, answer: str, embedder: Embedder | None) -> Reading:
    """An answer read behind its question, which gives "it" and fragments their meaning."""
    lead = f"{question.strip()} " if question.strip() else ""
    return Reading(lead + answer, embedder, skipped=len(lead))


def _shares(table: Scores, mine: Reading, asked: Reading) -> dict[str, float]:
    """How far what one answer adds to the question stands in the other."""
    best = _rows(table, len(mine.items))
    given = [item.quantity for item in asked.items if item.quantity]
    new = np.array(
        [
            not any(same_value(item.quantity, other) for other in given)
            if item.quantity
            else item.stem not in asked.stems
            for item in mine.items
        ],
        dtype=bool,
    )
    numbers = np.array([item.quantity is not None for item in mine.items], dtype=bool)
    if not new.any():
        new = np.ones(len(mine.items), dtype=bool)
    chosen, weights = best[new], mine.weights[new]
    if not len(chosen):
        return {"mean": 0.6, "least": 0.6, "most": 0.6, "weak": 0.0, "number": 0.0, "all numbers": 0.0}
    wrong = best[new & numbers] < WEAK
    return {
        "mean": float(weights @ chosen / weights.sum()),
        "least": _least(chosen, weights),
        "most": float(chosen.max()),
        "weak": float(weights @ (chosen < WEAK) / weights.sum()),
        "number": float(wrong.any()),
        "all numbers": float(len(wrong) > 0 and wrong.all()),
    }


def _rows(table: Scores, count: int) -> Scores:
    return table.max(axis=1) if table.size else np.zeros(count)


def _best(table: Scores, columns: np.ndarray) -> Scores:
    found: Scores = table[:, columns].max(axis=1) if columns.any() else np.zeros(len(table))
    return found


def _least(scores: Scores, weights: Scores) -> float:
    """The worst score, that of a common word forgiven in part."""
    return float((1 - weights * (1 - scores)).min()) if len(scores) else 1.0


def _bound(mine: Reading, theirs: Reading, table: Scores) -> float:
    """How far the words of each clause stand together in one clause of the other text."""
    total = 0.0
    for clause in np.unique(mine.clause_of):
        rows = mine.clause_of == clause
        weights = mine.weights[rows]
        homes = [_best(table[rows], theirs.clause_of == other) for other in np.unique(theirs.clause_of)]
        total += max(float(weights @ home) for home in homes)
    return total / float(mine.weights.sum())


def _numbers(mine: Reading, theirs: Reading, table: Scores, at: int) -> tuple[str, str]:
    """(a number that the source gives otherwise, a number that it does not have)."""
    there = [other for other in theirs.items if other.quantity and other.sentence == at]
    for item, row in zip(mine.items, table, strict=True):
        if item.quantity is None or any(row[theirs.sentence_of == at] >= 0.9):
            continue
        if item.quantity.value == len([other for other in theirs.items if other.quantity]):
            continue  # a count of things that the text lists
        rivals = [o.text for o in there if o.quantity and _rivals(o.quantity, item.quantity)]
        if rivals:
            return f"it says {rivals[0]} where the claim says {item.text}", ""
        if row.max() < 0.9:
            return "", item.text
    return "", ""


def _rivals(one: Quantity, other: Quantity) -> bool:
    """Whether two unequal numbers could stand for each other: of one dimension, or the same figure in another unit."""
    if one.dimension == other.dimension:
        return True
    figures = [re.search(r"\d[\d.,]*", quantity.text) for quantity in (one, other)]
    return bool(figures[0] and figures[1] and figures[0].group() == figures[1].group())


def _against(mine: Reading, theirs: Reading, table: Scores, at: int) -> str:
    """A word of the claim whose place is taken by a word that excludes it, in the clause that speaks of the same."""
    clauses = np.unique(theirs.clause_of[theirs.sentence_of == at])
    fit = [float(mine.weights @ _best(table, theirs.clause_of == clause)) for clause in clauses]
    if not fit:
        return ""
    there = [item for item in theirs.items if item.clause == clauses[int(np.argmax(fit))] and item.quantity is None]
    stems = {item.stem for item in theirs.items if item.sentence == at}
    for item in mine.items:
        if item.quantity is None and item.stem not in stems:
            for other in there:
                if other.stem not in mine.stems and exclusive(item.stem, other.stem):
                    return f"'{item.text}' against '{other.text}'"
    return ""


def _cosines(text: str, others: Sequence[str], embedder: Embedder | None) -> Scores:
    """Cosine with each other text, 0 without an embedder."""
    if embedder is None or not text.strip() or not all(other.strip() for other in others):
        return np.zeros(len(others))
    vectors = embedder.embed([text, *others], MINILM)
    found: Scores = np.clip((vectors[1:] @ vectors[0]).astype(np.float64), 0.0, 1.0)
    return found


def _near_sentences(claim: str, source: str, embedder: Embedder | None) -> str:
    """The sentences of a long source that share most with the claim, in order; a short source as it is."""
    found = [
        s
        for line in source.split("\n")
        for s in sentences(re.sub(r"^\s*(?:[-*•#]+|\d+[.)])\s+", "", line).strip())
        if re.search(r"\w", s)
    ]
    if len(found) <= MOST_SENTENCES:
        return "\n".join(found)
    wanted = set(content(claim))
    shared = np.array([len(wanted & set(content(s))) / max(len(wanted), 1) for s in found])
    if embedder is not None:
        vectors = embedder.embed([claim, *found], WORDLLAMA)
        shared = shared + vectors[1:] @ vectors[0]
    chosen = np.sort(np.argsort(-shared, kind="stable")[:MOST_SENTENCES])
    return "\n".join(found[int(i)] for i in chosen)

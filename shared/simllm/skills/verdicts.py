"""How a judge reaches its verdict: faithfulness, relevance, correctness, quality, preference.

Every function returns a `Verdict` whose score lies in [0, 1] on one scale for all criteria: from `YES_FROM` the answer
is yes, below `NO_BELOW` it is no, in between partly. What it sees comes from `signals`, what it makes of that from
`weights`, fitted on hand-labelled pairs. Judges keep known biases: a small model prefers the first answer and the longer
one (Zheng et al. 2023, "Judging LLM-as-a-judge").
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from simllm.skills.alignment import Reader, claims
from simllm.skills.differences import content
from simllm.skills.quantities import agree, quantities
from simllm.skills.signals import Signals, of_candidate, of_claim, of_passage
from simllm.skills.weights import WEIGHTS

YES_FROM = 2 / 3
NO_BELOW = 1 / 3
SLIP = 2.0  # of `oversight`: how far a model misjudges, in logits
FIRST_BONUS = 0.6  # of `oversight`, for the answer that is read first
LENGTH_BONUS = 0.3  # of `oversight`, for the longer answer


@dataclass(frozen=True)
class Verdict:
    """A judgement with its grounds."""

    score: float
    reason: str
    quote: str = ""
    claims: tuple[Verdict, ...] = ()
    claim: str = ""


def faithfulness(answer: str, evidence: str, reader: Reader) -> Verdict:
    """Whether the evidence says what the answer says, claim by claim."""
    found = [_supported(claim, evidence, reader) for claim in claims(answer)]
    if not found:
        return Verdict(0.0, "There is no claim to check.")
    good = [verdict for verdict in found if verdict.score >= YES_FROM]
    bad = [verdict for verdict in found if verdict.score < YES_FROM]
    quote = (good or found)[0].quote
    if not bad:
        return Verdict(min(v.score for v in found), found[0].reason, quote, tuple(found))
    worst = min(bad, key=lambda verdict: verdict.score)
    score = 0.5 if good else worst.score
    return Verdict(score, worst.reason, quote if good else worst.quote, tuple(found))


def _supported(claim: str, evidence: str, reader: Reader) -> Verdict:
    if not content(claim) and not quantities(claim):
        return Verdict(1.0, "There is nothing to check.", claim=claim)
    seen = of_claim(claim, evidence, reader.reads_with)
    score = _place(_probability("claim", seen, reader, claim, evidence))
    if score >= YES_FROM:
        reason = f'The text says: "{seen.sentence}"'
    elif seen.conflict:
        reason = f'The text contradicts "{claim}": {seen.conflict}.'
    elif seen.missing:
        reason = f"The text does not mention {seen.missing}."
    else:
        reason = f'The text does not say "{claim}".'
    return Verdict(score, reason, seen.sentence, claim=claim)


def _probability(name: str, seen: Signals, reader: Reader, *texts: str) -> float:
    """What the fitted weights make of the signals; a flag may be overlooked."""
    weights = WEIGHTS["meaning" if reader.semantic else "words"][name]
    logit = weights[""]
    for signal, value in seen.values.items():
        weight = weights.get(signal, 0.0)
        if weight and value and (value != 1.0 or weight > 0 or reader.notices(signal, *texts)):
            logit += weight * value
    logit += reader.skill.oversight * SLIP * (reader.chance(name, *texts) - 0.5)
    return 1 / (1 + math.exp(-logit))


def _place(probability: float) -> float:
    """A probability on the common scale: even odds become `YES_FROM`."""
    if probability >= 0.5:
        return YES_FROM + (1 - YES_FROM) * (2 * probability - 1)
    return NO_BELOW * 2 * probability


def relevance(question: str, passage: str, reader: Reader) -> Verdict:
    """Whether a passage helps to answer a question: near in meaning, of the same names, with the kind of thing it wants."""
    seen = of_passage(question, passage, reader.reads_with)
    score = _probability("passage", seen, reader, question, passage)
    if score >= 0.5:
        reason = f'The passage speaks of what the question asks: "{seen.sentence}"'
    elif seen.missing:
        reason = f"The passage does not speak of {seen.missing}."
    elif seen.conflict:
        reason = f"The passage does not answer the question: {seen.conflict}."
    else:
        reason = f'The passage does not answer the question: "{seen.sentence}"'
    return Verdict(score, reason, seen.sentence)


def correctness(question: str, reference: str, candidate: str, reader: Reader) -> Verdict:
    """Whether the candidate says what the reference says, beyond what the question has said already."""
    if not content(reference) and not quantities(reference):
        return Verdict(0.0, "There is no reference to compare with.", reference)
    now, former = _current(reference)
    seen = of_candidate(question, now, candidate, reader.reads_with)
    old = [q for q in quantities(former) if any(agree(q, other) for other in quantities(candidate))]
    if old and seen.values["recall weak"] and reader.notices("former", reference, candidate):
        return Verdict(0.1, f"The candidate gives a former value, {old[0].text}.", reference)
    texts = (question, reference, candidate)
    right = _probability("right", seen, reader, *texts)
    partly = _probability("partly", seen, reader, *texts)
    lacking = f' It lacks "{seen.missing}".' if seen.missing else ""
    if right >= 0.5:
        return Verdict(_place(right), f'The candidate agrees with the reference: "{reference}"', reference)
    if partly >= 0.5:
        return Verdict(NO_BELOW + (YES_FROM - NO_BELOW) * 0.98 * 2 * right, f"A part is right.{lacking}", reference)
    reason = f"The candidate contradicts the reference: {seen.conflict}." if seen.conflict else ""
    return Verdict(_place(partly), reason or f"The candidate does not say what the reference says.{lacking}", reference)


_FORMER = re.compile(
    r"\b(?:before(?: that)?,|previously|formerly|used to|earlier it|until then|in the past|no longer|originally|old(?:er)? (?:price|value|limit|version))",
    re.I,
)


def _current(reference: str) -> tuple[str, str]:
    """A reference cut into what holds now and what held before."""
    parts = re.split(r"(?<=[.;])\s+|,\s+(?=previously|formerly|before|but it used)", reference)
    now = [part for part in parts if not _FORMER.search(part)]
    then = [part for part in parts if _FORMER.search(part)]
    return (" ".join(now), " ".join(then)) if now else (reference, "")


def quality(question: str, answer: str, reader: Reader) -> Verdict:
    """How well an answer addresses a question, with nothing to check it against."""
    seen = of_passage(question, answer, reader.reads_with).values
    value = 0.5 * seen.get("mean", 0.0) + 0.5 * max(seen.get("similar", 0.0), seen.get("whole", 0.0))
    value += 0.1 * min(1.0, len(answer.split()) / 40)
    empty = any(phrase in answer.lower() for phrase in ("don't know", "do not know", "cannot help", "can't help"))
    score = 0.15 if empty else _binary(value, 0.45)
    return Verdict(score, "It addresses the question." if score >= 0.5 else "It hardly addresses the question.")


def _binary(value: float, border: float) -> float:
    return min(1.0, max(0.0, 0.5 + (value - border) * 1.5))


def preference(
    question: str, evidence: str, reference: str, answers: Sequence[str], reader: Reader
) -> tuple[Verdict, list[float]]:
    """Which answer is better: (verdict, one score per answer); the verdict's score is the margin's sureness."""
    scores = []
    longest = max(len(answer.split()) for answer in answers)
    for i, answer in enumerate(answers):
        score = 0.3 * quality(question, answer, reader).score if question else 0.0
        if evidence:
            score += faithfulness(answer, evidence, reader).score
        if reference:
            score += correctness(question, reference, answer, reader).score
        score += reader.skill.oversight * (
            FIRST_BONUS * (i == 0) + LENGTH_BONUS * len(answer.split()) / max(longest, 1)
        )
        scores.append(score)
    best = max(range(len(scores)), key=lambda i: scores[i])
    margin = scores[best] - max(score for i, score in enumerate(scores) if i != best)
    grounds = "agrees better with what is given" if evidence or reference else "addresses the question better"
    return Verdict(min(1.0, 0.5 + margin), f"It {grounds}."), scores

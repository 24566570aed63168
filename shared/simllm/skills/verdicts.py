"""How a judge reaches its verdict: faithfulness, relevance, correctness, quality, preference.

Every function returns a `Verdict` whose score lies in [0, 1] on one scale for all criteria: from `YES_FROM` the answer
is yes, below `NO_BELOW` it is no, in between partly. Claims are held against sentences by `alignment`. The thresholds
were set on eighty hand-labelled pairs and hold clearly less well on others. Judges keep known biases: a small model
prefers the first answer and the longer one (Zheng et al. 2023, "Judging LLM-as-a-judge").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simllm.skills.alignment import Match, Reader, claims
from simllm.skills.differences import content, proper
from simllm.skills.opposites import negations, opposed_words
from simllm.skills.quantities import Quantity, agree, quantities, same_value
from simllm.skills.units import sentences

YES_FROM = 2 / 3
NO_BELOW = 1 / 3
SUPPORTED = {True: 0.57, False: 0.55}  # support from which a claim stands; with embeddings, and by words alone
RELEVANT = {True: 0.41, False: 0.45}
SAME_MEANING = 0.46  # cosine from which a candidate without common words may still say the same
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
    found = [_supported(reader.match(claim, evidence), reader) for claim in claims(answer)]
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


def _supported(match: Match, reader: Reader) -> Verdict:
    border = SUPPORTED[reader.semantic]
    if match.conflict:
        return Verdict(
            0.1, f'The text contradicts "{match.claim}": {match.conflict}.', match.sentence, claim=match.claim
        )
    if match.missing:
        return Verdict(0.2, f"The text does not mention {match.missing}.", match.sentence, claim=match.claim)
    score = _place(match.support, border)
    reason = f'The text says: "{match.sentence}"' if score >= YES_FROM else f'The text does not say "{match.claim}"'
    return Verdict(score, reason if reason.endswith(('."', '!"')) else reason + ".", match.sentence, claim=match.claim)


def _place(value: float, border: float) -> float:
    """A value on the common scale: the border becomes `YES_FROM`."""
    if value >= border:
        return YES_FROM + (1 - YES_FROM) * (value - border) / max(1 - border, 0.01)
    return NO_BELOW * value / border


def relevance(question: str, passage: str, reader: Reader) -> Verdict:
    """Whether a passage helps to answer a question: near in meaning, about the same names, the same direction."""
    match = reader.match(question, passage)
    value = match.coverage
    if reader.semantic:
        # having some of the words and lacking the others is the mark of a neighbouring topic
        value = max(match.similarity, reader.similarity(question, passage)) - 0.5 * match.coverage * (
            1 - match.coverage
        )
    reason = ""
    if match.missing and proper(passage) and reader.notices("names", question, passage):
        reason = f"The passage does not speak of {match.missing}."
    elif reader.notices("opposites", question, passage) and (pairs := opposed_words(question, match.sentence)):
        reason = f"The passage speaks of {pairs[0][1]}, the question of {pairs[0][0]}."
    score = min(0.3, _binary(value, RELEVANT[reader.semantic])) if reason else _binary(value, RELEVANT[reader.semantic])
    says = "speaks of what the question asks" if score >= 0.5 else "does not answer the question"
    return Verdict(score, reason or f'The passage {says}: "{match.sentence}"', match.sentence)


def _binary(value: float, border: float) -> float:
    return min(1.0, max(0.0, 0.5 + (value - border) * 1.5))


def correctness(question: str, reference: str, candidate: str, reader: Reader) -> Verdict:
    """Whether the candidate says the fact that the reference says: which of its key items are there?"""
    current, former = _current(reference)
    items = key_items(current, question)
    if not items:
        items = key_items(current, "")
    if not items:
        return Verdict(0.0, "There is no reference to compare with.", reference)
    match = reader.match(current, candidate)
    back = reader.match(candidate, current)
    if reader.notices("negation", reference, candidate) and (wrong := _opposite(current, candidate, question)):
        return Verdict(0.1, f"The candidate says the opposite: {wrong}.", reference)
    mixed = next((m.conflict for m in (back, match) if "places" in m.conflict or "belongs" in m.conflict), "")
    if mixed:
        return Verdict(0.1, f"The candidate mixes up the parts: {mixed}.", reference)
    held = [reader.held(item, candidate) for item in items]
    absent = [item for item, share in zip(items, held, strict=True) if share < 0.5]
    recall = sum(held) / len(held)
    old = [q for q in quantities(former) if any(agree(q, other) for other in quantities(candidate))]
    if old and absent and reader.notices("former", reference, candidate):
        return Verdict(0.1, f"The candidate gives a former value, {old[0].text}.", reference)
    if not absent:
        return Verdict(max(YES_FROM, recall), f'The candidate agrees with the reference: "{reference}"', reference)
    lacking = f'The candidate lacks "{absent[0]}".'
    hard = [item for item in absent if quantities(item) or item in proper(reference)]
    if not hard and recall <= 0.25 and max(match.similarity, back.similarity) >= SAME_MEANING:
        return Verdict(0.75, f'The candidate says in other words: "{reference}"', reference)
    if len(absent) < len(items):
        return Verdict(0.5, f"A part is right. {lacking}", reference)
    return Verdict(0.15, lacking, reference)


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


def key_items(reference: str, question: str) -> list[str]:
    """What a reference says beyond the question: numbers with units, names, content words."""
    given = set(content(question))
    numbers = [q for q in quantities(reference) if not q.vague and not (q.spoken and not q.dimension and q.value <= 1)]
    asked = quantities(question)
    found = [_written(q, reference) for q in numbers if not any(same_value(q, other) for other in asked)]
    taken = {term for item in found for term in content(item)}
    names = set(proper(reference))
    for word in re.findall(r"[^\W\d_][\w'’-]*", reference):
        term = next(iter(content(word)), "")
        if term and term not in given and term not in taken and (word in names or not numbers):
            taken.add(term)
            found.append(word)
    return found


def _written(quantity: Quantity, text: str) -> str:
    """A number with the word behind it."""
    following = re.match(r"\S*(?:\s+[A-Za-z%€$£]+)?", text[quantity.start + len(quantity.text) :])
    return (quantity.text + (following.group() if following else "")).strip(" .,;:")


def _opposite(reference: str, candidate: str, question: str) -> str:
    """What turns the candidate into the contrary of the reference; "" when nothing does."""
    first = (sentences(candidate) or [candidate])[0]
    pairs = opposed_words(reference, first)
    odd = negations(reference) % 2 != negations(first) % 2
    answers = re.match(r"\W*(yes|no)\b", candidate, re.I), re.match(r"\W*(yes|no)\b", reference, re.I)
    if all(answers) and answers[0].group(1).lower() != answers[1].group(1).lower():  # type: ignore[union-attr]
        return "yes against no"
    shared = set(content(reference)) & set(content(first))
    if odd and not pairs and (shared or not content(first)) and not re.search(r"\b(?:know|sure)\b", first):
        return "one of the two is negated"
    if pairs and not odd and content(first):
        return f"{pairs[0][0]} against {pairs[0][1]}"
    return ""


def quality(question: str, answer: str, reader: Reader) -> Verdict:
    """How well an answer addresses a question, with nothing to check it against."""
    match = reader.match(question, answer)
    value = 0.5 * match.coverage + 0.5 * max(match.similarity, reader.similarity(question, answer))
    value += 0.1 * min(1.0, len(answer.split()) / 40)
    empty = any(phrase in answer.lower() for phrase in ("don't know", "do not know", "cannot help", "can't help"))
    score = 0.15 if empty else _binary(value, 0.45)
    return Verdict(score, "It addresses the question." if score >= 0.5 else "It hardly addresses the question.")


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

"""How well each unit of the context answers the question, as one model sees it.

Word overlap weighted by rarity within the prompt (Spärck Jones 1972), embedding similarity, the kind of answer the
question wants, and the model's weaknesses: a stable misjudgement per unit, and blindness in the middle of long
contexts (Liu et al. 2023, "Lost in the Middle").
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simllm.catalogue import Skill
from simllm.embeddings import MINILM, WORDLLAMA, Embedder
from simllm.skills.layout import Passage
from simllm.skills.units import Unit
from simllm.skills.words import is_identifier, terms

LONG_CONTEXT_WORDS = 700  # under this a model reads everything equally well
FOLLOW_UP_SHARE = 0.4  # weight of the words of the question before
MOST_EMBEDDED = 64  # units that are compared by the slow, good embedding
PASSAGE_SHARE = 0.15  # of word overlap, given to the unit's passage
AROUND_SHARE = 0.25  # of embedding similarity, given to the unit's passage
KIND_BONUS = 0.06

_WANTS_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|often|far|large|big|old|fast|high|soon)|what (?:port|number|percentage|size|limit|version|time|year|date)|when|"
    r"which (?:port|version|year|date)|maximum|minimum|default|limit|timeout|interval|deadline)\b",
    re.I,
)
_WANTS_STEPS = re.compile(r"\bhow (?:do|can|should|to|would|does one)\b|\bsteps?\b|\bcommand\b", re.I)
_WANTS_REASON = re.compile(r"\bwhy\b|\breasons?\b|\bcauses?\b", re.I)
_REASON = re.compile(
    r"\b(?:because|since|due to|so that|in order to|therefore|caused by|to avoid|to prevent|reason)\b", re.I
)
_STEP = re.compile(
    r"^(?:run|use|open|set|add|press|click|call|create|remove|turn|wait|check|restart|install|go|first|then|next)\b|`",
    re.I,
)

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Query:
    """A question, and for a short follow-up the question before it."""

    question: str
    earlier: str = ""

    @property
    def whole(self) -> str:
        return f"{self.earlier} {self.question}".strip()


@dataclass(frozen=True)
class Judgement:
    """Relevance per unit [n] in about [0, 1], and how much of the question's rarity-weighted words each unit has."""

    scores: Scores
    overlaps: Scores
    covered: tuple[frozenset[str], ...]
    weights: dict[str, float]


def judge(
    query: Query, units: Sequence[Unit], passages: Sequence[Passage], skill: Skill, embedder: Embedder
) -> Judgement:
    """Score every unit."""
    question = query.question
    wanted = dict.fromkeys(terms(query.earlier), FOLLOW_UP_SHARE) | dict.fromkeys(terms(question), 1.0)
    own = [frozenset(terms(unit.text)) for unit in units]
    around = [frozenset(terms(unit.about)) for unit in units]
    spread = Counter(term for text, about in zip(own, around, strict=True) for term in text | about)
    weights = {
        t: math.log(1 + (len(units) + 1) / (spread[t] + 0.5)) * (1.6 if is_identifier(t) else 1) * share
        for t, share in wanted.items()
    }
    total = sum(weights.values()) or 1.0
    covered = tuple(frozenset(wanted) & (text | about) for text, about in zip(own, around, strict=True))
    overlaps = np.array(
        [
            sum(weights[t] * (1.0 if t in text else 0.7) for t in hit) / total
            for hit, text in zip(covered, own, strict=True)
        ]
    )
    of_passage = _passage_overlaps(passages, weights, total)
    lexical = (1 - PASSAGE_SHARE) * overlaps + PASSAGE_SHARE * of_passage[[unit.passage for unit in units]]
    scores = lexical
    if skill.semantic_weight > 0:
        similar = _similarities(query.whole, units, passages, lexical, embedder)
        scores = skill.semantic_weight * similar + (1 - skill.semantic_weight) * lexical
    scores = scores + np.array([_kind_bonus(question, unit) for unit in units])
    scores = scores - skill.middle_blindness * _middle(units) * scores
    scores = scores - skill.identifier_care * _foreign(list(wanted), units, passages)
    scores = scores + skill.noise * np.array([_misjudgement(question, unit) for unit in units])
    return Judgement(scores, overlaps, covered, weights)


def _passage_overlaps(passages: Sequence[Passage], weights: dict[str, float], total: float) -> Scores:
    found = []
    for passage in passages:
        present = set(terms(f"{passage.label} {passage.text}"))
        found.append(sum(weight for term, weight in weights.items() if term in present) / total)
    return np.array(found)


def _similarities(
    question: str, units: Sequence[Unit], passages: Sequence[Passage], lexical: Scores, embedder: Embedder
) -> Scores:
    """Cosine of the question with each unit and, to a lesser part, with its passage.

    Of many units, a fast embedding picks those that are compared with the good one; the others get 0.
    """
    texts = [f"{unit.about}: {unit.text}" if unit.kind != "sentence" and unit.about else unit.text for unit in units]
    chosen = np.arange(len(units))
    similar = np.zeros(len(units))
    if len(units) > MOST_EMBEDDED:
        rough = embedder.embed([question, *texts], WORDLLAMA)
        promise = rough[1:] @ rough[0] + lexical
        chosen = np.sort(np.argsort(-promise, kind="stable")[:MOST_EMBEDDED])
    near = sorted({units[int(i)].passage for i in chosen})
    vectors = embedder.embed([question, *(texts[int(i)] for i in chosen), *(passages[p].text for p in near)], MINILM)
    cosines = np.clip(vectors[1:] @ vectors[0], 0.0, 1.0)
    of_passage = dict(zip(near, cosines[len(chosen) :], strict=True))
    around = np.array([of_passage[units[int(i)].passage] for i in chosen])
    similar[chosen] = (1 - AROUND_SHARE) * cosines[: len(chosen)] + AROUND_SHARE * around
    return similar


def _foreign(wanted: Sequence[str], units: Sequence[Unit], passages: Sequence[Passage]) -> Scores:
    """Share of the question's identifiers (words with a digit) that a unit's passage does not have."""
    identifiers = {term for term in wanted if any(c.isdigit() for c in term) and not term.isdigit()}
    if not identifiers:
        return np.zeros(len(units))
    lacking = [len(identifiers - set(terms(f"{p.label} {p.text}"))) / len(identifiers) for p in passages]
    return np.array([lacking[unit.passage] for unit in units])


def _kind_bonus(question: str, unit: Unit) -> float:
    bonus = 0.0
    if _WANTS_NUMBER.search(question) and any(c.isdigit() for c in unit.text):
        bonus += KIND_BONUS
    if _WANTS_STEPS.search(question) and (unit.kind == "code" or _STEP.search(unit.text)):
        bonus += KIND_BONUS
    if _WANTS_REASON.search(question) and _REASON.search(unit.text):
        bonus += KIND_BONUS
    return bonus - (KIND_BONUS if unit.text.endswith("?") else 0.0)


def _middle(units: Sequence[Unit]) -> Scores:
    """0 at both ends of the context, 1 in its middle; 0 everywhere when the context is short."""
    words = np.cumsum([len(unit.text.split()) for unit in units])
    if words[-1] < LONG_CONTEXT_WORDS:
        return np.zeros(len(units))
    depth = words / words[-1]
    found: Scores = np.clip(np.minimum(depth, 1 - depth) * 4, 0.0, 1.0)
    return found


def _misjudgement(question: str, unit: Unit) -> float:
    """A number in [-1, 1] that depends on question and unit only: errors are stable."""
    digest = hashlib.sha256(f"{question}\0{unit.text}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") / 2**31 - 1

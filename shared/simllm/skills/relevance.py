"""How well each unit of the context answers the question, as one model sees it.

Overlap of words, spelled or meant alike, weighted by rarity within the prompt (Spärck Jones 1972), the kind of answer the
question wants, and the model's weaknesses: a stable misjudgement per unit, and blindness in the middle of long
contexts (Liu et al. 2023, "Lost in the Middle").
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simllm.catalogue import Skill
from simllm.embeddings import Embedder
from simllm.skills.close_reading import meanings
from simllm.skills.layout import Passage
from simllm.skills.matching import likeness, split_terms, vectors
from simllm.skills.units import Unit
from simllm.skills.words import is_identifier, terms

LONG_CONTEXT_WORDS = 700  # under this a model reads everything equally well
FOLLOW_UP_SHARE = 0.4  # weight of the question before
LONG_UNIT_WORDS = 30
SIMILARITY = 0.45  # of a unit's mean word vector, times the model's own weight for meaning
IN_CONTEXT = 0.8  # the same for a unit's vector in its context
COVERAGE = 0.5  # of the question's words that one passage has, beside the best unit's meaning: grounds to answer at all
# fitted on questions whose answers are marked, non-negative where more must not mean less; the first four sum to 1
WEIGHTS = {
    "own": 0.12,
    "whole": 0.40,
    "near": 0.30,
    "passage": 0.18,
    "number": 0.14,
    "step": 0.10,
    "reason": 0.08,
    "asks": -0.19,
    "length": 0.08,
    "title": -0.19,
}

_WANTS_NUMBER = re.compile(
    r"\b(?:how (?:many|much|long|often|far|large|big|old|fast|high|soon)|what (?:port|number|percentage|size|limit|version|time|year|date)|when|"
    r"which (?:port|version|year|date)|maximum|minimum|default|limit|timeout|interval|deadline)\b",
    re.I,
)
_WANTS_STEPS = re.compile(
    r"\bhow (?:do|can|should|to|would|does one)\b|\bwhat (?:do|should|must) (?:i|we|you) (?:do|run)\b|\bsteps?\b|\bcommand\b",
    re.I,
)
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
    def parts(self) -> dict[str, float]:
        """Both, and how much each counts."""
        return ({self.earlier: FOLLOW_UP_SHARE} if self.earlier else {}) | {self.question: 1.0}

    @property
    def whole(self) -> str:
        return f"{self.earlier} {self.question}".strip()


@dataclass(frozen=True)
class Judgement:
    """Relevance per unit [n], in about [0, 1], and how sure the model is that the context holds an answer."""

    scores: Scores
    assurance: float


def judge(
    query: Query, units: Sequence[Unit], passages: Sequence[Passage], skill: Skill, embedder: Embedder
) -> Judgement:
    """Score every unit."""
    features = read_features(query, units, passages, embedder if skill.semantic_weight > 0 else None)
    scores = sum((weight * features[name] for name, weight in WEIGHTS.items()), np.zeros(len(units)))
    meaning = np.zeros(len(units))
    if skill.semantic_weight > 0:
        scores = scores + SIMILARITY * skill.semantic_weight * features["similar"]
        meaning = meanings(query.parts, units, passages, scores, embedder)
        scores = scores + IN_CONTEXT * skill.semantic_weight * meaning
    sight = 1 - skill.middle_blindness * _middle(units)
    scores = sight * scores - skill.identifier_care * features["foreign"]
    scores = scores + skill.noise * np.array([_misjudgement(query.question, unit) for unit in units])
    grounds = sight * (meaning + COVERAGE * features["passage"]) - skill.identifier_care * features["foreign"]
    return Judgement(scores, float(grounds.max()))


def read_features(
    query: Query, units: Sequence[Unit], passages: Sequence[Passage], embedder: Embedder | None
) -> dict[str, Scores]:
    """What a quick look sees of every unit: features by name, [n] each."""
    asked, before = split_terms(query.question), split_terms(query.earlier)
    shares = dict.fromkeys(before, FOLLOW_UP_SHARE) | dict.fromkeys(asked, 1.0)
    wanted = list(shares)
    own = [split_terms(unit.text) for unit in units]
    around = [split_terms(f"{unit.about} {passages[unit.passage].label}") for unit in units]
    vocabulary = list(dict.fromkeys(term for text in [*own, *around] for term in text))
    place = {term: column for column, term in enumerate(vocabulary)}
    alike = likeness(wanted, vocabulary, embedder)
    in_own, in_around = (
        np.stack([_best(alike, [place[term] for term in text]) for text in texts], axis=1) for texts in (own, around)
    )
    in_both = np.maximum(in_own, in_around)
    spread = (in_both == 1.0).sum(axis=1)
    rarity = np.log(1 + (len(units) + 1) / (spread + 0.5)) * np.array(list(shares.values()))
    rarity *= np.array([1.6 if is_identifier(term) else 1.0 for term in wanted])
    of = np.array([unit.passage for unit in units])
    near = in_both.copy()
    for step in (-1, 1):
        same = np.roll(of, step) == of
        near = np.maximum(near, np.where(same, np.roll(in_both, step, axis=1), 0.0))
    in_passage = np.stack([in_both[:, of == passage].max(axis=1) for passage in of], axis=1)
    total = rarity.sum() or 1.0
    features = {"own": in_own, "whole": in_both, "near": near, "passage": in_passage}
    found = {name: (rarity @ matrix) / total for name, matrix in features.items()}
    found |= _kinds(query.question, units)
    found["foreign"] = _foreign(wanted, units, passages)
    if embedder is not None:
        found["similar"] = _similarities(
            wanted, rarity, [a + b for a, b in zip(own, around, strict=True)], vocabulary, embedder
        )
    return found


def _best(alike: Scores, columns: Sequence[int]) -> Scores:
    best: Scores = alike[:, columns].max(axis=1) if columns else np.zeros(len(alike))
    return best


def _kinds(question: str, units: Sequence[Unit]) -> dict[str, Scores]:
    """Whether a unit is the kind of thing that the question wants."""
    number, steps, reason = (bool(p.search(question)) for p in (_WANTS_NUMBER, _WANTS_STEPS, _WANTS_REASON))

    def column(test: Callable[[Unit], bool]) -> Scores:
        return np.array([float(test(unit)) for unit in units])

    return {
        "number": column(lambda unit: number and any(c.isdigit() for c in unit.text)),
        "step": column(lambda unit: steps and (unit.kind == "code" or bool(_STEP.search(unit.text)))),
        "reason": column(lambda unit: reason and bool(_REASON.search(unit.text))),
        "asks": column(lambda unit: unit.text.endswith("?")),
        "length": np.array([min(len(unit.text.split()), LONG_UNIT_WORDS) / LONG_UNIT_WORDS for unit in units]),
        "title": np.array([float(_is_title(units, i)) for i in range(len(units))]),
    }


def _is_title(units: Sequence[Unit], i: int) -> bool:
    """Whether a unit opens its passage without being a sentence, and more follows."""
    opens = i == 0 or units[i - 1].passage != units[i].passage
    goes_on = i + 1 < len(units) and units[i + 1].passage == units[i].passage
    return opens and goes_on and units[i].kind == "sentence" and units[i].text[-1].isalnum()


def _similarities(
    wanted: Sequence[str], rarity: Scores, units: Sequence[Sequence[str]], vocabulary: Sequence[str], embedder: Embedder
) -> Scores:
    """Cosine of the question's and each unit's mean word vector, the question's words weighted by rarity."""
    if not wanted or not vocabulary:
        return np.zeros(len(units))
    place = {term: column for column, term in enumerate(vocabulary)}
    asked = rarity @ vectors(wanted, embedder)
    table = vectors(vocabulary, embedder)
    means = np.stack([table[[place[term] for term in text]].sum(axis=0) if text else np.zeros(256) for text in units])
    lengths = np.linalg.norm(means, axis=1) * np.linalg.norm(asked)
    similar: Scores = np.clip(means @ asked / np.where(lengths > 0, lengths, 1.0), 0.0, 1.0)
    return similar


def _foreign(wanted: Sequence[str], units: Sequence[Unit], passages: Sequence[Passage]) -> Scores:
    """Share of the question's identifiers (words with a digit) that a unit's passage does not have."""
    identifiers = {term for term in wanted if any(c.isdigit() for c in term) and not term.isdigit()}
    if not identifiers:
        return np.zeros(len(units))
    lacking = [len(identifiers - set(terms(f"{p.label} {p.text}"))) / len(identifiers) for p in passages]
    return np.array([lacking[unit.passage] for unit in units])


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

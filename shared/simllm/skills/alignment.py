"""Does a text say what a claim says? Claims are aligned with sentences and then checked for what differs.

Alignment by content words weighted by rarity (Spärck Jones 1972), by neighbours of words in an embedding, and by
sentence similarity. Then the checks that a careful reader makes: numbers with units, which thing a number belongs to,
names, negation and opposites. Splitting an answer into claims follows FActScore (Min et al. 2023), here by punctuation.
A model's slips are stable: whether it forgets a check depends on model and text alone.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simllm.catalogue import Skill
from simllm.embeddings import MINILM, WORDLLAMA, Embedder
from simllm.skills.differences import (
    NUMERIC,
    content,
    foreign_name,
    negated,
    numbers,
    opposed,
    other_clause,
    reordered,
    swapped,
)
from simllm.skills.quantities import agree, quantities, same_value
from simllm.skills.units import sentences
from simllm.skills.words import is_identifier

NEIGHBOUR = 0.45  # cosine from which two words count as related
EXPECTED = (0.38, 0.5)  # similarity that a share of common words brings anyway: intercept, slope
BEYOND = 0.9
MOST_SENTENCES = 40  # of a context that are compared by the slow embedding
_SUBCLAIM = re.compile(
    r";\s+|,\s+(?:and|but|while|whereas|although|which|plus|so)\s+|\s+(?:and|but)\s+|\s+[—–-]\s+|\s+(?:because|as well as)\s+",
    re.I,
)


@dataclass(frozen=True)
class Match:
    """What a text says about one claim.

    Attributes:
        claim: the claim.
        sentence: the sentence (or two) that comes nearest; "" when the text is empty.
        coverage: share of the claim's rarity-weighted words that the text has, in [0, 1].
        similarity: cosine with the nearest sentence; 0 for a model without embeddings.
        support: both in one number, in [0, 1].
        conflict: what contradicts, in words; "" when nothing does.
        missing: a number or name of the claim that the text does not have; "" when it has them all.
    """

    claim: str
    sentence: str
    coverage: float
    similarity: float
    support: float
    conflict: str
    missing: str


class Reader:
    """One model reading: its embeddings, its slips."""

    def __init__(self, skill: Skill, embedder: Embedder) -> None:
        self.skill = skill
        self.embedder = embedder
        self.semantic = skill.semantic_weight > 0

    def chance(self, *texts: str) -> float:
        """A number in [0, 1) that depends on the texts only."""
        digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:4], "big") / 2**32

    def notices(self, check: str, *texts: str) -> bool:
        """Whether the model makes this check on these texts."""
        return self.chance("check", check, *texts) >= self.skill.oversight

    def match(self, claim: str, text: str) -> Match:
        """Hold one claim against a text."""
        pieces = _windows(text)
        wanted = content(claim)
        if not pieces or not wanted:
            return Match(
                claim, pieces[0] if pieces else "", 0.0 if wanted else 1.0, 0.0, 0.0 if wanted else 1.0, "", ""
            )
        have = [set(content(piece)) for piece in pieces]
        near = self._neighbours(wanted, set().union(*have))
        weights = _rarity(wanted, have)
        covered = np.array([sum(w * _held(t, words, near) for t, w in weights.items()) for words in have])
        covered /= sum(weights.values())
        similar = self._similarities(claim, pieces, covered)
        merit = covered + 0.7 * similar - 0.01 * np.array([len(words) ** 0.5 for words in have])
        best = int(np.argmax(merit))
        everywhere = set().union(*have)
        overall = sum(w * _held(t, everywhere, near) for t, w in weights.items()) / sum(weights.values())
        coverage = float(0.8 * covered[best] + 0.2 * overall)
        similarity = float(similar[best])
        support = self._support(coverage, similarity)
        conflict, missing = self._differences(claim, pieces[best], text)
        return Match(claim, pieces[best], coverage, similarity, support, conflict, missing)

    def _support(self, coverage: float, similarity: float) -> float:
        """One number for words and meaning. Meaning beyond what the shared words explain speaks for a paraphrase."""
        if not self.semantic:
            return coverage
        beyond = similarity - (EXPECTED[0] + EXPECTED[1] * coverage)
        return min(1.0, max(0.0, 0.45 * coverage + 0.40 * min(1.0, similarity * 1.15) + BEYOND * beyond + 0.05))

    def similarity(self, one: str, other: str) -> float:
        """Cosine of two texts; 0 for a model without embeddings."""
        if not self.semantic or not one.strip() or not other.strip():
            return 0.0
        vectors = self.embedder.embed([one, other], MINILM)
        return max(0.0, float(vectors[0] @ vectors[1]))

    def held(self, item: str, text: str) -> float:
        """How far a text has one item: a number with its unit, a name, a word or a related one; in [0, 1]."""
        numbers = quantities(item)
        if numbers:
            same = agree if self.notices("units", item, text) else same_value
            return float(any(same(numbers[0], q) for q in quantities(text)))
        words, have = content(item), set(content(text))
        if not words:
            return 1.0
        near = {} if item[:1].isupper() else self._neighbours(words, have)
        return sum(_held(term, have, near) for term in words) / len(words)

    def _neighbours(self, wanted: Sequence[str], have: set[str]) -> dict[str, dict[str, float]]:
        """For words that the text lacks: its words that are related, with how much they count."""
        lacking = [t for t in dict.fromkeys(wanted) if t not in have and not NUMERIC.match(t) and not is_identifier(t)]
        others = sorted(t for t in have if t.isalpha() and len(t) > 2)
        if not self.semantic or not lacking or not others:
            return {}
        vectors = self.embedder.embed([*lacking, *others], WORDLLAMA)
        cosines = vectors[: len(lacking)] @ vectors[len(lacking) :].T
        return {
            term: {others[j]: min(0.85, float(row[j]) * 1.2) for j in np.flatnonzero(row >= NEIGHBOUR)}
            for term, row in zip(lacking, cosines, strict=True)
        }

    def _similarities(self, claim: str, pieces: Sequence[str], covered: np.ndarray) -> np.ndarray:
        similar = np.zeros(len(pieces))
        if self.semantic:
            chosen = np.sort(np.argsort(-covered, kind="stable")[:MOST_SENTENCES])
            vectors = self.embedder.embed([claim, *(pieces[int(i)] for i in chosen)], MINILM)
            similar[chosen] = np.clip(vectors[1:] @ vectors[0], 0.0, 1.0)
        return similar

    def _differences(self, claim: str, sentence: str, text: str) -> tuple[str, str]:
        """(contradiction, what is missing)."""
        conflict, missing = "", ""
        if self.notices("numbers", claim, text):
            conflict, missing = numbers(claim, sentence, text, units=self.notices("units", claim, text))
        if not conflict and self.notices("binding", claim, text):
            conflict = swapped(claim, sentence) or other_clause(claim, sentence) or reordered(claim, sentence)
        if not missing and self.notices("names", claim, text):
            missing = foreign_name(claim, text)
        if not conflict and self.notices("negation", claim, text):
            conflict = negated(claim, sentence)
        if not conflict and self.semantic and self.notices("opposites", claim, text):
            conflict = opposed(claim, sentence)
        return conflict, missing


def claims(text: str) -> list[str]:
    """An answer as single claims: sentences, cut again where a new statement begins."""
    found: list[str] = []
    for line in text.split("\n"):
        line = re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", line).strip()
        for sentence in sentences(line) if line else []:
            parts = [sentence]
            pieces = [piece.strip() for piece in _SUBCLAIM.split(sentence)]
            if len(pieces) > 1 and all(len(content(piece)) + len(quantities(piece)) >= 2 for piece in pieces):
                parts = pieces
            found += parts
    return found


def _windows(text: str) -> list[str]:
    """Sentences, and each with its neighbour: an answer may join two."""
    found: list[str] = []
    for line in text.split("\n"):
        line = re.sub(r"^\s*(?:[-*•#]+|\d+[.)])\s+", "", line).strip()
        found += sentences(line) if line else []
    found = [piece for piece in found if re.search(r"\w", piece)]
    return found + [f"{a} {b}" for a, b in zip(found, found[1:], strict=False)]


def _rarity(wanted: Sequence[str], have: Sequence[set[str]]) -> dict[str, float]:
    return {
        term: math.log(1 + (len(have) + 1) / (sum(term in words for words in have) + 0.5)) ** 0.5
        * (1.3 if is_identifier(term) else 1)
        for term in dict.fromkeys(wanted)
    }


def _held(term: str, words: set[str], near: dict[str, dict[str, float]]) -> float:
    if term in words:
        return 1.0
    return max((value for word, value in near.get(term, {}).items() if word in words), default=0.0)

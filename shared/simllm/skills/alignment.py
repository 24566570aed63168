"""One model reading: its embeddings, its slips, and how it cuts an answer into claims.

Splitting an answer into claims follows FActScore (Min et al. 2023), here by punctuation. A model's slips are stable:
whether it forgets a check depends on model and text alone.
"""

from __future__ import annotations

import hashlib
import re

from simllm.catalogue import Skill
from simllm.embeddings import MINILM, Embedder
from simllm.skills.differences import content
from simllm.skills.quantities import quantities
from simllm.skills.units import sentences

_SUBCLAIM = re.compile(
    r";\s+|,\s+(?:and|but|while|whereas|although|which|plus|so)\s+|\s+(?:and|but)\s+|\s+[—–-]\s+|\s+(?:because|as well as)\s+",
    re.I,
)


class Reader:
    """One model reading: its embeddings, its slips."""

    def __init__(self, skill: Skill, embedder: Embedder) -> None:
        self.skill = skill
        self.embedder = embedder
        self.semantic = skill.semantic_weight > 0

    @property
    def reads_with(self) -> Embedder | None:
        """The embedder that a judgement may use; None for a model that sees words only."""
        return self.embedder if self.semantic else None

    def chance(self, *texts: str) -> float:
        """A number in [0, 1) that depends on the texts only."""
        digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:4], "big") / 2**32

    def notices(self, check: str, *texts: str) -> bool:
        """Whether the model makes this check on these texts."""
        return self.chance("check", check, *texts) >= self.skill.oversight

    def similarity(self, one: str, other: str) -> float:
        """Cosine of two texts; 0 for a model without embeddings."""
        if not self.semantic or not one.strip() or not other.strip():
            return 0.0
        vectors = self.embedder.embed([one, other], MINILM)
        return max(0.0, float(vectors[0] @ vectors[1]))


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

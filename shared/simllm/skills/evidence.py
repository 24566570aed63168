"""A text as evidence for the values of fields: its mentions, its clauses, and what they are similar to.

Built once per request and shared by the tool, argument and extraction skills. Similarity is that of MiniLM between
short phrases; a model without it (semantic weight 0) has word overlap only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simllm.embeddings import Embedder
from simllm.skills.mentions import Mention, find_mentions
from simllm.skills.words import STOP_WORDS, stem

_CLAUSE = re.compile(r"(?<=[.!?])\s+|\n+|[,;:](?=\s)|\s+(?:and|but|because|so|then)\s+(?=[a-zA-Z]+\s)|\s[-–—]\s")
_NEGATION = re.compile(
    r"\b(?:no|not|n't|never|without|none|cannot|except|non|off|neither|nor|unless|disable[sd]?|skip)\b|n['’]t\b", re.I
)
_SIGNS = (("[×*]", "multiplied by"), ("÷", "divided by"), (r"\+", "plus"), (" - ", "minus"))
MOST_PARTS = 40


class Evidence:
    """What a text says.

    Args:
        text: the user's words.
        today: the day that relative dates count from; None when the prompt names none.
        embedder: for similarity; None for a model that has word overlap only.
    """

    def __init__(self, text: str, today: date | None, embedder: Embedder | None) -> None:
        self.text = text
        self.today = today
        self.embedder = embedder

    @cached_property
    def mentions(self) -> list[Mention]:
        """All mentions."""
        return find_mentions(self.text, self.today)

    @cached_property
    def clauses(self) -> list[tuple[int, str]]:
        """(start, text) of every clause."""
        found, start = [], 0
        for border in [*_CLAUSE.finditer(self.text), None]:
            end = border.start() if border else len(self.text)
            if self.text[start:end].strip():
                found.append((start, self.text[start:end].strip()))
            start = border.end() if border else end
        return found[:MOST_PARTS]

    @cached_property
    def words(self) -> list[tuple[str, int, int]]:
        """(stem, start, end) of every word."""
        return [(stem(m.group().lower()), m.start(), m.end()) for m in re.finditer(r"[^\W_]+", self.text)]

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of all content words."""
        return frozenset(word for word, start, end in self.words if self.text[start:end].lower() not in STOP_WORDS)

    def find_words(self, wanted: Sequence[str]) -> tuple[int, int] | None:
        """Where the words stand side by side, by their stems; None."""
        stems = [stem(word) for word in wanted]
        for i in range(len(self.words) - len(stems) + 1):
            if stems and [word for word, _, _ in self.words[i : i + len(stems)]] == stems:
                return self.words[i][1], self.words[i + len(stems) - 1][2]
        return None

    def negated(self, position: int) -> bool:
        """Whether the clause around a position is negated before it."""
        clause = max((c for c in self.clauses if c[0] <= position), default=(0, ""))
        return _NEGATION.search(self.text[clause[0] : position + 1]) is not None

    def similarity(
        self, texts: Sequence[str], *, parts: str = "all"
    ) -> tuple[NDArray[np.float32], list[tuple[int, str]]]:
        """Cosines [len(texts), len(parts)] of texts with the clauses (and, for "all", the phrases), and those parts."""
        chosen = list(self.clauses)
        if parts == "all":
            chosen += [(m.start, m.text) for m in self.mentions if m.kind == "phrase" and len(m.text) > 2]
        chosen = chosen[:MOST_PARTS] or [(0, self.text or " ")]
        if self.embedder is None:
            return np.zeros((len(texts), len(chosen)), dtype=np.float32), chosen
        parts_said = [_signs_in_words(part) for _, part in chosen]
        vectors = self.embedder.embed([text or " " for text in (*texts, *parts_said)])
        cosines: NDArray[np.float32] = vectors[: len(texts)] @ vectors[len(texts) :].T
        return cosines, chosen

    def kinship(self, mentions: Sequence[str], labels: Sequence[str]) -> NDArray[np.float32]:
        """Cosines [mentions, labels] by static word vectors: whether "Lyon" is the sort of thing called "city"."""
        if self.embedder is None or not mentions or not labels:
            return np.zeros((len(mentions), len(labels)), dtype=np.float32)
        vectors = self.embedder.embed([text or " " for text in (*mentions, *labels)], "wordllama-256")
        found: NDArray[np.float32] = vectors[: len(mentions)] @ vectors[len(mentions) :].T
        return found


def _signs_in_words(text: str) -> str:
    """ "12 × 34" as "12 multiplied by 34": an embedding of words does not read signs."""
    for sign, word in _SIGNS:
        text = re.sub(rf"(?<=\d)\s*{sign}\s*(?=\d)", f" {word} ", text)
    return text


def negative(text: str) -> bool:
    """Whether a text denies something."""
    return _NEGATION.search(text) is not None

"""Which words of one text stand, by meaning, in another: soft alignment of words in their contexts.

Every content word and number of a text is an item; each is held against all items of another text by the cosine of
contextual vectors, as BERTScore does (Zhang et al. 2020), here MiniLM's last two layers. Numbers count by value and unit,
members of closed classes and opposites exclude each other. Rare words weigh more: MiniLM's vocabulary is ordered by
frequency. A reader without embeddings pairs equal stems only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simllm.embeddings import Embedder, Word
from simllm.skills.exclusive import exclusive
from simllm.skills.quantities import Quantity, agree, quantities, same_value
from simllm.skills.units import sentences
from simllm.skills.words import STOP_WORDS, stem

Scores = NDArray[np.float64]

EXCLUDED = 0.05  # how far an opposite counts as the same
_COMMON = 2_000  # first rank of a word in the vocabulary
_WORD = re.compile(r"[^\W\d_][\w'’]*(?:-[^\W\d_]\w*)*|\w*\d[\w.]*\w|\d")
_CLAUSE = re.compile(
    r"[;:()—–]|,(?!\d)|\s(?:and|but|while|whereas|although|though|because|if|unless|which|who|so that|except|than)\s",
    re.I,
)


@dataclass(frozen=True)
class Item:
    """A content word or a number of a text.

    Attributes:
        text: as written.
        stem: of the word.
        start: offset.
        weight: by rarity, in about [0.4, 1].
        sentence: index of its sentence; `clause`: index of its clause, counted over the whole text.
        quantity: for a number.
    """

    text: str
    stem: str
    start: int
    weight: float
    sentence: int
    clause: int
    quantity: Quantity | None


class Reading:
    """A text as its items; vectors [n, d] when there is an embedder.

    Args:
        skipped: so many characters at the start give context only and are no items.
    """

    def __init__(self, text: str, embedder: Embedder | None, skipped: int = 0) -> None:
        self.text = text
        self.skipped = skipped
        self.sentences = _sentences(text) or [(0, text)]
        self._seen = embedder.words(text) if embedder and text.strip() else ()
        self.items, self.vectors = self._read()

    def _read(self) -> tuple[list[Item], NDArray[np.float32]]:
        numbers = {q.start + (self.text[q.start] == " "): q for q in quantities(self.text)}
        taken = {i for start, q in numbers.items() for i in range(start, start + len(written(q)))}
        starts = [start for start, _ in self.sentences]
        cuts = sorted({*starts, *(m.start() for m in _CLAUSE.finditer(self.text))})
        at = {word.start: word for word in self._seen}
        found: list[tuple[Item, list[Word]]] = []
        for start, quantity in numbers.items():
            if start >= self.skipped and not _is_idle(quantity):
                found.append((self._item(written(quantity), start, 1.0, starts, cuts, quantity), []))
        for match in _WORD.finditer(self.text):
            word, start = match.group(), match.start()
            if start < self.skipped or start in taken or word.lower() in STOP_WORDS or len(word) < 2:
                continue
            pieces = [at[i] for i in range(start, match.end()) if i in at]
            weight = max(map(_weight, pieces), default=1.0)
            found.append((self._item(word, start, weight, starts, cuts, None), pieces))
        found.sort(key=lambda pair: pair[0].start)
        width = len(self._seen[0].vector) if self._seen else 1
        vectors = np.zeros((len(found), width), dtype=np.float32)
        for i, (_, pieces) in enumerate(found):
            if pieces:
                mean = np.sum([piece.vector for piece in pieces], axis=0)
                vectors[i] = mean / np.linalg.norm(mean)
        return [item for item, _ in found], vectors

    def _item(
        self,
        text: str,
        start: int,
        weight: float,
        starts: Sequence[int],
        cuts: Sequence[int],
        quantity: Quantity | None,
    ) -> Item:
        place = int(np.searchsorted(starts, start, side="right")) - 1
        clause = int(np.searchsorted(cuts, start, side="right")) - 1
        return Item(text, stem(text.lower()), start, weight, max(place, 0), max(clause, 0), quantity)

    @cached_property
    def stems(self) -> frozenset[str]:
        """Of all items that are words."""
        return frozenset(item.stem for item in self.items if item.quantity is None)

    @cached_property
    def weights(self) -> Scores:
        """Of all items, [n]."""
        return np.array([item.weight for item in self.items])

    @cached_property
    def sentence_of(self) -> NDArray[np.int64]:
        """Of all items, [n]."""
        return np.array([item.sentence for item in self.items], dtype=np.int64)

    @cached_property
    def clause_of(self) -> NDArray[np.int64]:
        """Of all items, [n]."""
        return np.array([item.clause for item in self.items], dtype=np.int64)


def pair(mine: Reading, theirs: Reading) -> Scores:
    """How far every item of one text is every item of the other, [mine, theirs] in [0, 1]."""
    table = np.zeros((len(mine.items), len(theirs.items)))
    if not table.size:
        return table
    if mine.vectors.shape[1] == theirs.vectors.shape[1] > 1:
        table = np.clip((mine.vectors @ theirs.vectors.T).astype(np.float64), 0.0, 0.95)
    for i, one in enumerate(mine.items):
        for j, other in enumerate(theirs.items):
            if one.quantity or other.quantity:
                table[i, j] = _same_number(one.quantity, other.quantity)
            elif one.stem == other.stem:
                table[i, j] = 1.0
            elif exclusive(one.stem, other.stem):
                table[i, j] = EXCLUDED
    return table


def _same_number(one: Quantity | None, other: Quantity | None) -> float:
    if one is None or other is None:
        return 0.0
    if agree(one, other):
        return 1.0
    return 0.9 if same_value(one, other) and not (one.dimension and other.dimension) else 0.0


def written(quantity: Quantity) -> str:
    """A number as it stands there, without the word behind it that is no unit."""
    if quantity.dimension:
        return quantity.text
    found = re.match(r"\S+", quantity.text)
    return found.group() if found else quantity.text


def _is_idle(quantity: Quantity) -> bool:
    """Whether a number says hardly anything: "one", "a week"."""
    return quantity.vague or quantity.spoken and not quantity.dimension and quantity.value <= 1


def _weight(word: Word) -> float:
    return 0.4 + 0.6 * min(1.0, math.log(max(word.rank, _COMMON) / _COMMON + 1, 16))


def _sentences(text: str) -> list[tuple[int, str]]:
    """(offset, sentence) in order."""
    found, position = [], 0
    for line in text.split("\n"):
        for sentence in sentences(line.strip()) if line.strip() else []:
            start = text.find(sentence, position)
            start = position if start < 0 else start
            position = start + len(sentence)
            if re.search(r"\w", sentence):
                found.append((start, sentence))
    return found

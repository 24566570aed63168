"""A corpus in numbers: what `course corpus stats` prints and draws."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from coursekit.corpus.agreement import Agreement, compare
from coursekit.corpus.overlap import median_overlap
from coursekit.corpus.records import Corpus, Document
from coursekit.corpus.vocabulary import CATEGORIES, SPLITS


@dataclass(frozen=True)
class CategoryRow:
    """The questions of one category: how many per split, how many of them have an answer, and their judgments.

    `relevant` and `answering` are means over the answerable questions of the number of documents with a grade above 0
    and with grade 2; None = no question of this category has an answer. `grades` counts judgments by grade 0, 1, 2.
    """

    category: str
    by_split: dict[str, int]
    answerable: int
    relevant: float | None
    answering: float | None
    grades: tuple[int, int, int]

    @property
    def questions(self) -> int:
        """The questions of all splits."""
        return sum(self.by_split.values())


@dataclass(frozen=True)
class Summary:
    """One corpus in numbers. Lengths are in words (separated by white space), sorted; counts are sorted by size."""

    checksum: str
    documents: dict[str, dict[str, int]]
    lengths: tuple[int, ...]
    categories: tuple[CategoryRow, ...]
    overlap: float | None
    judged: int
    pooled: int
    agreement: Agreement | None

    @property
    def questions(self) -> int:
        """All golden questions."""
        return sum(row.questions for row in self.categories)

    def length(self, share: float) -> int:
        """The length in words below or at which `share` of the documents lie (nearest rank): 0 the shortest, 1 the longest."""
        return self.lengths[max(0, math.ceil(share * len(self.lengths)) - 1)]


def summarise(corpus: Corpus) -> Summary:
    """Count everything there is to count in a corpus.

    Raises:
        CorpusError: it has two judging passes without a common pair.
    """
    labels: dict[str, Callable[[Document], Sequence[str]]] = {
        "kind": lambda document: [document.kind],
        "service": lambda document: [document.service],
        "access": lambda document: [document.access],
        "lang": lambda document: [document.lang],
        "trait": lambda document: document.traits,
    }
    return Summary(
        checksum=corpus.checksum,
        documents={name: _counted(label(d) for d in corpus.documents) for name, label in labels.items()},
        lengths=tuple(sorted(len(document.text.split()) for document in corpus.documents)),
        categories=tuple(_category(corpus, name) for name in CATEGORIES),
        overlap=median_overlap(corpus),
        judged=len(corpus.judgments),
        pooled=len(corpus.pool),
        agreement=compare(*corpus.passes) if corpus.passes else None,
    )


def _counted(labels: Iterable[Sequence[str]]) -> dict[str, int]:
    counts = Counter(label for some in labels for label in some)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _category(corpus: Corpus, category: str) -> CategoryRow:
    questions = corpus.questions(category=category)
    grades = Counter(grade for question in questions for grade in corpus.qrels[question.id].values())
    answerable = [corpus.qrels[question.id].values() for question in questions if question.answerable]
    relevant = [sum(grade > 0 for grade in found) for found in answerable]
    answering = [sum(grade == 2 for grade in found) for found in answerable]
    return CategoryRow(
        category=category,
        by_split={split: sum(question.split == split for question in questions) for split in SPLITS},
        answerable=len(answerable),
        relevant=sum(relevant) / len(relevant) if relevant else None,
        answering=sum(answering) / len(answering) if answering else None,
        grades=(grades[0], grades[1], grades[2]),
    )

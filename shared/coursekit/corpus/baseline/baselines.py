"""The results: every method's measures per question, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from coursekit.corpus import CATEGORIES, Corpus, Question
from coursekit.corpus.baseline.measures import MEASURES, per_question
from coursekit.corpus.baseline.resampling import Estimate, mean_intervals
from coursekit.corpus.baseline.retrieval import METHODS, Retrieval
from coursekit.errors import CorpusError


class Difference(NamedTuple):
    """How much higher one method's mean is than another's, with the 95 % interval of the paired bootstrap."""

    delta: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class MethodResult:
    """One method: `values` is measure -> question id -> value, for every question that has an answer."""

    name: str
    label: str
    values: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Baselines:
    """What `measure` found. `questions`: those with an answer, in file order. `alpha`: the convex combination's weight."""

    checksum: str
    documents: int
    pieces: int
    questions: tuple[Question, ...]
    alpha: float
    methods: tuple[MethodResult, ...]

    def table(self, split: str | None = None) -> dict[str, dict[str, Estimate]]:
        """Method -> measure -> estimate, over all questions or those of one split."""
        pairs = [(result.name, measure) for result in self.methods for measure in MEASURES]
        found = dict(zip(pairs, self._estimates(pairs, None, split), strict=True))
        return {m.name: {measure: found[m.name, measure] for measure in MEASURES} for m in self.methods}

    def by_category(self, measure: str = "recall@5") -> dict[str, dict[str, Estimate]]:
        """Category -> method -> estimate, over both splits, in the order of `CATEGORIES`, without empty ones."""
        present = {question.category for question in self.questions}
        pairs = [(result.name, measure) for result in self.methods]
        names = [result.name for result in self.methods]
        return {
            category: dict(zip(names, self._estimates(pairs, category, None), strict=True))
            for category in CATEGORIES
            if category in present
        }

    def estimate(self, method: str, measure: str, *, category: str | None = None, split: str | None = None) -> Estimate:
        """One mean with its interval.

        Raises:
            CorpusError: no such method or measure, or no question is left.
        """
        return self._estimates([(method, measure)], category, split)[0]

    def difference(
        self, a: str, b: str, measure: str, category: str | None = None, split: str | None = None
    ) -> Difference:
        """Method `a` minus method `b` on the same questions; raises as `estimate` does."""
        deltas = self._values(a, measure, category, split) - self._values(b, measure, category, split)
        low, high = mean_intervals(deltas[:, None])
        return Difference(float(deltas.mean()), float(low[0]), float(high[0]))

    def label(self, method: str) -> str:
        """A method's name for readers; the convex combination's says its alpha."""
        return f"{METHODS[method]} at alpha {self.alpha:.1f}" if method == "convex" else METHODS[method]

    def _estimates(self, pairs: Sequence[tuple[str, str]], category: str | None, split: str | None) -> list[Estimate]:
        """The estimates of (method, measure) pairs, all at once: a hundred of them one by one would take a second."""
        table = np.column_stack([self._values(method, measure, category, split) for method, measure in pairs])
        bounds = zip(table.mean(axis=0), *mean_intervals(table), strict=True)
        return [Estimate(float(mean), float(low), float(high), len(table)) for mean, low, high in bounds]

    def _values(self, method: str, measure: str, category: str | None, split: str | None) -> NDArray[np.float64]:
        found = {result.name: result for result in self.methods}.get(method)
        if found is None:
            raise CorpusError(f"there is no baseline {method!r}; use one of {', '.join(METHODS)}")
        if measure not in found.values:
            raise CorpusError(f"there is no measure {measure!r}; use one of {', '.join(MEASURES)}")
        chosen = [q.id for q in self.questions if category in (None, q.category) and split in (None, q.split)]
        if not chosen:
            raise CorpusError(f"no question with an answer has category {category!r} and split {split!r}")
        return np.array([found.values[measure][qid] for qid in chosen])


def measure(corpus: Corpus, *, progress: Callable[[str], None] | None = None) -> Baselines:
    """Run every method on every question with an answer; half a minute when nothing is cached, seconds afterwards.

    Args:
        progress: told what is being done, a line at a time.

    Raises:
        CorpusError: the corpus has no dev question with an answer.
        DatabaseError: there is no usable Postgres.
    """
    retrieval = Retrieval(corpus, progress)
    results = tuple(
        MethodResult(name, label, per_question(corpus, retrieval.rankings(name), corpus.golden))
        for name, label in METHODS.items()
    )
    return Baselines(
        checksum=corpus.checksum,
        documents=len(corpus.documents),
        pieces=len(retrieval.pieces),
        questions=tuple(question for question in corpus.golden if question.answerable),
        alpha=retrieval.alpha,
        methods=results,
    )

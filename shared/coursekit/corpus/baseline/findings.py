"""Who wins where, in sentences made from the numbers; nothing here is typed by hand."""

from __future__ import annotations

from collections.abc import Mapping

from coursekit.corpus.baseline.baselines import Baselines, Difference, Estimate
from coursekit.corpus.baseline.retrieval import METHODS, PARTS, SINGLES

MEASURE = "recall@5"
_OPPOSITES = ("identifier", "paraphrase")


def sentences(results: Baselines) -> list[str]:
    """The best single method per category, words against vectors where they differ most, and what fusion adds."""
    categories = results.by_category(MEASURE)
    found = [_best_of(category, row) for category, row in categories.items()]
    found += [_words_against_vectors(results, name) for name in _OPPOSITES if name in categories]
    for split in (None, "test"):
        if split is None or any(question.split == split for question in results.questions):
            found += [_fusion(results, split, measure) for measure in (MEASURE, "nDCG@10")]
    return found


def better_part(results: Baselines, measure: str = MEASURE, split: str | None = None) -> str:
    """Which of the two methods that the hybrids fuse is better on its own; the first when they are equal."""
    return max(PARTS, key=lambda method: results.estimate(method, measure, split=split).mean)


def _best_of(category: str, row: Mapping[str, Estimate]) -> str:
    top = max(row[method].mean for method in SINGLES)
    winners = [METHODS[method] for method in SINGLES if row[method].mean == top]
    best = f"best single method {', '.join(winners)} with {MEASURE} {top:.2f}" if top else "no single method finds any"
    hybrids = f"convex {row['convex'].mean:.2f}, RRF {row['rrf'].mean:.2f}"
    return f"**{category}** ({row['convex'].n} questions): {best}; hybrids of BM25 and MiniLM: {hybrids}."


def _words_against_vectors(results: Baselines, category: str) -> str:
    words, vectors = PARTS
    delta = results.difference(words, vectors, MEASURE, category)
    return f"**Words against vectors, {category}**: {MEASURE} of {METHODS[words]} minus {METHODS[vectors]} {_signed(delta)}."


def _fusion(results: Baselines, split: str | None, measure: str) -> str:
    part = better_part(results, measure, split)
    gains = [
        f"{'RRF' if hybrid == 'rrf' else hybrid} {_signed(results.difference(hybrid, part, measure, split=split))}"
        for hybrid in ("convex", "rrf")
    ]
    where = "all questions" if split is None else f"{split} questions only"
    return f"**What fusion adds, {where}**: {measure} of the hybrid minus that of its better part, {METHODS[part]}: {'; '.join(gains)}."


def _signed(difference: Difference) -> str:
    verdict = "" if difference.is_clear else ", not clear"
    return f"{difference.delta:+.3f} (95 % {difference.low:+.3f} to {difference.high:+.3f}{verdict})"

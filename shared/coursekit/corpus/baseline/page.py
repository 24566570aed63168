"""The generated section of docs/corpus.md: tables and sentences, from the numbers alone.

It names the corpus's checksum, by which a test sees that the page is older than the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable

from coursekit.corpus.baseline import findings
from coursekit.corpus.baseline.baselines import Baselines, Estimate
from coursekit.corpus.baseline.measures import MEASURES
from coursekit.corpus.baseline.retrieval import HYBRIDS, SINGLES
from coursekit.corpus.page import PAGE, table

SECTION = "baseline"
PICTURE = "docs/images/corpus-baseline.png"
COMMAND = f"course corpus baseline --write {PAGE} --picture {PICTURE}"


def markdown(results: Baselines) -> str:
    """The whole section."""
    test = sum(question.split == "test" for question in results.questions)
    parts = [
        f"Corpus `{results.checksum[:12]}`: {results.documents} documents in {results.pieces} pieces, "
        f"{len(results.questions)} questions with an answer, {test} of them in the test split. "
        f"Made by `{COMMAND}`; do not edit.",
        "Documents are cut into pieces of about 120 words, and a document counts by its best piece. The query is the "
        "question's text alone; only documents that the asker may read are ranked. Recall, success and RR look for "
        "documents that answer (grade 2). Means over questions, with 95 % bootstrap intervals in brackets; alpha, the "
        "weight of the vectors in the convex combination, is chosen on dev.",
        f"### All questions that have an answer (n = {len(results.questions)})",
        _measures(results, None),
    ]
    if test:
        parts += [f"### Test questions only (n = {test})", _measures(results, "test")]
    parts += [f"### {findings.MEASURE} by category", *_categories(results), "### Who wins where"]
    return "\n\n".join([*parts, "\n".join(f"- {sentence}" for sentence in findings.sentences(results))])


def groups() -> tuple[list[str], list[str], list[str]]:
    """The methods in three tables: those that compare words, those that compare vectors, hybrids."""
    vectors = [name for name in SINGLES if name.startswith(("minilm", "wordllama"))]
    return [name for name in SINGLES if name not in vectors], vectors, list(HYBRIDS)


def _measures(results: Baselines, split: str | None) -> str:
    rows = [[results.label(name), *map(_cell, row.values())] for name, row in results.table(split).items()]
    return table(["Method", *MEASURES], rows)


def _categories(results: Baselines) -> Iterable[str]:
    measured = results.by_category(findings.MEASURE)
    for methods in groups():
        rows = [
            [f"{category} (n = {row[methods[0]].n})", *(_cell(row[method]) for method in methods)]
            for category, row in measured.items()
        ]
        yield table(["Category", *map(results.label, methods)], rows)


def _cell(estimate: Estimate) -> str:
    return f"{estimate.mean:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"

"""Measures of rankings, by ir_measures (MacAvaney, Macdonald and Ounis, ECIR 2022).

Recall, success and reciprocal rank look for documents that answer (grade 2); nDCG uses all grades. Only questions
that have an answer are measured: to the others no ranking is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import ir_measures

from coursekit.corpus import Corpus, Question

Rankings = Mapping[str, Sequence[str]]

MEASURES = {
    "recall@5": ir_measures.R(rel=2) @ 5,
    "recall@10": ir_measures.R(rel=2) @ 10,
    "success@5": ir_measures.Success(rel=2) @ 5,
    "nDCG@10": ir_measures.nDCG @ 10,
    "RR@10": ir_measures.RR(rel=2) @ 10,
}
_DEPTH = 10  # no measure looks deeper


def per_question(
    corpus: Corpus, rankings: Rankings, questions: Iterable[Question], measures: Sequence[str] = tuple(MEASURES)
) -> dict[str, dict[str, float]]:
    """Measure rankings question by question.

    Args:
        rankings: document ids, best first, by question id; a question without an entry found nothing.
        questions: which questions count; those without an answer are left out.

    Returns:
        Measure -> question id -> value in [0, 1].
    """
    ids = [question.id for question in questions if question.answerable]
    found = calculate(
        {name: MEASURES[name] for name in measures}, corpus.qrels, {qid: rankings.get(qid, ()) for qid in ids}
    )
    return {name: dict.fromkeys(ids, 0.0) | values for name, values in found.items()}


def calculate(
    measures: Mapping[str, ir_measures.measures.Measure], qrels: Mapping[str, Mapping[str, int]], rankings: Rankings
) -> dict[str, dict[str, float]]:
    """Measure -> question id -> value in [0, 1], for the questions that found something.

    Args:
        measures: by the names that they get; none looks deeper than ten.
        qrels: grades by question id and document id; has every question of `rankings`.
        rankings: document ids, best first, by question id.
    """
    names = {measure: name for name, measure in measures.items()}
    # trec_eval sorts by score and breaks ties in its own way, so positions become scores without ties
    run = {
        qid: {doc: float(_DEPTH - place) for place, doc in enumerate(ranked[:_DEPTH])}
        for qid, ranked in rankings.items()
        if ranked
    }
    values: dict[str, dict[str, float]] = {name: {} for name in measures}
    if run:
        for metric in ir_measures.iter_calc(list(names), {qid: dict(qrels[qid]) for qid in run}, run):
            values[names[metric.measure]][metric.query_id] = float(metric.value)
    return values

"""Bootstrap intervals and measures of the baselines."""

from __future__ import annotations

import numpy as np
import pytest

from coursekit.corpus import Corpus
from coursekit.corpus.baseline.measures import MEASURES, per_question
from coursekit.corpus.baseline.resampling import mean_intervals


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    samples = np.random.default_rng(7).random((60, 400)) < 0.7  # 400 experiments of 60 questions
    low, high = mean_intervals(samples)
    assert 0.91 <= np.mean((low <= 0.7) & (high >= 0.7)) <= 0.98


def test_the_interval_is_as_wide_as_the_normal_approximation_of_a_mean() -> None:
    values = np.random.default_rng(1).random((200, 1))
    low, high = mean_intervals(values)
    assert (high - low)[0] == pytest.approx(2 * 1.96 * values.std() / 200**0.5, rel=0.05)


def test_the_same_values_give_the_same_interval_alone_or_beside_others() -> None:
    values = np.random.default_rng(2).random((30, 3))
    together, alone = mean_intervals(values), mean_intervals(values[:, 1:2])
    assert [bound[1] for bound in together] == pytest.approx([bound[0] for bound in alone])


def test_values_without_spread_have_an_interval_without_width() -> None:
    assert [bound.tolist() for bound in mean_intervals([[0.25]] * 9)] == [[pytest.approx(0.25)]] * 2


def test_no_value_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        mean_intervals(np.empty((0, 2)))


def test_recall_success_and_rank_look_for_documents_that_answer(corpus: Corpus) -> None:
    question = next(q for q in corpus.golden if sum(g == 2 for g in corpus.qrels[q.id].values()) == 2)
    first, second = sorted(doc for doc, grade in corpus.qrels[question.id].items() if grade == 2)
    others = [d.id for d in corpus.documents if corpus.qrels[question.id].get(d.id, 0) == 0]
    ranking = [*others[:2], second, *others[2:5], first, *others[5:]]
    found = {
        name: values[question.id] for name, values in per_question(corpus, {question.id: ranking}, [question]).items()
    }
    assert found["recall@5"] == 0.5
    assert found["recall@10"] == 1
    assert found["success@5"] == 1
    assert found["RR@10"] == pytest.approx(1 / 3)
    ideal = sorted(corpus.qrels[question.id].values(), reverse=True)
    gain = 2 / np.log2(4) + 2 / np.log2(8)
    assert found["nDCG@10"] == pytest.approx(gain / sum(g / np.log2(i + 2) for i, g in enumerate(ideal[:10])))


def test_a_document_that_only_helps_counts_for_ndcg_alone(corpus: Corpus) -> None:
    question = next(q for q in corpus.golden if q.answerable and 1 in corpus.qrels[q.id].values())
    helper = next(doc for doc, grade in corpus.qrels[question.id].items() if grade == 1)
    found = per_question(corpus, {question.id: [helper]}, [question])
    assert {name for name, values in found.items() if values[question.id] > 0} == {"nDCG@10"}


def test_what_was_not_found_counts_as_zero_and_questions_without_an_answer_do_not_count(corpus: Corpus) -> None:
    found = per_question(corpus, {}, corpus.golden)
    answerable = [question.id for question in corpus.golden if question.answerable]
    assert found == {name: dict.fromkeys(answerable, 0.0) for name in MEASURES}


def test_positions_count_even_where_trec_eval_would_order_by_name(corpus: Corpus) -> None:
    question = next(q for q in corpus.golden if q.answerable)
    answer = next(doc for doc, grade in corpus.qrels[question.id].items() if grade == 2)
    others = [d.id for d in corpus.documents if d.id not in corpus.qrels[question.id]][:9]
    for place in range(10):
        ranking = [*others[:place], answer, *others[place:]]
        assert per_question(corpus, {question.id: ranking}, [question])["RR@10"][question.id] == pytest.approx(
            1 / (place + 1)
        )

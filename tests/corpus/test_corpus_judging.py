"""Judgments are plain TREC files that evaluation tools read as they are; two judges are compared beyond chance."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import ir_measures
import pytest
from ir_measures import R, nDCG

from coursekit import scoreboard
from coursekit.corpus import Corpus, Judgment, load, write_checksums
from coursekit.corpus.agreement import cohens_kappa, compare
from coursekit.errors import CorpusError


def judged(*grades: int, start: int = 0) -> list[Judgment]:
    """One judgment per grade, of documents d<start>, d<start+1> …"""
    return [Judgment(query_id="q001", document_id=f"d{n}", grade=grade) for n, grade in enumerate(grades, start)]


def test_ir_measures_reads_the_judgments_as_they_are(corpus: Corpus) -> None:
    table: dict[str, dict[str, int]] = defaultdict(dict)
    for row in ir_measures.read_trec_qrels(str(corpus.folder / "qrels.txt")):
        table[row.query_id][row.doc_id] = row.relevance
    assert table == {name: grades for name, grades in corpus.qrels.items() if grades}


def test_the_scoreboards_figures_are_those_of_ir_measures(corpus: Corpus) -> None:
    chance = random.Random(7)
    names = [document.id for document in corpus.documents]
    answerable = [question for question in corpus.golden if question.answerable]
    rankings = {}
    for question in answerable:
        relevant = [name for name, grade in corpus.qrels[question.id].items() if grade]
        mixed = chance.sample(names, 8) + relevant
        chance.shuffle(mixed)
        rankings[question.text] = list(dict.fromkeys(mixed))[:10]
    found = scoreboard.judge(lambda asked: scoreboard.Answer("", rankings[asked.text], 0.0), answerable)
    ours = scoreboard.row(found, corpus)
    run = [
        ir_measures.ScoredDoc(question.id, name, -rank)
        for question in answerable
        for rank, name in enumerate(rankings[question.text])
    ]
    asked = {question.id for question in answerable}
    every = ir_measures.read_trec_qrels(str(corpus.folder / "qrels.txt"))
    theirs = ir_measures.calc_aggregate([R @ 5, nDCG @ 10], [row for row in every if row.query_id in asked], run)
    assert 0 < theirs[R @ 5] < 1
    assert ours.recall_at_5 == pytest.approx(theirs[R @ 5])
    assert ours.ndcg_at_10 == pytest.approx(theirs[nDCG @ 10])


def test_both_passes_and_the_pool_are_read(small: Path) -> None:
    corpus = load(small)
    assert [len(part) for part in corpus.passes] == [4, 4]
    assert corpus.passes[1][2] == Judgment(query_id="q002", document_id="order-cutoff-2024", grade=1)
    assert ("q003", "order-cutoff") in corpus.pool and len(corpus.pool) == 4


def test_judged_pairs_are_those_with_a_line_whatever_the_grade(small: Path) -> None:
    corpus = load(small)
    assert corpus.is_judged("q002", "order-cutoff-2024")
    assert not corpus.is_judged("q003", "oven-start")
    assert all(corpus.is_judged(*pair) for pair in corpus.pool)
    with pytest.raises(CorpusError, match="did you mean 'oven-start'"):
        corpus.is_judged("q001", "oven-strat")


def test_a_pass_may_hold_pairs_that_were_adjudicated_away(small: Path) -> None:
    with (small / "judging" / "pass-1.txt").open("a", encoding="utf-8") as file:
        file.write("q003 0 oven-start 2\n")
    write_checksums(small)
    assert len(load(small).passes[0]) == 5


def test_kappa_of_a_table_computed_by_hand() -> None:
    first = judged(*[0] * 10, *[1] * 6, *[2] * 4)
    second = judged(*[0] * 8, 1, 2, *[1] * 3, 0, 0, 2, *[2] * 3, 1)
    result = compare(first, second)
    assert result.table == ((8, 1, 1), (2, 3, 1), (0, 1, 3))
    assert result.pairs == 20
    assert result.observed == pytest.approx(14 / 20)
    # by chance: (10·10 + 6·5 + 4·5) / 20² = 0.375, so (0.7 − 0.375) / (1 − 0.375)
    assert result.kappa == pytest.approx(0.52)
    # relevant or not: 8 + 8 of 20 agree; by chance (10·10 + 10·10) / 400 = 0.5
    assert result.observed_binary == pytest.approx(0.8)
    assert result.kappa_binary == pytest.approx(0.6)
    # |i − j|: seen (1 + 2·1 + 2 + 1 + 1) / 20 = 7/20; by chance (10·5 + 2·10·5 + 6·10 + 6·5 + 2·4·10 + 4·5) / 400
    assert result.kappa_linear == pytest.approx(1 - (7 / 20) / (340 / 400))


def test_kappa_is_1_for_equal_grades_and_below_0_for_opposite_ones() -> None:
    grades = judged(0, 1, 2, 0, 2)
    same = compare(grades, grades)
    assert (same.observed, same.kappa, same.kappa_binary, same.kappa_linear) == (1, 1, 1, 1)
    opposite = compare(judged(0, 2, 0, 2), judged(2, 0, 2, 0))
    assert opposite.kappa == opposite.kappa_linear == pytest.approx(-1)


def test_kappa_is_undefined_when_only_one_grade_was_given() -> None:
    result = compare(judged(1, 1, 1), judged(1, 1, 1))
    assert (result.observed, result.kappa, result.kappa_binary, result.kappa_linear) == (1, None, None, None)


def test_binary_kappa_can_be_undefined_alone() -> None:
    result = compare(judged(1, 2, 1), judged(2, 2, 1))
    assert result.kappa is not None
    assert (result.observed_binary, result.kappa_binary) == (1, None)


def test_only_pairs_that_both_judged_count_in_any_order() -> None:
    first, second = judged(0, 1, 2, 2), judged(2, 0, 1, start=2)
    assert compare(first, second[::-1]).table == ((0, 0, 0), (0, 0, 0), (1, 0, 1))


def test_judges_without_a_common_pair_cannot_be_compared() -> None:
    with pytest.raises(CorpusError, match=r"no pair was judged in both passes \(2 and 3 judgments\); give both judges"):
        compare(judged(0, 1), judged(0, 1, 2, start=2))


def test_linear_weights_forgive_a_near_miss() -> None:
    near, far = compare(judged(0, 1, 2, 0), judged(0, 1, 1, 0)), compare(judged(0, 1, 2, 0), judged(0, 1, 0, 0))
    assert near.kappa_linear is not None and far.kappa_linear is not None
    assert near.kappa_linear > far.kappa_linear
    assert cohens_kappa(((20, 5), (10, 15))) == pytest.approx(0.4)

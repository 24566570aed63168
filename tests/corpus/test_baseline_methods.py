"""The baselines' methods on seven documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from coursekit.corpus import Corpus, Document, Judgment, Passage, Question, load
from coursekit.corpus.baseline import METHODS, Baselines, measure, pools, ranked
from coursekit.corpus.baseline.lexical import Words, bm25, plain_words, stemmed_words
from coursekit.corpus.baseline.pieces import cut_document
from coursekit.corpus.baseline.retrieval import POOL_DEPTH_UNFILTERED, POOL_METHODS, Retrieval
from coursekit.errors import CorpusError
from tests.conftest import ROOT
from tests.corpus import bakery

OPEN, CLOSED = "public-internal", "confidential"
TEXTS = {
    "backoff": (OPEN, "A client that retries waits twice as long each time, and adds jitter."),
    "far": (OPEN, "The kraken " + "sits far below " * 12 + "the turbine. Kraken, kraken, turbine, turbine."),
    "near": (OPEN, "Kraken turbine. " + "Nothing else of note is written here. " * 3),
    "lunch": (OPEN, "The canteen serves soup at noon. Vegetarians are welcome."),
    "payroll": (CLOSED, "Salaries of the kraken crew, the turbine crew and the canteen crew."),
    "twin-a": (OPEN, "Zebra crossings are painted on Mondays."),
    "twin-b": (OPEN, "Zebra crossings are painted on Mondays."),
}
QUERIES = {
    "q001": ("kraken turbine", "near", "dev"),
    "q002": ("retrying", "backoff", "dev"),
    "q003": ("where can I have a warm meal in the middle of the day", "lunch", "test"),
    "q004": ("zebra", "twin-a", "test"),
    "q005": ("salaries", None, "test"),
    "q006": ("soup for the whole night shift", "lunch", "test"),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    documents = [
        Document(
            id=name,
            title="Note",
            kind="howto",
            service="s",
            owner="o",
            version="1.0",
            updated=date(2026, 1, 1),
            access=access,
            text=text,
            path=Path(f"{name}.md"),
        )
        for name, (access, text) in TEXTS.items()
    ]
    questions = [
        Question(
            id=qid,
            text=text,
            category="how-to" if answer else "unanswerable",
            split=split,  # type: ignore[arg-type]
            asked_by=(OPEN,),
            key_facts=((answer,),) if answer else (),
            reference_answer=answer or "nothing",
            passage=Passage(document=answer, quote=TEXTS[answer][1]) if answer else None,
        )
        for qid, (text, answer, split) in QUERIES.items()
    ]
    judgments = [Judgment(query_id=q, document_id=a, grade=2) for q, (_, a, _) in QUERIES.items() if a]
    base = load(bakery.write(tmp_path_factory.mktemp("tiny")))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        yield replace(base, documents=tuple(documents), golden=tuple(questions), judgments=tuple(judgments))


@pytest.fixture(scope="module")
def rankings(tiny: Corpus) -> dict[str, dict[str, list[str]]]:
    retrieval = Retrieval(tiny)
    return {method: retrieval.rankings(method) for method in METHODS}


@pytest.fixture(scope="module")
def results(tiny: Corpus) -> Baselines:
    return measure(tiny)


@pytest.mark.parametrize("words", [plain_words, stemmed_words])
def test_bm25_is_that_of_rank_bm25(corpus: Corpus, words: Words) -> None:
    pieces = [piece for document in corpus.documents for piece in cut_document(document)]
    index = BM25Okapi([words(piece) for piece in pieces])
    texts = [question.text for question in corpus.golden]
    for row, text in zip(bm25(pieces, texts, words), texts, strict=True):
        assert np.where(np.isinf(row), 0, row) == pytest.approx(index.get_scores(words(text)))


def test_stemming_finds_another_form_of_the_word(rankings: dict[str, dict[str, list[str]]]) -> None:
    assert rankings["bm25"]["q002"] == []
    assert rankings["bm25-stemmed"]["q002"] == ["backoff"]


def test_vectors_find_what_shares_no_word(rankings: dict[str, dict[str, list[str]]]) -> None:
    assert rankings["minilm"]["q003"][0] == "lunch"
    assert "lunch" not in rankings["bm25-stemmed"]["q003"][:1]


def test_and_finds_nothing_where_one_word_is_missing_and_or_does(rankings: dict[str, dict[str, list[str]]]) -> None:
    assert rankings["fts-and"]["q006"] == []
    assert rankings["fts-or"]["q006"] == ["lunch"]
    assert set(rankings["fts-and"]["q001"]) == {"near", "far"}


def test_ts_rank_counts_words_and_ts_rank_cd_looks_at_their_distance(
    tiny: Corpus, rankings: dict[str, dict[str, list[str]]]
) -> None:
    by_count, by_distance = (Retrieval(tiny).scores(method) for method in ("fts-or", "fts-or-cd"))
    near, far = (list(TEXTS).index(name) for name in ("near", "far"))
    assert by_count[0, far] / by_count[0, near] != pytest.approx(by_distance[0, far] / by_distance[0, near], rel=0.1)


def test_nobody_gets_what_they_may_not_read(rankings: dict[str, dict[str, list[str]]]) -> None:
    assert {method for method, found in rankings.items() if any("payroll" in ids for ids in found.values())} == set()


@pytest.mark.parametrize("method", ["bm25", "fts-or", "minilm", "rrf", "convex"])
def test_equal_documents_stand_in_the_order_of_their_ids(
    rankings: dict[str, dict[str, list[str]]], method: str
) -> None:
    assert rankings[method]["q004"][:2] == ["twin-a", "twin-b"]


def test_ranked_gives_every_question_and_no_document_twice(tiny: Corpus) -> None:
    found = ranked(tiny, "rrf")
    assert list(found) == list(QUERIES)
    assert all(len(ids) == len(set(ids)) for ids in found.values())


def test_an_unknown_method_is_named_with_those_that_exist(tiny: Corpus) -> None:
    with pytest.raises(CorpusError, match="no baseline 'bm52'; use one of bm25, bm25-stemmed"):
        ranked(tiny, "bm52")


def test_a_corpus_without_questions_is_refused(tiny: Corpus) -> None:
    with pytest.raises(CorpusError, match="at least one document and one question"):
        ranked(replace(tiny, golden=()), "bm25")


def test_alpha_does_not_depend_on_the_judgments_of_test_questions(corpus: Corpus) -> None:
    test = {question.id for question in corpus.questions("test")}
    blind = replace(corpus, judgments=tuple(j for j in corpus.judgments if j.query_id not in test))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        assert Retrieval(blind).alpha == Retrieval(corpus).alpha


def test_alpha_needs_a_dev_question_with_an_answer(tiny: Corpus) -> None:
    questions = tuple(q.model_copy(update={"split": "test"}) for q in tiny.golden)
    with pytest.raises(CorpusError, match="no dev question has an answer"):
        ranked(replace(tiny, golden=questions), "convex")


def test_the_pool_holds_the_top_of_every_method_and_what_is_forbidden(corpus: Corpus) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        retrieval = Retrieval(corpus)
        pooled = pools(corpus, depth=10)
    for method in (*POOL_METHODS, "rrf"):
        for qid, ids in retrieval.rankings(method).items():
            assert set(ids[:10]) <= set(pooled[qid])
    scores = retrieval.scores("bm25-stemmed")
    for row, question in zip(scores, corpus.golden, strict=True):
        order = sorted(range(len(row)), key=lambda column: -row[column])[:POOL_DEPTH_UNFILTERED]
        assert {retrieval.ids[column] for column in order if row[column] > float("-inf")} <= set(pooled[question.id])


def test_the_pool_covers_unanswerable_questions_and_documents_that_may_not_be_read(tiny: Corpus) -> None:
    pooled = pools(tiny, depth=1)
    assert list(pooled) == list(QUERIES)
    assert "payroll" in pooled["q005"]
    assert all(ids == sorted(set(ids)) for ids in pooled.values())


def test_the_pool_does_not_depend_on_judgments(tiny: Corpus) -> None:
    assert pools(replace(tiny, judgments=())) == pools(tiny)


def test_results_have_every_method_and_measure_for_every_question_with_an_answer(results: Baselines) -> None:
    assert [result.name for result in results.methods] == list(METHODS)
    for result in results.methods:
        assert {tuple(values) for values in result.values.values()} == {("q001", "q002", "q003", "q004", "q006")}
    table = results.table("test")
    assert table["minilm"]["success@5"] == (1.0, 1.0, 1.0, 3)
    assert list(results.by_category()) == ["how-to"]


def test_a_difference_is_paired_and_turns_its_sign(results: Baselines) -> None:
    there = results.difference("minilm", "fts-and", "recall@5")
    back = results.difference("fts-and", "minilm", "recall@5")
    assert there.delta == pytest.approx(-back.delta)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert results.difference("bm25", "bm25", "nDCG@10") == (0, 0, 0)
    assert not results.difference("bm25", "bm25", "nDCG@10").is_clear


@pytest.mark.parametrize(
    ("method", "name", "category", "message"),
    [
        ("bm52", "recall@5", None, "no baseline 'bm52'"),
        ("bm25", "recall@7", None, "no measure 'recall@7'; use one of recall@5"),
        ("bm25", "recall@5", "numeric", "no question with an answer has category 'numeric'"),
    ],
)
def test_what_was_not_measured_is_named(
    results: Baselines, method: str, name: str, category: str | None, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        results.estimate(method, name, category=category)


def test_progress_is_told_in_sentences(tiny: Corpus) -> None:
    said: list[str] = []
    measure(tiny, progress=said.append)
    assert "Postgres full text" in said
    assert any(line.startswith("minilm-l6-v2: 0 of ") for line in said)

"""What code can ask a corpus: by id, by category, a small stratified sample, what somebody may read, its numbers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from coursekit.corpus import CATEGORIES, TRAITS, Corpus, Question, load, write_checksums
from coursekit.corpus.overlap import content_words, median_overlap, question_overlap
from coursekit.corpus.picture import draw
from coursekit.corpus.summary import summarise
from coursekit.errors import CorpusError
from tests.corpus import bakery


def test_a_question_is_found_by_its_id(corpus: Corpus) -> None:
    assert all(corpus.question(question.id) is question for question in corpus.golden)


def test_document_and_question_name_the_nearest_id_when_there_is_none(small: Path) -> None:
    corpus = load(small)
    with pytest.raises(CorpusError, match="there is no document 'oven-strat'; did you mean 'oven-start'"):
        corpus.document("oven-strat")
    with pytest.raises(CorpusError, match="there is no question 'q01'; did you mean 'q001'"):
        corpus.question("q01")
    with pytest.raises(CorpusError, match="there is no question 'whale'$"):
        corpus.question("whale")


def test_questions_refuses_an_unknown_split(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="use one of dev, test"):
        corpus.questions(split="train")


def test_a_sample_takes_the_first_of_each_category_in_file_order(corpus: Corpus) -> None:
    for split in (None, "dev", "test"):
        sample = corpus.sample(2, split)
        expected = {id(question) for name in CATEGORIES for question in corpus.questions(split, name)[:2]}
        assert {id(question) for question in sample} == expected
        assert list(sample) == [question for question in corpus.golden if question in sample]


def test_a_sample_is_part_of_every_larger_one_and_ends_at_all_questions(corpus: Corpus) -> None:
    assert set(corpus.sample(1)) < set(corpus.sample(2))
    assert max(Counter(question.category for question in corpus.sample(1)).values()) == 1
    assert corpus.sample(len(corpus.golden)) == corpus.golden


def test_a_sample_of_nothing_is_refused(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="per_category is 0; ask for at least 1"):
        corpus.sample(0)
    with pytest.raises(CorpusError, match="use one of dev, test"):
        corpus.sample(1, split="train")


def test_readable_documents_are_those_whose_label_is_held(small: Path) -> None:
    corpus = load(small)
    assert [document.id for document in corpus.readable(["team:bakers"])] == ["oven-start"]
    assert len(corpus.readable({"public-internal", "team:bakers"})) == 3
    assert corpus.readable([]) == ()
    with pytest.raises(CorpusError, match=r"pass a list: \['public-internal'\]"):
        corpus.readable("public-internal")


def test_poisoned_and_newest_wins_are_traits(small: Path) -> None:
    path = small / "documents" / "order-cutoff-2024.md"
    text = path.read_text(encoding="utf-8").replace("[superseded]", "[superseded, poisoned, newest-wins]")
    path.write_text(text, encoding="utf-8")
    write_checksums(small)
    assert load(small).document("order-cutoff-2024").traits[1:] == ("poisoned", "newest-wins")
    assert {"poisoned", "newest-wins"} <= set(TRAITS)


def test_overlap_counts_the_questions_own_words_once_and_no_stop_words(small: Path) -> None:
    corpus = load(small)
    asked = corpus.question("q002").model_copy(update={"text": "When is NOON the day, the day for cakes or pies?"})
    assert content_words(asked.text) == {"noon", "day", "cakes", "pies"}
    assert question_overlap(asked) == 3 / 4
    assert question_overlap(asked.model_copy(update={"text": "is it?"})) == 0
    assert median_overlap(corpus) == pytest.approx(0.1)  # of q001: 0, of q002: 1 of 5 words


def test_the_summary_counts_everything(small: Path) -> None:
    found = summarise(load(small))
    assert found.documents["kind"] == {"policy": 2, "runbook": 1}
    assert found.documents["trait"] == {"superseded": 1}
    assert found.length(0.0) == min(found.lengths) and found.length(1.0) == max(found.lengths)
    assert found.length(0.5) == sorted(found.lengths)[1]
    rows = {row.category: row for row in found.categories}
    assert rows["temporal"].by_split == {"dev": 0, "test": 1}
    assert (rows["temporal"].relevant, rows["temporal"].grades) == (1.0, (1, 0, 1))
    assert (rows["unanswerable"].questions, rows["unanswerable"].relevant) == (1, None)
    assert (found.questions, found.judged, found.pooled) == (3, 4, 4)
    assert found.agreement is not None and found.agreement.observed == 3 / 4
    assert (found.agreement.relevant, found.agreement.observed_relevant) == (3, 2 / 3)


def test_the_picture_has_four_labelled_parts(small: Path) -> None:
    from matplotlib import pyplot

    figure = draw(summarise(load(small)), "bakery")
    try:
        assert all(axes.get_title(loc="left") and axes.get_xlabel() for axes in figure.axes)
        assert len(figure.axes) == 4
    finally:
        pyplot.close(figure)


def test_a_corpus_of_999_questions_keeps_its_ids(tmp_path: Path) -> None:
    folder = bakery.write(tmp_path / "bakery", judging=False)
    base = bakery.QUESTIONS[2]
    lines = [json.dumps({**base, "id": f"q{n:03d}"}) for n in range(1, 1000)]
    (folder / "questions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "qrels.txt").write_text("q999 0 oven-start 0\n", encoding="utf-8")
    write_checksums(folder)
    found: tuple[Question, ...] = load(folder).golden
    assert (len(found), found[-1].id) == (999, "q999")

"""The corpus is clean, balanced and as varied as its README says."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date

import pytest

from coursekit.corpus import CATEGORIES, KINDS, SPLITS, TRAITS, Corpus, Document, Question, load
from coursekit.corpus.overlap import content_words, median_overlap
from coursekit.corpus.trec import PASS_FILES, POOL_FILE, QRELS_FILE
from tests.corpus.alike import Sentence, similar

EMBEDDER_WINDOW_WORDS = 200  # 256 word pieces hold fewer words than that
ALIKE = 0.7
COMPUTED = {("q031", "450")}  # key facts that follow from the question's own numbers and stand nowhere


def sentences(document: Document) -> list[str]:
    """Prose sentences of a body: no code, no tables, no headings; whitespace normalised."""
    prose = re.sub(r"```.*?```", " ", document.text, flags=re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith(("|", "#"))]
    found = re.split(r"(?<=[.!?:])\s+|\n\n+", "\n".join(lines))
    return [" ".join(sentence.split()) for sentence in found if len(sentence.split()) >= 6]


def labelled_alike(one: Document, other: Document) -> bool:
    """Whether two documents may share sentences: both near duplicates, or old and new of one page."""
    near = "near-duplicate" in one.traits and "near-duplicate" in other.traits
    return near or one.superseded_by == other.id or other.superseded_by == one.id


def test_the_course_names_this_corpus(corpus: Corpus) -> None:
    assert load().checksum == corpus.checksum


def test_the_corpus_is_large_enough(corpus: Corpus) -> None:
    assert len(corpus.documents) >= 160
    assert len(corpus.golden) >= 400
    assert len(corpus.questions("test")) >= 0.4 * len(corpus.golden)
    assert min(len(corpus.questions(category=category)) for category in CATEGORIES) >= 25


def test_every_kind_and_trait_occurs(corpus: Corpus) -> None:
    assert {document.kind for document in corpus.documents} == set(KINDS)
    assert {trait for document in corpus.documents for trait in document.traits} == set(TRAITS)


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_category_is_split_about_in_half(corpus: Corpus, category: str) -> None:
    sizes = [len(corpus.questions(split, category)) for split in ("dev", "test")]
    assert sum(sizes) >= 3
    assert min(sizes) >= int(0.4 * sum(sizes))


def test_the_splits_share_no_question_and_cover_all(corpus: Corpus) -> None:
    ids = [question.id for split in ("dev", "test") for question in corpus.questions(split)]
    assert sorted(ids) == sorted(question.id for question in corpus.golden)


def test_documents_differ_in_length_and_date(corpus: Corpus) -> None:
    lengths = sorted(len(document.text.split()) for document in corpus.documents)
    assert lengths[0] < 100
    assert lengths[-2] >= 1000
    assert all(
        date(2024, 1, 1) <= document.updated <= corpus.world["company"]["today"] for document in corpus.documents
    )


def test_a_late_fact_is_asked_for_beyond_the_embedders_window(corpus: Corpus) -> None:
    late = {document.id for document in corpus.documents if "late-fact" in document.traits}
    asked = {
        passage.document
        for question in corpus.golden
        for passage in question.passages
        if passage.document in late
        and len(corpus.document(passage.document).text.split(passage.quote)[0].split()) > EMBEDDER_WINDOW_WORDS
    }
    assert asked == late


def test_every_answerable_question_has_an_answering_document_and_no_other_has(corpus: Corpus) -> None:
    for question in corpus.golden:
        assert question.answerable == (2 in corpus.qrels[question.id].values()), question.id


def test_every_key_fact_stands_in_a_relevant_document(corpus: Corpus) -> None:
    for question in corpus.golden:
        relevant = [corpus.document(name) for name, grade in corpus.qrels[question.id].items() if grade > 0]
        text = " ".join(f"{document.title} {document.text}" for document in relevant).casefold()
        for variants in question.key_facts:
            known = any(variant.casefold() in text for variant in variants)
            assert known or (question.id, variants[0]) in COMPUTED, (question.id, variants)


def test_wrong_facts_stand_in_a_document_and_not_in_the_reference_answer(corpus: Corpus) -> None:
    everything = " ".join(document.text for document in corpus.documents).casefold()
    for question in corpus.golden:
        for wrong in question.wrong_facts:
            assert wrong.casefold() in everything, (question.id, wrong)
            assert wrong.casefold() not in question.reference_answer.casefold(), (question.id, wrong)


def test_a_question_does_not_copy_its_passage(corpus: Corpus) -> None:
    overlap = median_overlap(corpus)
    assert overlap is not None and overlap <= 0.35


def test_no_question_is_asked_twice(corpus: Corpus) -> None:
    assert max(Counter(question.text.casefold() for question in corpus.golden).values()) == 1


def test_documents_not_labelled_alike_share_no_sentence(corpus: Corpus) -> None:
    every = [
        Sentence(document.id, text, content_words(text))
        for document in corpus.documents
        for text in sentences(document)
    ]
    unexpected = [
        f"{one.document}: {one.text}\n{other.document}: {other.text}"
        for one, other in similar(every, ALIKE)
        if not labelled_alike(corpus.document(one.document), corpus.document(other.document))
    ]
    assert not unexpected, "\n\n".join(unexpected)


def test_labelled_near_duplicates_are_near(corpus: Corpus) -> None:
    alike = [document for document in corpus.documents if "near-duplicate" in document.traits]
    for document in alike:
        shared = [
            other for other in alike if other is not document and set(sentences(document)) & set(sentences(other))
        ]
        assert shared, f"{document.id} is labelled near-duplicate and shares no sentence with another"


def test_each_restricted_document_is_wanted_by_somebody_who_may_not_read_it_or_may(corpus: Corpus) -> None:
    judged = {name for grades in corpus.qrels.values() for name in grades}
    restricted = {document.id for document in corpus.documents if document.access != "public-internal"}
    assert restricted <= judged
    assert restricted == {document.id for document in corpus.documents if "restricted" in document.traits}


def test_qrels_has_an_entry_for_every_question(corpus: Corpus) -> None:
    assert list(corpus.qrels) == [question.id for question in corpus.golden]
    assert sum(len(grades) for grades in corpus.qrels.values()) == len(corpus.judgments)


def test_the_readme_explains_every_word_and_names_every_file(corpus: Corpus) -> None:
    text = (corpus.folder / "README.md").read_text(encoding="utf-8")
    spans = set(re.findall(r"`([^`]+)`", text))
    assert {*KINDS, *TRAITS, *CATEGORIES, *SPLITS} <= spans
    assert {*Document.model_fields, *Question.model_fields} - {"text", "path"} <= spans
    assert {QRELS_FILE, POOL_FILE, *PASS_FILES} <= {span.rpartition("/")[2] for span in spans}

"""The corpus is clean, balanced and as varied as its README says."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from datetime import date
from itertools import combinations

import pytest

from coursekit.corpus import CATEGORIES, KINDS, TRAITS, Corpus, Document, Question, load
from coursekit.corpus.__main__ import main
from coursekit.corpus.golden import QRELS_FILE
from coursekit.errors import CorpusError

EMBEDDER_WINDOW_WORDS = 200  # 256 word pieces hold fewer words than that
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """a about after all am an and any are as at be before but by can could did do does doing for from get had has
        have how i if in into is it its just me my no not of off on or our out should so some than that the their them
        then there they this to up us was we were what when where which who whose why will with would you your""",
    )
)


def words(text: str) -> set[str]:
    """The distinct lower-case words of a text, without English stop words."""
    return {word for word in re.findall(r"[\w-]+", text.lower()) if word not in STOP_WORDS}


def sentences(document: Document) -> list[str]:
    """Prose sentences of a body: no code, no tables, no headings; whitespace normalised."""
    prose = re.sub(r"```.*?```", " ", document.text, flags=re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.lstrip().startswith(("|", "#"))]
    found = re.split(r"(?<=[.!?:])\s+|\n\n+", "\n".join(lines))
    return [" ".join(sentence.split()) for sentence in found if len(sentence.split()) >= 6]


def paired(one: Document, other: Document) -> bool:
    """Whether two documents are labelled as alike: near duplicates, or old and new of one page."""
    return ("near-duplicate" in one.traits and "near-duplicate" in other.traits) or one.superseded_by == other.id


def test_the_course_names_this_corpus(corpus: Corpus) -> None:
    assert load().checksum == corpus.checksum


def test_there_are_thirty_documents_and_forty_questions_of_every_kind(corpus: Corpus) -> None:
    assert (len(corpus.documents), len(corpus.golden)) == (30, 40)
    assert {document.kind for document in corpus.documents} == set(KINDS)
    assert {trait for document in corpus.documents for trait in document.traits} == set(TRAITS)


@pytest.mark.parametrize("category", CATEGORIES)
def test_each_category_is_split_in_half(corpus: Corpus, category: str) -> None:
    of_category = corpus.questions(category=category)
    dev = [question for question in of_category if question.split == "dev"]
    assert len(of_category) >= 3
    assert abs(len(of_category) - 2 * len(dev)) <= 1


def test_the_splits_share_no_question_and_cover_all(corpus: Corpus) -> None:
    assert len(corpus.questions("dev")) == len(corpus.questions("test")) == 20
    assert set(corpus.questions("dev")) | set(corpus.questions("test")) == set(corpus.golden)


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
    derived = {("q031", "450")}  # computed from the question
    for question in corpus.golden:
        relevant = [corpus.document(name) for name, grade in corpus.qrels[question.id].items() if grade > 0]
        text = " ".join(f"{document.title} {document.text}" for document in relevant).casefold()
        for variants in question.key_facts:
            known = any(variant.casefold() in text for variant in variants)
            assert known or (question.id, variants[0]) in derived, (question.id, variants)


def test_wrong_facts_stand_in_a_document_and_not_in_the_reference_answer(corpus: Corpus) -> None:
    everything = " ".join(document.text for document in corpus.documents).casefold()
    for question in corpus.golden:
        for wrong in question.wrong_facts:
            assert wrong.casefold() in everything, (question.id, wrong)
            assert wrong.casefold() not in question.reference_answer.casefold(), (question.id, wrong)


def test_a_question_does_not_copy_its_passage(corpus: Corpus) -> None:
    asked = [question for question in corpus.golden if question.answerable and question.category != "identifier"]
    overlaps = [overlap(question) for question in asked]
    assert statistics.median(overlaps) <= 0.35


def overlap(question: Question) -> float:
    """Share of the question's distinct words (no stop words) that its passages contain."""
    asked = words(question.text)
    return len(asked & words(" ".join(passage.quote for passage in question.passages))) / len(asked)


def test_no_question_is_asked_twice(corpus: Corpus) -> None:
    assert max(Counter(question.text.casefold() for question in corpus.golden).values()) == 1


def test_documents_not_labelled_alike_share_no_sentence(corpus: Corpus) -> None:
    split = {document.id: [(s, words(s)) for s in sentences(document)] for document in corpus.documents}
    for one, other in combinations(corpus.documents, 2):
        if paired(one, other) or paired(other, one):
            continue
        for sentence, left in split[one.id]:
            for again, right in split[other.id]:
                if len(left | right) >= 4:
                    alike = len(left & right) / len(left | right)
                    assert alike < 0.7, (one.id, other.id, sentence, again)


def test_labelled_near_duplicates_are_near(corpus: Corpus) -> None:
    alike = [document for document in corpus.documents if "near-duplicate" in document.traits]
    for document in alike:
        shared = [
            other for other in alike if other is not document and set(sentences(document)) & set(sentences(other))
        ]
        assert shared, f"{document.id} is labelled near-duplicate and shares no sentence with another"


def test_each_restricted_document_is_wanted_by_somebody_who_may_not_read_it_or_may(corpus: Corpus) -> None:
    judged = {name for question in corpus.questions(category="access-restricted") for name in corpus.qrels[question.id]}
    restricted = {document.id for document in corpus.documents if document.access != "public-internal"}
    assert restricted <= judged
    assert restricted == {document.id for document in corpus.documents if "restricted" in document.traits}


def test_document_names_the_nearest_id_when_there_is_none(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="did you mean 'config-dispatch'"):
        corpus.document("config-dispach")


def test_questions_refuses_an_unknown_split(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="use one of dev, test"):
        corpus.questions(split="train")


def test_qrels_has_an_entry_for_every_question(corpus: Corpus) -> None:
    rows = (corpus.folder / QRELS_FILE).read_text(encoding="utf-8").splitlines()[1:]
    assert list(corpus.qrels) == [question.id for question in corpus.golden]
    assert sum(len(grades) for grades in corpus.qrels.values()) == len(rows)


def test_check_command_accepts_the_corpus(corpus: Corpus, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(corpus.folder)]) == 0
    assert corpus.checksum[:12] in capsys.readouterr().out

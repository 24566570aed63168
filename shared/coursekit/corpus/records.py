"""What a corpus consists of, as frozen typed records.

The field names are those of the files (see the corpus's README.md). Each record checks its own values, so that a
record which exists is right by itself; what ties records together is checked in `coursekit.corpus.consistency`.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from coursekit.corpus.vocabulary import CATEGORIES, SPLITS, Category, Kind, Split, Trait
from coursekit.errors import CorpusError

_SLUG = "[a-z0-9]+(-[a-z0-9]+)*"
Slug = Annotated[str, Field(pattern=f"^{_SLUG}$")]
Text = Annotated[str, Field(min_length=1)]
AccessLabel = Annotated[str, Field(pattern=rf"^(public-internal|confidential|(team|tenant):{_SLUG})$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)


class Document(_Record):
    """One document: its front matter, its body (`text`, Markdown without the front matter) and where it lies."""

    id: Slug
    title: Text
    kind: Kind
    service: Text
    owner: Text
    version: Annotated[str, Field(pattern=r"^\d+\.\d+$")]
    updated: date
    access: AccessLabel
    supersedes: Slug | None = None
    superseded_by: Slug | None = None
    traits: tuple[Trait, ...] = ()
    lang: Annotated[str, Field(pattern=r"^[a-z]{2}$")] = "en"
    text: Text
    path: Path

    def readable_by(self, labels: Collection[str]) -> bool:
        """Whether somebody who holds these access labels may read the document."""
        return self.access in labels


class Turn(_Record):
    """One earlier message of a conversation."""

    role: Literal["user", "assistant"]
    content: Text


class Passage(_Record):
    """Where an answer stands: a verbatim piece of a document's body."""

    document: Slug
    quote: Text


class Question(_Record):
    """One golden question with what a right answer has to say."""

    id: Annotated[str, Field(pattern=r"^q\d{3}$")]
    text: Text
    category: Category
    split: Split
    asked_by: Annotated[tuple[AccessLabel, ...], Field(min_length=1)]
    history: tuple[Turn, ...] = ()
    key_facts: tuple[Annotated[tuple[Text, ...], Field(min_length=1)], ...] = ()
    wrong_facts: tuple[Text, ...] = ()
    reference_answer: Text
    passage: Passage | None = None
    more_passages: tuple[Passage, ...] = ()
    as_of: date | None = None

    @property
    def answerable(self) -> bool:
        """Whether the corpus answers it for this asker; if not, saying so is the right answer."""
        return self.passage is not None

    @property
    def passages(self) -> tuple[Passage, ...]:
        """Every passage that the answer needs, the main one first; empty when there is no answer."""
        return () if self.passage is None else (self.passage, *self.more_passages)

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.category == "unanswerable" and self.answerable:
            raise ValueError("an unanswerable question has no passage; change the category or set passage to null")
        if self.category not in ("unanswerable", "access-restricted") and not self.answerable:
            raise ValueError(f"a question of category {self.category!r} needs a passage")
        if self.more_passages and not self.answerable:
            raise ValueError("more_passages without a passage; name the main passage first")
        if self.answerable != bool(self.key_facts):
            raise ValueError("key_facts are given exactly when there is a passage")
        if (self.category == "follow-up") != bool(self.history):
            raise ValueError("history is given exactly for category 'follow-up'")
        answer = self.reference_answer.casefold()
        for variants in self.key_facts:
            if not any(variant.casefold() in answer for variant in variants):
                raise ValueError(f"reference_answer states none of the variants {list(variants)}")
        return self


class Judgment(_Record):
    """How well one document serves one question: 2 answers it, 1 helps, 0 looks relevant and is not."""

    query_id: Text
    document_id: Text
    grade: Annotated[int, Field(ge=0, le=2)]


@dataclass(frozen=True)
class Corpus:
    """A whole corpus that has passed every check; documents are sorted by id, questions stand in file order.

    `judgments` are the adjudicated ones. `passes` holds the raw grades of two judges who worked independently, or
    nothing; `pool` the pairs (question id, document id) that were shown to them, or nothing. `world` is empty for a
    corpus without `world.yaml`. `checksum` changes when any file does.
    """

    folder: Path
    documents: tuple[Document, ...]
    golden: tuple[Question, ...]
    judgments: tuple[Judgment, ...]
    world: dict[str, Any]
    checksum: str
    passes: tuple[tuple[Judgment, ...], ...] = ()
    pool: frozenset[tuple[str, str]] = frozenset()

    def document(self, document_id: str) -> Document:
        """The document with this id.

        Raises:
            CorpusError: there is none; the message names the nearest id.
        """
        found = self._documents_by_id.get(document_id)
        if found is None:
            raise self._unknown("document", document_id, self._documents_by_id)
        return found

    def question(self, question_id: str) -> Question:
        """The golden question with this id.

        Raises:
            CorpusError: there is none; the message names the nearest id.
        """
        found = self._questions_by_id.get(question_id)
        if found is None:
            raise self._unknown("question", question_id, self._questions_by_id)
        return found

    def questions(self, split: str | None = None, category: str | None = None) -> tuple[Question, ...]:
        """The golden questions, all or those of one split and/or category.

        Raises:
            CorpusError: `split` or `category` is not one of `SPLITS` and `CATEGORIES`.
        """
        for name, value, allowed in (("split", split, SPLITS), ("category", category, CATEGORIES)):
            if value is not None and value not in allowed:
                raise CorpusError(f"{name} {value!r} does not exist; use one of {', '.join(allowed)}")
        return tuple(q for q in self.golden if split in (None, q.split) and category in (None, q.category))

    def sample(self, per_category: int, split: str | None = None) -> tuple[Question, ...]:
        """A small set in which every category counts the same: the first `per_category` questions of each, in file order.

        Stratified and deterministic, not random: the same questions on every machine, and `sample(2)` is part of
        `sample(3)`. A category with fewer questions gives all it has.

        Raises:
            CorpusError: `per_category` is below 1, or `split` is not one of `SPLITS`.
        """
        if per_category < 1:
            raise CorpusError(f"per_category is {per_category}; ask for at least 1 question of each category")
        taken: Counter[str] = Counter()
        chosen: list[Question] = []
        for question in self.questions(split):
            if taken[question.category] < per_category:
                taken[question.category] += 1
                chosen.append(question)
        return tuple(chosen)

    def readable(self, labels: Collection[str]) -> tuple[Document, ...]:
        """The documents that somebody who holds these access labels may read, sorted by id.

        Raises:
            CorpusError: `labels` is a single string; a list of labels is meant.
        """
        if isinstance(labels, str):
            raise CorpusError(f"labels is the string {labels!r}; pass a list: [{labels!r}]")
        return tuple(document for document in self.documents if document.readable_by(labels))

    def is_judged(self, question_id: str, document_id: str) -> bool:
        """Whether somebody has judged this pair, grade 0 included; every pair of `pool` is.

        A pair that nobody has judged counts as not relevant in every measure: how many of those a ranking holds says
        how far its figures can be trusted.

        Raises:
            CorpusError: there is no such question or document.
        """
        return self.document(document_id).id in self.qrels[self.question(question_id).id]

    @cached_property
    def qrels(self) -> dict[str, dict[str, int]]:
        """Question id -> document id -> grade; a question without a relevant document has an entry all the same."""
        table: dict[str, dict[str, int]] = {question.id: {} for question in self.golden}
        for judgment in self.judgments:
            table[judgment.query_id][judgment.document_id] = judgment.grade
        return table

    @cached_property
    def _documents_by_id(self) -> dict[str, Document]:
        return {document.id: document for document in self.documents}

    @cached_property
    def _questions_by_id(self) -> dict[str, Question]:
        return {question.id: question for question in self.golden}

    def _unknown(self, what: str, wanted: str, known: Iterable[str]) -> CorpusError:
        near = difflib.get_close_matches(wanted, list(known), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return CorpusError(f"{self.folder}: there is no {what} {wanted!r}{hint}")

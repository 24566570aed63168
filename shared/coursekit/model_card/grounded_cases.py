"""Cases for measuring grounded answering: a golden question and the passages that a prompt would show.

Passages are the baseline's pieces of about 120 words. *With* the answer: every piece that holds one of the question's
quotes, and distractors; *without*: distractors only. Distractors come from documents which the asker may read, which
nobody judged above 0 and which are not poisoned (obedience is measured by itself), one per document: drawn at *random*, or *retrieved*: those that a hybrid of BM25 and MiniLM ranks highest,
so they look right and are not. The order is shuffled by a hash of the question. Nothing here asks a model to answer.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from coursekit.corpus import Corpus, Question
from coursekit.corpus.baseline.fusion import by_score
from coursekit.corpus.baseline.lexical import bm25, stemmed_words
from coursekit.corpus.baseline.pieces import cut_document
from coursekit.corpus.baseline.vectors import MINILM, cosine, embed

Others = Literal["random", "retrieved"]
ALPHA = 0.5  # the vectors' weight in the hybrid; nothing was chosen by it


@dataclass(frozen=True)
class Piece:
    """One passage: the document it comes from, its text, and whether it holds a quote of the question."""

    document: str
    text: str
    holds_answer: bool = False


@dataclass(frozen=True)
class Case:
    """A question with the passages of its prompt, in prompt order."""

    question: Question
    passages: tuple[Piece, ...]


class CaseMaker:
    """Finds gold pieces and distractors in one corpus; embeds it once."""

    def __init__(self, corpus: Corpus, progress: Callable[[str], None] = lambda _: None) -> None:
        self.corpus = corpus
        self.pieces = [(document, text) for document in corpus.documents for text in cut_document(document)]
        texts, asked = [text for _, text in self.pieces], [question.text for question in corpus.golden]
        pieces, questions = np.split(embed([*texts, *asked], MINILM, progress), [len(self.pieces)])
        lexical = bm25(texts, asked, stemmed_words)
        readable = np.array([[d.readable_by(q.asked_by) for d, _ in self.pieces] for q in corpus.golden])
        self._scores = by_score(lexical, cosine(pieces, questions, 384), readable, ALPHA)
        self._row = {question.id: row for row, question in enumerate(corpus.golden)}

    def gold(self, question: Question) -> tuple[Piece, ...]:
        """The pieces that hold the question's quotes; for a quote that a cut runs through, all that hold a part of it."""
        found: dict[str, Piece] = {}
        for passage in question.passages:
            texts = [text for document, text in self.pieces if document.id == passage.document]
            quote = _plain(passage.quote)
            whole = [text for text in texts if quote in _plain(text)]
            for text in whole[:1] or _cut_through(quote, texts):
                found[text] = Piece(passage.document, text, True)
        return tuple(found.values())

    def distractors(self, question: Question, count: int, others: Others) -> tuple[Piece, ...]:
        """`count` pieces of as many documents that do not help, best first when retrieved."""
        helpful = {i for i, grade in self.corpus.qrels.get(question.id, {}).items() if grade > 0}
        taken = {passage.document for passage in question.passages} | helpful
        order = np.argsort(-self._scores[self._row[question.id]], kind="stable").tolist()
        if others == "random":
            random.Random(f"{question.id} {others}").shuffle(order)
        found: list[Piece] = []
        for column in order:
            document, text = self.pieces[column]
            usable = document.readable_by(question.asked_by) and "poisoned" not in document.traits
            if usable and document.id not in taken:
                taken.add(document.id)
                found.append(Piece(document.id, text))
                if len(found) == count:
                    break
        return tuple(found)

    def case(
        self,
        question: Question,
        *,
        passages: int = 5,
        others: Others = "random",
        answer: bool = True,
        place: float | None = None,
    ) -> Case:
        """A case with `passages` passages in all (more only where the gold pieces alone are more).

        Args:
            others: which pieces stand beside the gold ones.
            answer: whether the gold pieces are among them.
            place: where the gold pieces stand, 0 first to 1 last; None shuffles.
        """
        gold = self.gold(question) if answer else ()
        beside = list(self.distractors(question, max(passages - len(gold), 0), others))
        order = random.Random(hashlib.sha256(question.id.encode()).hexdigest())
        if place is None:
            shown = [*gold, *beside]
            order.shuffle(shown)
        else:
            order.shuffle(beside)
            at = round(place * len(beside))
            shown = [*beside[:at], *gold, *beside[at:]]
        return Case(question, tuple(shown))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _cut_through(quote: str, texts: Sequence[str]) -> list[str]:
    """The texts that hold a stretch of eight words of the quote, or its longest line."""
    words = quote.split()
    stretches = [" ".join(words[i : i + 8]) for i in range(max(1, len(words) - 7))]
    return [text for text in texts if any(stretch in _plain(text) for stretch in stretches)]

"""The built-in workload: Harborline's documents and questions, among as many real pages as are asked for.

Filled up with Python's own documentation (`coursekit.corpus.python_docs`), which answers none of the questions: whole
pages, drawn at random, cut at paragraphs; no text comes twice. Where pieces of 100 words are too few, they are cut smaller.
The questions are those of the test split that have an answer: the assistant's weights were chosen on the other half.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from coursekit import corpus, scale
from coursekit.bench_rag.records import Query, Source, Workload
from coursekit.corpus import python_docs
from coursekit.corpus.python_docs import PythonDocument
from coursekit.errors import CorpusError

SEED = 7
WORDS_PER_PIECE = (100, 80, 60, 40, 25)
ANSWERS = 2  # the grade of a document that answers the question
_SPARE = 1.02  # Harborline's chunks are counted only when they are cut


def load(chunks: int) -> Workload:
    """Harborline and so much more that there are `chunks` chunks.

    Raises:
        CorpusError: this Python has too little documentation for that many.
    """
    harborline = corpus.load()
    own = [Source(document.id, document.title, document.text) for document in harborline.documents]
    questions = [question for question in harborline.golden if question.answerable and question.split == "test"]
    words, filling = fill(python_docs.load(), int(chunks * _SPARE))
    return Workload(
        name=f"Harborline among {chunks:,} chunks",
        sources=[*own, *filling],
        queries=[Query(question.id, question.text) for question in questions],
        qrels={question.id: harborline.qrels[question.id] for question in questions},
        relevant_from=ANSWERS,
        notes=(f"filled up with {len(filling):,} pages of Python documentation in pieces of about {words} words",),
        limit=chunks,
    )


def fill(pages: Sequence[PythonDocument], count: int) -> tuple[int, list[Source]]:
    """Words per piece, and pages that hold at least `count` different pieces together.

    Raises:
        CorpusError: they do not, however small they are cut.
    """
    order = np.random.default_rng(SEED).permutation(len(pages))
    most = 0
    for words in WORDS_PER_PIECE:
        seen: set[str] = set()
        chosen: list[Source] = []
        for number in order:
            page = pages[number]
            pieces = dict.fromkeys(scale.join_paragraphs(page.text, words))
            fresh = tuple(piece for piece in pieces if piece not in seen)
            seen.update(fresh)
            if fresh:
                chosen.append(Source(f"python:{page.id}", page.title, pieces=fresh))
            if len(seen) >= count:
                return words, chosen
        most = max(most, len(seen))
    raise CorpusError(
        f"this Python's documentation gives {most:,} different pieces, and {count:,} are needed: give a smaller --chunks"
    )

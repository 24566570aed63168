"""Every method on one corpus: scores, rankings, and the pools that judges see.

A document's score is its best piece's. Only documents that the asker may read are ranked, and the filter comes before
the ranking. The query is the question's text alone: a follow-up comes without its history, which makes it hard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from coursekit.corpus import Corpus, Question
from coursekit.corpus.baseline import fusion
from coursekit.corpus.baseline.fulltext import full_text
from coursekit.corpus.baseline.lexical import Scores, Words, bm25, plain_words, stemmed_words
from coursekit.corpus.baseline.measures import per_question
from coursekit.corpus.baseline.pieces import cut_document
from coursekit.corpus.baseline.vectors import MINILM, WORDLLAMA, Vectors, cosine, embed
from coursekit.errors import CorpusError

SINGLES = {
    "bm25": "BM25 plain",
    "bm25-stemmed": "BM25 stemmed",
    "fts-and": "Postgres AND",
    "fts-or": "Postgres OR (ts_rank)",
    "fts-or-cd": "Postgres OR (ts_rank_cd)",
    "minilm": "MiniLM",
    "wordllama-256": "wordllama-256",
    "wordllama-64": "wordllama-64",
}
HYBRIDS = {
    "rrf": "RRF (BM25 stemmed, MiniLM)",
    "rrf-wordllama": "RRF (BM25 stemmed, wordllama-256)",
    "convex": "convex (BM25 stemmed, MiniLM)",
}
METHODS = {**SINGLES, **HYBRIDS}
PARTS = ("bm25-stemmed", "minilm")  # what `rrf` and `convex` fuse

ALPHAS = tuple(step / 10 for step in range(11))
POOL_METHODS = ("bm25-stemmed", "fts-or", "minilm")
POOL_ALPHA = 0.5  # pools are made before there are judgments to choose alpha by
POOL_DEPTH_UNFILTERED = 5

_VECTORS = {"minilm": (MINILM, 384), "wordllama-256": (WORDLLAMA, 256), "wordllama-64": (WORDLLAMA, 64)}


class Retrieval:
    """The methods on one corpus; what is expensive is computed once, when it is first needed."""

    def __init__(self, corpus: Corpus, progress: Callable[[str], None] | None = None) -> None:
        """`progress` is told what is being done, a line at a time."""
        if not corpus.documents or not corpus.golden:
            raise CorpusError(f"{corpus.folder}: a baseline needs at least one document and one question")
        self.corpus = corpus
        self.ids = [document.id for document in corpus.documents]
        self._say = progress or (lambda _: None)
        self._questions = [question.text for question in corpus.golden]
        cut = [cut_document(document) for document in corpus.documents]
        self.pieces = [text for texts in cut for text in texts]
        self._owners = [row for row, texts in enumerate(cut) for _ in texts]
        self._found: dict[str, Scores] = {}
        self._vectors: dict[str, Vectors] = {}

    @cached_property
    def readable(self) -> fusion.Mask:
        """Which documents each asker may read, [questions, documents]."""
        return np.array([[d.readable_by(q.asked_by) for d in self.corpus.documents] for q in self.corpus.golden])

    @cached_property
    def everything(self) -> fusion.Mask:
        """All documents for everybody."""
        return np.ones_like(self.readable)

    @cached_property
    def alpha(self) -> float:
        """The weight of the vectors that gives the best mean nDCG@10 on dev; the lowest of equals.

        Raises:
            CorpusError: no dev question has an answer.
        """
        rows = [row for row, q in enumerate(self.corpus.golden) if q.split == "dev" and q.answerable]
        if not rows:
            raise CorpusError(f"{self.corpus.folder}: no dev question has an answer, so no weight can be chosen")
        self._say("choosing alpha on dev")
        dev = [self.corpus.golden[row] for row in rows]
        lexical, semantic = (table[rows] for table in self._parts)
        readable = self.readable[rows]

        def quality(alpha: float) -> float:
            table = fusion.by_score(lexical, semantic, readable, alpha)
            values = per_question(self.corpus, self._rankings(table, dev), dev, ["nDCG@10"])
            return round(float(np.mean(list(values["nDCG@10"].values()))), 9)

        return max(ALPHAS, key=quality)

    @property
    def _parts(self) -> tuple[Scores, Scores]:
        return self.scores(PARTS[0]), self.scores(PARTS[1])

    def scores(self, method: str) -> Scores:
        """One single method's scores, [questions, documents], -inf where it did not find the document."""
        if method not in self._found:
            self._compute(method)
        return self._found[method]

    def rankings(self, method: str) -> dict[str, list[str]]:
        """Readable document ids, best first, by question id, for every question.

        Raises:
            CorpusError: there is no such method.
        """
        if method in SINGLES:
            return self._rankings(np.where(self.readable, self.scores(method), -np.inf))
        if method == "convex":
            return self._rankings(fusion.by_score(*self._parts, self.readable, self.alpha))
        parts = {"rrf": PARTS, "rrf-wordllama": ("bm25-stemmed", "wordllama-256")}.get(method)
        if parts is None:
            raise CorpusError(f"there is no baseline {method!r}; use one of {', '.join(METHODS)}")
        return self._rankings(fusion.by_rank([self.scores(part) for part in parts], self.readable))

    def pools(self, depth: int) -> dict[str, list[str]]:
        """See `pools`."""
        pooled: dict[str, set[str]] = {question.id: set() for question in self.corpus.golden}
        for allowed, cutoff in ((self.readable, depth), (self.everything, POOL_DEPTH_UNFILTERED)):
            tables = [np.where(allowed, self.scores(method), -np.inf) for method in POOL_METHODS]
            tables += [fusion.by_rank(self._parts, allowed), fusion.by_score(*self._parts, allowed, POOL_ALPHA)]
            for table in tables:
                for qid, documents in self._rankings(table).items():
                    pooled[qid].update(documents[:cutoff])
        return {qid: sorted(documents) for qid, documents in pooled.items()}

    def _rankings(self, table: Scores, questions: Sequence[Question] | None = None) -> dict[str, list[str]]:
        return {
            question.id: [self.ids[column] for column in fusion.order_of(row)]
            for question, row in zip(questions or self.corpus.golden, table, strict=True)
        }

    def _compute(self, method: str) -> None:
        if method in ("bm25", "bm25-stemmed"):
            self._say(SINGLES[method])
            words: Words = plain_words if method == "bm25" else stemmed_words
            self._found[method] = self._best(bm25(self.pieces, self._questions, words))
        elif method.startswith("fts-"):
            self._say("Postgres full text")
            tables = full_text(self.pieces, self._owners, self._questions)
            self._found |= dict(zip(("fts-and", "fts-or", "fts-or-cd"), tables, strict=True))
        else:
            model, dimensions = _VECTORS[method]
            if model not in self._vectors:
                self._vectors[model] = embed([*self.pieces, *self._questions], model, self._say)
            pieces, questions = np.split(self._vectors[model], [len(self.pieces)])
            self._found[method] = self._best(cosine(pieces, questions, dimensions))

    def _best(self, table: Scores) -> Scores:
        """From pieces to documents: the best piece counts."""
        starts = np.searchsorted(self._owners, np.arange(len(self.ids)))
        best: Scores = np.maximum.reduceat(table, starts, axis=1)
        return best


def ranked(corpus: Corpus, method: str) -> dict[str, list[str]]:
    """One method's ranking for every question: ids of readable documents, best first; ties break by id.

    Raises:
        CorpusError: there is no such method; the message lists `METHODS`.
    """
    return Retrieval(corpus).rankings(method)


def pools(corpus: Corpus, depth: int = 10) -> dict[str, list[str]]:
    """What judges should see: for every question, with an answer or not, the documents that some method ranks high.

    The union of the top `depth` of stemmed BM25, Postgres OR, MiniLM, and both fusions of BM25 and MiniLM (the convex
    one at alpha 0.5) over readable documents, and of their top 5 over all documents, so that forbidden ones get judged.
    It does not depend on judgments.

    Returns:
        Question id -> document ids in alphabetical order.
    """
    return Retrieval(corpus).pools(depth)

"""The judgments of a corpus: the adjudicated ones, the two judges' own, and the pool of pairs that both were shown.

`qrels.txt` is what counts. The optional folder `judging/` keeps how it came about: `pass-1.txt` and `pass-2.txt` with
each judge's raw grades, and `pool.txt` with every pair that was shown to them. Each part is checked here: ids exist,
nobody is owed a document that they may not read, and no pair of the pool was forgotten in `qrels.txt`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coursekit.corpus.problems import Problems
from coursekit.corpus.records import Document, Judgment, Question
from coursekit.corpus.trec import JUDGING_FOLDER, PASS_FILES, POOL_FILE, QRELS_FILE, read_judgments, read_pool

NumberedJudgment = tuple[int, Judgment]


@dataclass(frozen=True)
class Judged:
    """The judgments of one corpus, each with its line; `passes` has two parts or none, `pool` may be empty."""

    qrels: list[NumberedJudgment]
    passes: tuple[list[NumberedJudgment], ...]
    pool: list[tuple[int, tuple[str, str]]]


def read_judged(folder: Path, files: Sequence[Path], problems: Problems) -> Judged:
    """Read `qrels.txt` and what there is in `judging/`; unreadable lines and misnamed files become problems."""
    inside = folder / JUDGING_FOLDER
    present = {path.name for path in files if path.parent == inside and path.suffix == ".txt"}
    for name in sorted(present - {*PASS_FILES, POOL_FILE}):
        problems.add(inside / name, 1, "unknown file", f"name it {', '.join(PASS_FILES)} or {POOL_FILE}, or remove it")
    for name, other in (PASS_FILES, PASS_FILES[::-1]):
        if name not in present and other in present:
            problems.add(inside / name, 1, f"is missing, and {other} is there", "two passes belong together")
    return Judged(
        qrels=read_judgments(folder / QRELS_FILE, problems),
        passes=tuple(read_judgments(inside / name, problems) for name in PASS_FILES if name in present),
        pool=read_pool(inside / POOL_FILE, problems) if POOL_FILE in present else [],
    )


def check_judged(
    judged: Judged, documents: Mapping[str, Document], questions: Mapping[str, Question], problems: Problems
) -> None:
    """Every id exists, grades above 0 are possible, and the whole pool is judged."""
    folder = problems.folder
    for path, judgments in (
        (folder / QRELS_FILE, judged.qrels),
        *((folder / JUDGING_FOLDER / name, part) for name, part in zip(PASS_FILES, judged.passes, strict=False)),
    ):
        for number, judgment in judgments:
            _check_ids(path, number, judgment.query_id, judgment.document_id, documents, questions, problems)
    for number, judgment in judged.qrels:
        question, document = questions.get(judgment.query_id), documents.get(judgment.document_id)
        if question and document and judgment.grade > 0:
            _check_relevant(folder / QRELS_FILE, number, question, document, problems)
    listed = {(judgment.query_id, judgment.document_id) for _, judgment in judged.qrels}
    path = folder / JUDGING_FOLDER / POOL_FILE
    for number, (query_id, document_id) in judged.pool:
        _check_ids(path, number, query_id, document_id, documents, questions, problems)
        if listed and (query_id, document_id) not in listed:
            repair = f"add it to {QRELS_FILE}, with 0 when it is not relevant"
            problems.add(path, number, f"{query_id} {document_id} is not judged", repair)


def _check_ids(
    path: Path,
    number: int,
    query_id: str,
    document_id: str,
    documents: Mapping[str, Document],
    questions: Mapping[str, Question],
    problems: Problems,
) -> None:
    repair = "correct the id or remove the line"
    if query_id not in questions and query_id not in problems.refused:
        problems.add(path, number, f"no question {query_id!r}", repair)
    if document_id not in documents and document_id not in problems.refused:
        problems.add(path, number, f"no document {document_id!r}", repair)


def _check_relevant(path: Path, number: int, question: Question, document: Document, problems: Problems) -> None:
    if not document.readable_by(question.asked_by):
        what = f"{question.id}'s asker may not read {document.id!r} ({document.access})"
        problems.add(path, number, what, "grade it 0 or change asked_by")
    if not question.answerable:
        problems.add(path, number, f"{question.id} has no answer but a relevant document", "grade it 0")

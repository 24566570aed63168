"""What ties the parts of a corpus together: names that must exist, links, quotes, judgments and who may read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coursekit.corpus.golden import QRELS_FILE, QUESTIONS_FILE
from coursekit.corpus.problems import Problems
from coursekit.corpus.records import Document, Judgment, Question

Numbered = tuple[int, Question]


def check_documents(documents: Mapping[str, Document], world: Mapping[str, Any], problems: Problems) -> None:
    """Services, owners and access labels exist in the world; supersession links exist on both sides."""
    for document in documents.values():
        line = _key_lines(document.path)
        if document.service != "platform" and document.service not in world["services"]:
            problems.add(
                document.path,
                line("service"),
                f"unknown service {document.service!r}",
                "use one of world.yaml",
            )
        if document.owner not in world["teams"]:
            problems.add(
                document.path,
                line("owner"),
                f"unknown team {document.owner!r}",
                "use one of world.yaml",
            )
        if not _label_exists(document.access, world):
            problems.add(
                document.path,
                line("access"),
                f"unknown label {document.access!r}",
                "use one of world.yaml",
            )
        for field, back in (
            ("supersedes", "superseded_by"),
            ("superseded_by", "supersedes"),
        ):
            other_id = getattr(document, field)
            if other_id is None:
                continue
            other = documents.get(other_id)
            if other is None:
                problems.add(
                    document.path,
                    line(field),
                    f"{field} {other_id!r}: no such document",
                    "correct the id",
                )
            elif getattr(other, back) != document.id:
                problems.add(
                    document.path,
                    line(field),
                    f"{field} {other_id!r}, which does not link back",
                    f"set {back}: {document.id} in {other.path.name}",
                )
            elif field == "supersedes" and other.updated >= document.updated:
                problems.add(
                    document.path,
                    line("updated"),
                    f"not newer than {other_id!r}, which it supersedes",
                    "check dates",
                )


def check_golden(
    documents: Mapping[str, Document],
    questions: list[Numbered],
    judgments: list[tuple[int, Judgment]],
    world: Mapping[str, Any],
    problems: Problems,
) -> None:
    """Quotes are verbatim, judgments point to something, and nobody is owed a document that they may not read."""
    by_id = {question.id: question for _, question in questions}
    grades: dict[str, dict[str, int]] = {question_id: {} for question_id in by_id}
    path = problems.folder / QRELS_FILE
    for number, judgment in judgments:
        question, document = (
            by_id.get(judgment.query_id),
            documents.get(judgment.document_id),
        )
        if question is None:
            problems.add(
                path,
                number,
                f"no question {judgment.query_id!r}",
                "correct the id or remove the line",
            )
        if document is None:
            problems.add(
                path,
                number,
                f"no document {judgment.document_id!r}",
                "correct the id or remove the line",
            )
        if question is None or document is None:
            continue
        grades[question.id][document.id] = judgment.grade
        if judgment.grade > 0 and not document.readable_by(question.asked_by):
            repair = "grade it 0 or change asked_by"
            problems.add(
                path,
                number,
                f"{question.id}'s asker may not read {document.id!r} ({document.access})",
                repair,
            )
        if judgment.grade > 0 and not question.answerable:
            problems.add(
                path,
                number,
                f"{question.id} has no answer but a relevant document",
                "grade it 0",
            )
    for number, question in questions:
        _check_question(number, question, grades[question.id], documents, world, problems)


def _check_question(
    number: int,
    question: Question,
    grades: Mapping[str, int],
    documents: Mapping[str, Document],
    world: Mapping[str, Any],
    problems: Problems,
) -> None:
    path = problems.folder / QUESTIONS_FILE
    for label in question.asked_by:
        if not _label_exists(label, world):
            problems.add(
                path,
                number,
                f"{question.id}: unknown label {label!r} in asked_by",
                "use one of world.yaml",
            )
    for passage in question.passages:
        document = documents.get(passage.document)
        if document is None:
            problems.add(
                path,
                number,
                f"{question.id}: no document {passage.document!r}",
                "correct passage.document",
            )
            continue
        if passage.quote not in document.text:
            what = f"{question.id}: quote not found in {document.path.name}: {passage.quote!r:.60}"
            problems.add(path, number, what, "copy it from the document's body, letter by letter")
        if grades.get(document.id) != 2:
            what = f"{question.id}: its passage is in {document.id!r}, not judged 2"
            problems.add(path, number, what, f"add the judgment to {QRELS_FILE}")


def _label_exists(label: str, world: Mapping[str, Any]) -> bool:
    scope, _, name = label.partition(":")
    return not name or name in world[{"team": "teams", "tenant": "tenants"}[scope]]


def _key_lines(path: Path) -> Callable[[str], int]:
    """Gives a function that says on which line of a file a front matter key stands, counted from 1."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return lambda key: next((n for n, line in enumerate(lines, start=1) if line.startswith(f"{key}:")), 1)

"""What ties documents and questions together: names that must exist, links in both directions, verbatim quotes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coursekit.corpus.golden import QUESTIONS_FILE
from coursekit.corpus.problems import Problems
from coursekit.corpus.records import Document, Judgment, Question
from coursekit.corpus.trec import QRELS_FILE

Numbered = tuple[int, Question]
World = Mapping[str, Any]
_USE_WORLD = "use one of world.yaml"


def check_documents(documents: Mapping[str, Document], world: World | None, problems: Problems) -> None:
    """Services, owners and access labels exist in the world (if there is one); supersession links exist on both sides."""
    for document in documents.values():
        path = document.path
        if world is not None:
            if document.service != "platform" and document.service not in world["services"]:
                line = _line_of(path, "service")
                problems.add(path, line, f"unknown service {document.service!r}", _USE_WORLD)
            if document.owner not in world["teams"]:
                problems.add(path, _line_of(path, "owner"), f"unknown team {document.owner!r}", _USE_WORLD)
            if not _label_exists(document.access, world):
                problems.add(path, _line_of(path, "access"), f"unknown label {document.access!r}", _USE_WORLD)
        _check_links(document, documents, problems)


def _check_links(document: Document, documents: Mapping[str, Document], problems: Problems) -> None:
    path = document.path
    for field, back in (("supersedes", "superseded_by"), ("superseded_by", "supersedes")):
        other_id = getattr(document, field)
        if other_id is None or other_id in problems.refused:
            continue
        other = documents.get(other_id)
        if other is None:
            problems.add(path, _line_of(path, field), f"{field} {other_id!r}: no such document", "correct the id")
        elif getattr(other, back) != document.id:
            what = f"{field} {other_id!r}, which does not link back"
            problems.add(path, _line_of(path, field), what, f"set {back}: {document.id} in {other.path.name}")
        elif field == "supersedes" and other.updated >= document.updated:
            what = f"not newer than {other_id!r}, which it supersedes"
            problems.add(path, _line_of(path, "updated"), what, "check dates")


def check_questions(
    documents: Mapping[str, Document],
    questions: Sequence[Numbered],
    judgments: Sequence[tuple[int, Judgment]],
    world: World | None,
    problems: Problems,
) -> None:
    """Askers' labels exist in the world (if there is one), quotes are verbatim and stand in documents judged 2."""
    path = problems.folder / QUESTIONS_FILE
    answers = {(judged.query_id, judged.document_id) for _, judged in judgments if judged.grade == 2}
    for number, question in questions:
        for label in question.asked_by:
            if world is not None and not _label_exists(label, world):
                problems.add(path, number, f"{question.id}: unknown label {label!r} in asked_by", _USE_WORLD)
        for passage in question.passages:
            document = documents.get(passage.document)
            if document is None:
                if passage.document not in problems.refused:
                    what = f"{question.id}: no document {passage.document!r}"
                    problems.add(path, number, what, "correct passage.document")
                continue
            if passage.quote not in document.text:
                what = f"{question.id}: quote not found in {document.path.name}: {passage.quote!r:.60}"
                problems.add(path, number, what, "copy it from the document's body, letter by letter")
            if judgments and (question.id, document.id) not in answers:
                what = f"{question.id}: its passage is in {document.id!r}, not judged 2"
                problems.add(path, number, what, f"add the judgment to {QRELS_FILE}")


def _label_exists(label: str, world: World) -> bool:
    scope, _, name = label.partition(":")
    return not name or name in world[{"team": "teams", "tenant": "tenants"}[scope]]


def _line_of(path: Path, key: str) -> int:
    """The line of a file on which a front matter key stands, counted from 1; 1 when it is written in an unusual way."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((number for number, line in enumerate(lines, start=1) if line.startswith(f"{key}:")), 1)

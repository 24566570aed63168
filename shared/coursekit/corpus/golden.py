"""Read the golden set: `questions.jsonl` (one question a line) and `qrels.tsv` (one judgment a line)."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from coursekit.corpus.problems import Problems
from coursekit.corpus.records import Judgment, Question

QUESTIONS_FILE = "questions.jsonl"
QRELS_FILE = "qrels.tsv"
QRELS_HEADER = "query_id\tdocument_id\tgrade"


def read_questions(folder: Path, problems: Problems) -> list[tuple[int, Question]]:
    """Questions with the line that each stands on; lines that hold none become problems."""
    path = folder / QUESTIONS_FILE
    found: list[tuple[int, Question]] = []
    seen: dict[str, int] = {}
    for number, line in enumerate((problems.read(path) or "").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except json.JSONDecodeError as error:
            problems.add(
                path,
                number,
                f"bad JSON: {error.msg} at column {error.colno}",
                "write one object per line",
            )
            continue
        try:
            question = Question.model_validate(values)
        except ValidationError as error:
            problems.add_invalid(path, error, {}, line=number)
            continue
        if question.id in seen:
            problems.add(
                path,
                number,
                f"id {question.id!r} is taken by line {seen[question.id]}",
                "give it its own id",
            )
            continue
        seen[question.id] = number
        found.append((number, question))
    return found


def read_judgments(folder: Path, problems: Problems) -> list[tuple[int, Judgment]]:
    """Judgments with the line that each stands on; lines that hold none become problems."""
    path = folder / QRELS_FILE
    found: list[tuple[int, Judgment]] = []
    seen: dict[tuple[str, str], int] = {}
    text = problems.read(path)
    if text is None:
        return found
    header, *rows = text.split("\n")
    if header != QRELS_HEADER:
        problems.add(
            path,
            1,
            f"header is {header!r}",
            f"write {QRELS_HEADER!r} (tabs between the names)",
        )
    for number, row in enumerate(rows, start=2):
        if not row.strip():
            continue
        cells = row.split("\t")
        if len(cells) != 3 or cells[2] not in ("0", "1", "2"):
            problems.add(
                path,
                number,
                f"not a judgment: {row!r:.80}",
                "write query_id, document_id, 0|1|2 with tabs",
            )
            continue
        pair = (cells[0], cells[1])
        if pair in seen:
            problems.add(
                path,
                number,
                f"{pair} was judged in line {seen[pair]}",
                "keep one of the two",
            )
            continue
        seen[pair] = number
        found.append(
            (
                number,
                Judgment(query_id=cells[0], document_id=cells[1], grade=int(cells[2])),
            )
        )
    return found

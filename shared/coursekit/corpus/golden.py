"""Read the golden questions: `questions.jsonl`, one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from coursekit.corpus.problems import Problems
from coursekit.corpus.records import Question

QUESTIONS_FILE = "questions.jsonl"


def read_questions(folder: Path, problems: Problems) -> list[tuple[int, Question]]:
    """Questions with the line that each stands on; lines that hold none become problems."""
    path = folder / QUESTIONS_FILE
    found: list[tuple[int, Question]] = []
    seen: dict[str, int] = {}
    for number, line in enumerate((problems.read(path) or "").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line, object_pairs_hook=_unique)
        except json.JSONDecodeError as error:
            what = f"bad JSON: {error.msg} at column {error.colno}"
            problems.add(path, number, what, "write one object per line")
            continue
        except (ValueError, RecursionError) as error:
            what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            problems.add(path, number, f"bad JSON: {what}", "write one plain object per line")
            continue
        try:
            question = Question.model_validate(values)
        except ValidationError as error:
            problems.add_invalid(path, error, {}, line=number)
            if isinstance(values, dict):
                problems.refused.add(str(values.get("id")))
            continue
        if question.id in seen:
            what = f"id {question.id!r} is taken by line {seen[question.id]}"
            problems.add(path, number, what, "give it its own id")
            continue
        seen[question.id] = number
        found.append((number, question))
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return values

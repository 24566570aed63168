"""The gradebook as a file: nbgrader's CSV columns, JSON with every check, and the CSV shapes that Canvas and Moodle import.

Scores are the gradebook's: manual ones before automatic ones, late penalties taken off, never below 0. Text that a spreadsheet
would run as a formula (a student may be called `=cmd()`) gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from nbgrader import api
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from coursekit import manifest, settings
from coursekit.errors import GradingError
from coursekit.grading.recording import audit as audit_module
from coursekit.grading.recording.audit import Entry
from coursekit.grading.recording.transactions import GradebookFile

Shape = Literal["nbgrader", "json", "canvas", "moodle"]
NBGRADER_COLUMNS = (
    *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score"),
    *("late_submission_penalty", "score", "max_score"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True)
class CellScore:
    """One graded cell of one submission, as it stands in the gradebook."""

    cell: str
    score: float
    max_score: float
    auto_score: float | None
    manual_score: float | None
    extra_credit: float | None
    needs_manual_grade: bool


@dataclass(frozen=True)
class Row:
    """One student and one module; without a submission `submitted` is False and the scores are 0. Times are in UTC."""

    assignment: str
    duedate: datetime | None
    timestamp: datetime | None
    student_id: str
    last_name: str | None
    first_name: str | None
    email: str | None
    lms_user_id: str | None
    submitted: bool
    raw_score: float
    late_submission_penalty: float
    max_score: float
    cells: tuple[CellScore, ...] = ()
    problem: str | None = None

    @property
    def score(self) -> float:
        return max(0.0, self.raw_score - self.late_submission_penalty)


def rows(where: settings.Settings, modules: Sequence[manifest.Module] = ()) -> list[Row]:
    """Every student of the gradebook with every module (default: all that the gradebook has).

    Raises:
        GradingError: there is no gradebook yet, or it stays locked.
    """
    path = where.grading_dir / "gradebook.db"
    if not path.exists():
        raise GradingError("there is no gradebook yet. Run first: course release, then course grade MODULE")
    wanted = {module.id for module in modules}
    book = GradebookFile(f"sqlite:///{path}")
    try:
        found = book.transact(lambda session: list(_rows(session, wanted, where)))
    finally:
        book.close()
    return found


def write(
    where: settings.Settings, target: Path, *, shape: Shape = "nbgrader", modules: Sequence[manifest.Module] = ()
) -> int:
    """Write the grades to `target` in one of the shapes; returns the number of students' rows.

    `nbgrader` has one row per student and module and, after nbgrader's own columns, `problem`: why a newest file could not be
    graded. `canvas` has one column per module. `moodle` takes exactly one module: its worksheets are per assignment.

    Raises:
        GradingError: no gradebook, a file that cannot be written, or not one module for `moodle`.
    """
    found = rows(where, modules)
    writers = {"nbgrader": _nbgrader, "json": _json, "canvas": _canvas, "moodle": _moodle}
    if shape == "moodle" and len({row.assignment for row in found}) != 1:
        raise GradingError("Moodle imports one assignment at a time: name one module, for example: m01")
    text = writers[shape](found)
    fresh = target.with_name(f".{target.name}.new")
    try:
        with open(fresh, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.write(text)
        os.replace(fresh, target)
    except OSError as error:
        raise GradingError(
            f"{target} cannot be written: {error.strerror}. Name a file in a folder that you may write to."
        ) from error
    return len({row.student_id for row in found}) if shape == "canvas" else len(found)


def guarded(value: object) -> object:
    """A value for a CSV cell; text that would start a formula gets an apostrophe in front. Numbers stay numbers.

    >>> guarded("=1+1"), guarded(-0.5)
    ("'=1+1", -0.5)
    """
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _rows(session: Session, wanted: set[str], where: settings.Settings) -> Iterable[Row]:
    students = session.scalars(
        select(api.Student).order_by(api.Student.last_name, api.Student.first_name, api.Student.id)
    )
    everyone = students.all()
    assignments = session.scalars(select(api.Assignment).order_by(api.Assignment.duedate, api.Assignment.name)).all()
    for assignment in assignments:
        if wanted and assignment.name not in wanted:
            continue
        with audit_module.reading(where.grading_dir) as audit:
            newest = {entry.student: entry for entry in audit.latest(assignment.name)}
        grades = selectinload(api.SubmittedAssignment.notebooks).selectinload(api.SubmittedNotebook.grades)
        query = select(api.SubmittedAssignment).where(api.SubmittedAssignment.assignment_id == assignment.id)
        submissions = {s.student_id: s for s in session.scalars(query.options(grades.selectinload(api.Grade.cell)))}
        for student in everyone:
            yield _row(assignment, student, submissions.get(student.id), newest.get(student.id))


def _row(assignment: Any, student: Any, submission: Any, entry: Entry | None) -> Row:
    notebooks = submission.notebooks if submission is not None else []
    grades = [grade for notebook in notebooks for grade in notebook.grades]
    return Row(
        assignment=assignment.name,
        duedate=assignment.duedate,
        timestamp=submission.timestamp if submission is not None else None,
        student_id=student.id,
        last_name=student.last_name,
        first_name=student.first_name,
        email=student.email,
        lms_user_id=student.lms_user_id,
        submitted=submission is not None,
        raw_score=sum(grade.score for grade in grades),
        late_submission_penalty=sum(notebook.late_submission_penalty or 0.0 for notebook in notebooks),
        max_score=assignment.max_score,
        cells=tuple(
            CellScore(
                cell=grade.cell.name,
                score=grade.score,
                max_score=grade.cell.max_score,
                auto_score=grade.auto_score,
                manual_score=grade.manual_score,
                extra_credit=grade.extra_credit,
                needs_manual_grade=bool(grade.needs_manual_grade),
            )
            for grade in grades
        ),
        problem=entry.error if entry is not None else None,
    )


def _nbgrader(found: Sequence[Row]) -> str:
    header = [*NBGRADER_COLUMNS, "problem"]
    return _csv(header, ([_shown(getattr(row, name)) for name in header] for row in found))


def _json(found: Sequence[Row]) -> str:
    return json.dumps([{**asdict(row), "score": row.score} for row in found], indent=1, default=_shown) + "\n"


def _canvas(found: Sequence[Row]) -> str:
    names = list(dict.fromkeys(row.assignment for row in found))
    worth = {row.assignment: row.max_score for row in found}
    lines: dict[str, list[object]] = {}
    for row in found:
        line = lines.setdefault(row.student_id, [_full_name(row), row.lms_user_id, row.student_id, None])
        line.append(row.score if row.submitted else None)  # empty: Canvas leaves the grade as it is
    possible: list[object] = ["    Points Possible", None, None, None, *(worth[name] for name in names)]
    return _csv(["Student", "ID", "SIS Login ID", "Section", *names], [possible, *lines.values()])


def _moodle(found: Sequence[Row]) -> str:
    header = ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Feedback comments"]
    return _csv(
        header,
        (
            [
                f"Participant {row.lms_user_id}" if row.lms_user_id else row.student_id,
                _full_name(row),
                row.email,
                "Submitted for grading" if row.submitted else "No submission",
                row.score if row.submitted else None,
                row.max_score,
                row.problem,
            ]
            for row in found
        ),
    )


def _full_name(row: Row) -> str:
    return ", ".join(part for part in (row.last_name, row.first_name) if part) or row.student_id


def _csv(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([guarded(value) for value in line] for line in lines)
    return text.getvalue()


def _shown(value: object) -> object:
    return str(value) if isinstance(value, datetime) else value

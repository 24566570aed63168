"""One submission's rows in nbgrader's gradebook: student, submission, grades, comments, late penalty.

What people entered in the formgrader (manual scores, extra credit, comments, flags) is never changed. A cell with a manual
score is only put back on the list of cells to grade by hand when its exercise's text or its automatic score has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nbformat import NotebookNode
from nbgrader import api, utils
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coursekit.grading.recording.registering import add_rows

Penalty = Callable[
    [float, datetime | None, datetime | None], float | None
]  # of a score, a due date, a time of submission


@dataclass(frozen=True)
class Rows:
    """What one submission's notebook says about its cells, by grade_id.

    `scores` are the automatic ones (None: a person has to grade the cell), `comments` nbgrader's automatic ones; `changed`
    holds the graded cells whose exercise reads differently from the one that was graded before.
    """

    student: str
    timestamp: datetime | None
    scores: Mapping[str, float | None]
    comments: Mapping[str, str | None]
    changed: frozenset[str]


def read_rows(notebook: NotebookNode, student: str, timestamp: datetime | None, changed: frozenset[str]) -> Rows:
    """The rows of a graded notebook, by the rules of nbgrader's own `SaveAutoGrades`."""
    scores = {c.metadata.nbgrader["grade_id"]: utils.determine_grade(c)[0] for c in notebook.cells if utils.is_grade(c)}
    comments: dict[str, str | None] = {}
    for cell in notebook.cells:
        if utils.is_solution(cell) or utils.is_task(cell):
            data = cell.metadata.nbgrader
            untouched = not utils.is_task(cell) and data.get("checksum") == utils.compute_checksum(cell)
            comments[data["grade_id"]] = "No response." if untouched else None
    return Rows(student, timestamp, scores, comments, changed)


def save(session: Session, assignment_name: str, rows: Rows, penalty: Penalty) -> tuple[float, float, float | None]:
    """Write the rows; returns the sum of the automatic scores and the late penalty."""
    assignment = session.scalars(select(api.Assignment).where(api.Assignment.name == assignment_name)).one()
    if session.get(api.Student, rows.student) is None:
        session.add(api.Student(id=rows.student))
        session.flush()
    submission = session.scalar(
        select(api.SubmittedAssignment).where(
            api.SubmittedAssignment.assignment_id == assignment.id, api.SubmittedAssignment.student_id == rows.student
        )
    )
    if submission is None:
        submission = api.SubmittedAssignment(assignment_id=assignment.id, student_id=rows.student)
        session.add(submission)
    submission.timestamp = rows.timestamp
    session.flush()
    submitted = _notebook(session, submission, assignment)
    for grade in submitted.grades:
        if isinstance(grade.cell, api.GradeCell):
            _grade(grade, rows)
    for comment in submitted.comments:
        comment.auto_comment = rows.comments.get(comment.cell.name)
    due = assignment.duedate
    if due is not None and submission.extension is not None:
        due += submission.extension
    submitted.late_submission_penalty = penalty(sum(map(_score, submitted.grades)), due, rows.timestamp)
    automatic = sum(grade.auto_score or 0.0 for grade in submitted.grades)
    return automatic, sum(map(_score, submitted.grades)), submitted.late_submission_penalty


def refresh_penalties(session: Session, assignment_name: str, penalty: Penalty) -> None:
    """Compute every late penalty of an assignment again: due date, policy, extensions or manual scores may have changed."""
    found = session.execute(
        select(api.SubmittedNotebook, api.SubmittedAssignment, api.SubmittedNotebook.score, api.Assignment.duedate)
        .join(api.SubmittedAssignment, api.SubmittedNotebook.assignment_id == api.SubmittedAssignment.id)
        .join(api.Assignment, api.SubmittedAssignment.assignment_id == api.Assignment.id)
        .where(api.Assignment.name == assignment_name)
    )
    for submitted, submission, score, due in found.all():
        if due is not None and submission.extension is not None:
            due += submission.extension
        submitted.late_submission_penalty = penalty(score, due, submission.timestamp)


def automatic_points(session: Session, assignment_name: str) -> dict[str, float]:
    """The sum of the automatic scores of every student who has a submission of the assignment."""
    found = session.execute(
        select(api.SubmittedAssignment.student_id, func.coalesce(func.sum(api.Grade.auto_score), 0.0))
        .join(api.Assignment, api.SubmittedAssignment.assignment_id == api.Assignment.id)
        .join(api.SubmittedNotebook, api.SubmittedNotebook.assignment_id == api.SubmittedAssignment.id)
        .join(api.Grade, api.Grade.notebook_id == api.SubmittedNotebook.id)
        .where(api.Assignment.name == assignment_name)
        .group_by(api.SubmittedAssignment.student_id)
    )
    return {student: float(points) for student, points in found.all()}


def _notebook(session: Session, submission: Any, assignment: Any) -> Any:
    """The submitted notebook with a row for every cell, as nbgrader's `add_submission` makes them."""
    (notebook,) = (n for n in assignment.notebooks if n.name == assignment.name)
    submitted = next((s for s in submission.notebooks if s.notebook_id == notebook.id), None)
    if submitted is None:
        submitted = api.SubmittedNotebook(notebook=notebook, assignment=submission)
        session.add(submitted)
    have = {row.cell_id for row in (*submitted.grades, *submitted.comments)}
    for cell in notebook._base_cells:
        if cell.id not in have:
            add_rows(session, submitted, cell)
    session.flush()
    session.expire(submitted)
    return submitted


def _grade(grade: Any, rows: Rows) -> None:
    before, name = grade.auto_score, grade.cell.name
    grade.auto_score = rows.scores.get(name, 0.0)  # a cell that the notebook lacks earns nothing
    if grade.manual_score is None:
        grade.needs_manual_grade = grade.auto_score is None
    elif name in rows.changed or before != grade.auto_score:
        grade.needs_manual_grade = True


def _score(grade: Any) -> float:
    """What nbgrader counts: the manual score before the automatic one, and extra credit on top of either."""
    points = grade.auto_score if grade.manual_score is None else grade.manual_score
    return 0.0 if points is None else points + (grade.extra_credit or 0.0)

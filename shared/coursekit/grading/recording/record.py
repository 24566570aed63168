"""Grades into nbgrader's gradebook and folders: the only writer of both.

A submission is recorded in this order: its files are written beside their place; one transaction on the gradebook; the files are
put in place; a row in the audit says that it is done. Killed at any point, nothing is half-written, and what lacks its row in
the audit is graded and recorded again by the next run, with the same result.

A rejected file (one that could not be graded) is recorded with 0 points and its reason, unless the student has a grade from
an earlier file: then that grade, its notebook and its time stay as they are, and only the audit (and with it feedback,
exports and reports) says that the newer file was rejected. A broken upload never takes away points that were earned.
"""

from __future__ import annotations

import json
import math
import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Literal, Self

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from traitlets.config import Config

from coursekit import __version__, manifest, notebooks, settings
from coursekit.errors import GradingError
from coursekit.grading.nbgrader_settings import configure
from coursekit.grading.recording import (
    autograded,
    environment,
    gradebooks,
    late,
    registering,
    scoring,
    submitting,
    timestamps,
)
from coursekit.grading.recording.audit import FILE_NAME, Audit, Entry
from coursekit.grading.recording.environment import hash_of
from coursekit.grading.recording.locking import only_grader
from coursekit.grading.recording.transactions import PATIENCE_SECONDS, GradebookFile
from coursekit.grading.results import CheckGrade, Finding, Grade


@dataclass(frozen=True)
class SubmissionInfo:
    """What is known about a submission before it is graded; `key` changes with everything that its grade depends on."""

    student: str
    digest: str
    key: str
    timestamp: datetime | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """What became of one grade. `kept`: the file was rejected, an earlier file's grade stands. `failed`: nothing was recorded.

    `points` are the automatic ones, `score` has those given by hand in it; the penalty is taken off neither.
    """

    student: str
    status: Literal["graded", "rejected", "kept", "failed"]
    points: float = 0.0
    max_points: float = 0.0
    penalty: float | None = None
    message: str = ""
    findings: tuple[Finding, ...] = ()
    score: float | None = None


class Recorder:
    """Use as a context manager; call `register` first, then `submission`, `is_done` and `record` for each submission.

    Args:
        isolation: how strongly submissions are isolated in this run; part of every key, so that another strength grades again.
        what: the command, for the audit.
        patience_seconds: how long a locked gradebook is waited for, per submission.

    Raises:
        GradingError: (on entering) another grader is at work in this grading folder.
    """

    def __init__(
        self,
        where: settings.Settings,
        course: manifest.Manifest,
        module: manifest.Module,
        *,
        isolation: str = "",
        what: str = "grade",
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._where, self._course, self._module = where, course, module
        self._isolation, self._what, self._patience = isolation, what, patience_seconds
        self._stack = ExitStack()
        self._turn = threading.Lock()
        self._registered: NotebookNode | None = None
        self._done: set[str] = set()

    def __enter__(self) -> Self:
        grading = self._where.grading_dir
        with ExitStack() as stack:
            stack.enter_context(only_grader(grading / "grading.lock"))
            self._config = configure(Config(), grading)
            if not (grading / "gradebook.db").exists():
                gradebooks.ensure(self._where, grading / "gradebook.new.db")
                os.replace(grading / "gradebook.new.db", grading / "gradebook.db")
            self._book = GradebookFile(self._config.CourseDirectory.db_url, self._patience)
            stack.callback(self._book.close)
            self._audit = Audit(grading / FILE_NAME)
            stack.callback(self._audit.close)
            autograded.repair(grading, self._module.id)
            self._environment = environment.fingerprint(self._where, self._course, self._module, self._isolation)
            self._run = self._audit.begin_run(self._module.id, self._what, __version__)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self._audit.end_run(self._run, interrupted=kind is not None)

    def register(self) -> None:
        """Make or update the module's assignment, cells, points and due date in the gradebook, and every late penalty.

        Raises:
            GradingError: the source is missing, nbgrader does not accept it, or work done by hand would be lost.
        """
        source = self._where.solution(self._module.id)
        notebooks.read(source)
        registered = registering.prepare(source, self._config)
        due = self._course.due_utc(self._module)
        registration = registering.Registration(self._module.id, self._course.package, due, registered)

        self._book.transact(lambda session: registering.save(session, registration))
        self._book.transact(lambda session: submitting.refresh_penalties(session, self._module.id, self._penalty))
        points = self._book.transact(lambda session: submitting.automatic_points(session, self._module.id))
        self._registered = registered
        self._done = {
            key
            for student, (key, recorded) in self._audit.keys(self._module.id).items()
            if student in points
            and math.isclose(points[student], recorded, abs_tol=1e-6)
            and autograded.path_of(self._where.grading_dir, student, self._module.id).is_file()
        }

    def submission(self, student: str, digest: str) -> SubmissionInfo:
        """Look at a student's submission: its time, and the key of what its grade depends on; `digest` is its file's hash."""
        timestamp, findings = timestamps.read(self._where.grading_dir / "submitted" / student / self._module.id)
        parts = [student, self._module.id, digest, str(timestamp), self._environment]
        return SubmissionInfo(student, digest, hash_of(parts), timestamp, findings)

    def is_done(self, key: str) -> bool:
        """Does gradebook, folder and audit hold the result for this key? Then there is nothing to do: call `skip`."""
        return key in self._done

    def skip(self) -> None:
        """Count a submission that is done already."""
        with self._turn:
            self._audit.count(self._run, "skipped")

    def record(self, grade: Grade, submission: SubmissionInfo) -> Recorded:
        """Record one grade; never raises for what is wrong with one submission, so that the others go on."""
        with self._turn:
            try:
                recorded = self._record(grade, submission)
            except Exception as error:  # noqa: BLE001  whatever is wrong with one submission must not cost another one
                reason = str(error) if isinstance(error, GradingError) else f"{type(error).__name__}: {error}"
                self._audit.count(self._run, "failed")
                return Recorded(submission.student, "failed", message=f"{submission.student} is not recorded: {reason}")
            self._done.add(submission.key)
            return recorded

    def _record(self, grade: Grade, submission: SubmissionInfo) -> Recorded:
        if self._registered is None:
            raise GradingError("call register() before record().")
        student = submission.student
        if grade.student != student or grade.module_id != self._module.id:
            raise GradingError(f"the grade is of {grade.student}/{grade.module_id}, the submission of {student}.")
        if not student.isprintable() or student.startswith(".") or "/" in student:
            raise GradingError("nbgrader cannot use this name of a student. Rename the folder in submitted/.")
        registered = NotebookNode(nbformat.from_dict(self._registered))
        error = grade.error or (None if grade.notebook else "the grader returned no notebook; please report this")
        error = error.encode("utf-8", "replace").decode() if error else None
        before = autograded.read(self._where.grading_dir, student, self._module.id)
        findings = (*submission.findings, *grade.findings)
        graded = [cell for cell in registered.cells if utils.is_grade(cell) or utils.is_task(cell)]
        maximum = sum(float(cell.metadata.nbgrader["points"]) for cell in graded)
        if error and before is not None and autograded.REJECTED not in before.metadata:
            points = self._book.transact(lambda session: submitting.automatic_points(session, self._module.id))
            if student in points:
                self._note(grade, submission, points[student], maximum, error, findings, ())
                return Recorded(student, "kept", points[student], maximum, None, error, findings)
        if error:
            notebook = autograded.rejection(registered, error)
            checks: tuple[CheckGrade, ...] = ()
        else:
            settled, corrected = scoring.settle(grade.checks, registered)
            findings, checks = (*findings, *corrected), tuple(settled.values())
            released = {cell.source for cell in registered.cells if cell.cell_type != "code"}
            notebook = autograded.compose(_read(grade.notebook or ""), registered, released, settled)
        rows = submitting.read_rows(notebook, student, submission.timestamp, _changed(before, notebook))
        target = autograded.path_of(self._where.grading_dir, student, self._module.id).parent
        autograded.stage(target, notebook, submission.timestamp)
        points_now, score, penalty = self._book.transact(
            lambda session: submitting.save(session, self._module.id, rows, self._penalty)
        )
        autograded.publish(target)
        self._note(grade, submission, points_now, maximum, error, findings, checks)
        status: Literal["graded", "rejected"] = "rejected" if error else "graded"
        return Recorded(student, status, points_now, maximum, penalty, error or "", findings, score)

    def _note(
        self,
        grade: Grade,
        submission: SubmissionInfo,
        points: float,
        max_points: float,
        error: str | None,
        findings: tuple[Finding, ...],
        checks: tuple[CheckGrade, ...],
    ) -> None:
        entry = Entry(
            student=submission.student,
            module=self._module.id,
            digest=submission.digest,
            key=submission.key,
            points=points,
            max_points=max_points,
            error=error,
            isolation=grade.isolation,
            seconds=grade.seconds,
            findings=findings,
            checks=checks,
        )
        self._audit.add(self._run, entry)

    def _penalty(self, score: float, due: datetime | None, submitted: datetime | None) -> float | None:
        return late.penalty_at(score, due, submitted, self._course.grading.time_zone, self._course.grading.late)


def _read(text: str) -> NotebookNode:
    """A notebook from its JSON; halves of surrogate pairs, which no file or database takes, become question marks."""
    clean = json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "replace").decode()
    return nbformat.reads(clean, as_version=4)


def _changed(before: NotebookNode | None, now: NotebookNode) -> frozenset[str]:
    """The graded cells whose exercise's text is not the one of the notebook graded before."""
    exercises = notebooks.exercises(now)
    texts = [
        {notebooks.grade_id(cell): cell.source for cell in notebook.cells if notebooks.is_solution(cell)}
        for notebook in (before or NotebookNode(cells=[]), now)
    ]
    return frozenset(
        cell
        for cell, exercise in exercises.items()
        if before is None or texts[0].get(exercise) != texts[1].get(exercise)
    )

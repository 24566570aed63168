"""Grading many submissions: each at a station, results taken by one writer as they come.

`grade_course` grades what lies under `.course/grading/submitted/` into the course's gradebook; `grade_apart` grades files and
records nothing (`course check`, the tests of the checks). Both run the same code per submission.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from coursekit import manifest, settings
from coursekit.errors import GradingError
from coursekit.grading.cluster import over_dask
from coursekit.grading.intake import reading as intake
from coursekit.grading.isolation import backends
from coursekit.grading.recording.record import Recorded, Recorder
from coursekit.grading.results import CheckGrade, Finding, Grade
from coursekit.grading.schedulers import Scheduler, local
from coursekit.grading.station import Submitted

__all__ = ["CheckGrade", "Finding", "Grade", "Report", "grade_apart", "grade_course", "submitted_students"]


@dataclass(frozen=True)
class Report:
    """What became of one submission in a run: its grade (None: it was done already) and how it was recorded."""

    student: str
    grade: Grade | None
    recorded: Recorded | None


def submitted_students(where: settings.Settings, module: manifest.Module) -> list[str]:
    """Who has submitted the module, in alphabetical order."""
    folders = (where.grading_dir / "submitted").glob(f"*/{module.id}")
    return sorted(path.parent.name for path in folders)


def grade_course(
    where: settings.Settings,
    course: manifest.Manifest,
    module: manifest.Module,
    students: Sequence[str] = (),
    *,
    isolation: str = backends.AUTO,
    workers: int | None = None,
    scheduler: str | None = None,
    again: bool = False,
    on_grade: Callable[[Report], None] = lambda report: None,
) -> list[Report]:
    """Grade submissions into the course's gradebook; what is graded already, with the same inputs, is skipped.

    Args:
        students: only these; empty means everybody who has submitted.
        isolation: "auto", or the name of a backend.
        workers: submissions at the same time (default: as course.yml says).
        scheduler: the address of a Dask scheduler, to grade on its workers.
        again: grade everything again.
        on_grade: called after each submission, in the order in which they end, with the graded notebook; the reports that
            are returned are without it.

    Raises:
        GradingError: nobody has submitted, a named student has not, another grader is at work, the isolation does not
            work here, or the solution is missing.
    """
    have = submitted_students(where, module)
    if not have:
        raise GradingError(
            f"nobody has submitted {module.id}. Put each notebook at "
            f"{where.grading_dir / 'submitted' / '<student>' / module.id / (module.id + '.ipynb')}."
        )
    if missing := sorted(set(students) - set(have)):
        raise GradingError(f"no submission of {module.id} by {', '.join(missing)}. There are: {', '.join(have)}.")
    reports: list[Report] = []

    def done(report: Report) -> None:
        on_grade(report)
        slim = None if report.grade is None else replace(report.grade, notebook=None)  # a class's notebooks fill memory
        reports.append(replace(report, grade=slim))

    strength = isolation if scheduler else backends.choose(isolation).name
    with Recorder(where, course, module, isolation=strength, what=f"course grade {module.short}") as recorder:
        recorder.register()
        infos = {}

        def waiting() -> Iterator[Submitted]:
            for student in students or have:
                submitted = _pick_up(where, module, student)
                digest = hashlib.sha256(submitted.data).hexdigest() if submitted.data is not None else ""
                infos[student] = recorder.submission(student, digest)
                if recorder.is_done(infos[student].key) and not again:
                    recorder.skip()
                    done(Report(student, None, None))
                else:
                    yield submitted

        with _scheduler(where, course, module, isolation, workers, scheduler) as run:
            for grade in run(waiting()):
                done(Report(grade.student, grade, recorder.record(grade, infos.pop(grade.student))))
    return reports


def grade_apart(
    where: settings.Settings,
    course: manifest.Manifest,
    module: manifest.Module,
    submissions: Mapping[str, Path],
    *,
    only: Mapping[str, Collection[str]] | None = None,
    isolation: str = backends.AUTO,
    workers: int = 1,
    on_grade: Callable[[Grade], None] = lambda grade: None,
) -> dict[str, Grade]:
    """Grade notebook files without recording anything.

    Args:
        submissions: files by name.
        only: the ids of the checks to run, by name; where a name is missing, all of them.

    Raises:
        GradingError: the module's solution is not in this checkout, or the isolation does not work here.
    """
    if not (where.solutions_dir / module.id).is_dir():
        raise GradingError(
            f"{where.solutions_dir / module.id} is missing: hidden tests can only be run where the solutions are. "
            "Here, run the notebook's own check cells and hand it in."
        )
    grades = {}
    chosen = {name: frozenset(checks) for name, checks in (only or {}).items()}
    with _scheduler(where, course, module, isolation, min(workers, len(submissions) or 1), None) as run:
        for grade in run(replace(_read(name, path), only=chosen.get(name)) for name, path in submissions.items()):
            grades[grade.student] = grade
            on_grade(grade)
    return {name: grades[name] for name in submissions}


def _pick_up(where: settings.Settings, module: manifest.Module, student: str) -> Submitted:
    folder = where.grading_dir / "submitted" / student / module.id
    path = intake.find_submission(folder, module.id)
    return _read(student, path or folder / f"{module.id}.ipynb")


def _read(name: str, path: Path) -> Submitted:
    data = intake.contents(path)
    return Submitted(name, data) if isinstance(data, bytes) else Submitted(name, None, data)


@contextmanager
def _scheduler(
    where: settings.Settings,
    course: manifest.Manifest,
    module: manifest.Module,
    isolation: str,
    workers: int | None,
    address: str | None,
) -> Iterator[Scheduler]:
    if address is not None:
        with over_dask(address, where, course, module, isolation) as run:
            yield run
        return
    backend = backends.choose(isolation)
    with local(where, course, module, backend, workers or course.grading.workers) as run:
        yield run

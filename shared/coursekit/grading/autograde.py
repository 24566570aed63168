"""nbgrader's autograder, one submission at a time: into the course's gradebook, or into one that is thrown away.

The learner's notebook runs in a kernel with the rights of whoever grades it: grade only people you trust this way.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from traitlets.config import Config

from coursekit import manifest, notebooks, settings
from coursekit.errors import CourseError, GradingError
from coursekit.grading import gradebooks
from coursekit.grading.nbgrader_settings import configure
from coursekit.grading.release import generate_assignment, log_reason

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class CheckGrade:
    """One check of one submission: points earned and possible, and the message of the failure if it failed."""

    check_id: str
    points: float
    max_points: float
    message: str = ""

    @property
    def passed(self) -> bool:
        return self.points >= self.max_points


@dataclass(frozen=True)
class Grade:
    """One submission's result; `error` says why there is none."""

    student: str
    module_id: str
    checks: tuple[CheckGrade, ...] = ()
    error: str | None = None

    @property
    def points(self) -> float:
        return sum(check.points for check in self.checks)

    @property
    def max_points(self) -> float:
        return sum(check.max_points for check in self.checks)

    @property
    def failed_checks(self) -> frozenset[str]:
        return frozenset(check.check_id for check in self.checks if not check.passed)


def submitted_students(where: settings.Settings, module: manifest.Module) -> list[str]:
    """Who has submitted the module, in alphabetical order."""
    return sorted(
        path.parent.name for path in (where.grading_dir / "submitted").glob(f"*/{module.id}") if path.is_dir()
    )


def grade_course(
    where: settings.Settings,
    module: manifest.Module,
    students: Sequence[str],
    on_grade: Callable[[Grade], None] = lambda grade: None,
) -> list[Grade]:
    """Autograde submissions under `.course/grading/submitted/` into the course's gradebook, one after the other.

    Raises:
        GradingError: nobody has submitted, or a named student has not.
    """
    have = submitted_students(where, module)
    if not have:
        raise GradingError(
            f"nobody has submitted {module.id}. Put each notebook at "
            f"{where.grading_dir / 'submitted' / '<student>' / module.id / (module.id + '.ipynb')}."
        )
    if missing := sorted(set(students) - set(have)):
        raise GradingError(f"no submission of {module.id} by {', '.join(missing)}. There are: {', '.join(have)}.")
    config = configure(Config(), where.grading_dir)
    grades = []
    _keep_database(module)
    for student in students or have:
        grades.append(_autograde(config, where.grading_dir, module.id, student))
        on_grade(grades[-1])
    return grades


def grade_apart(
    where: settings.Settings,
    module: manifest.Module,
    submissions: Mapping[str, Path],
    *,
    workers: int = 1,
    on_grade: Callable[[Grade], None] = lambda grade: None,
) -> list[Grade]:
    """Autograde notebooks with gradebooks that are thrown away; `submissions` maps a name to a notebook file.

    Each worker is a process with a grading folder of its own, so nothing is shared but the database server.

    Raises:
        GradingError: the module's solution is not in this checkout, or nbgrader cannot use it.
    """
    if not (where.solutions_dir / module.id).is_dir():
        raise GradingError(
            f"{where.solutions_dir / module.id} is missing: hidden tests can only be run where the solutions are. "
            "Here, run the notebook's own check cells and hand it in."
        )
    names = list(submissions)
    shares = [{name: submissions[name] for name in names[i::workers]} for i in range(min(workers, len(names)))]
    _keep_database(module)
    if len(shares) <= 1:
        return [grade for share in shares for grade in _grade_share(str(where.root), module.id, share, on_grade)]
    with ProcessPoolExecutor(len(shares), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_grade_share, str(where.root), module.id, share) for share in shares]
        grades = {grade.student: grade for future in futures for grade in future.result()}
    for name in names:
        on_grade(grades[name])
    return [grades[name] for name in names]


def _grade_share(
    root: str, module_id: str, share: Mapping[str, Path], on_grade: Callable[[Grade], None] = lambda grade: None
) -> list[Grade]:
    where = settings.load({**os.environ, "COURSE_ROOT": root})
    module = manifest.load(where.root).module(module_id)
    base = where.state_dir / "apart"
    base.mkdir(parents=True, exist_ok=True)
    grades = []
    with tempfile.TemporaryDirectory(prefix="grading-", dir=base) as folder:
        grading = Path(folder)
        gradebooks.ensure(where, grading / "gradebook.db")
        config = configure(Config(), grading, grading / "release")
        generate_assignment(config, module.id)
        for name, path in share.items():
            target = grading / "submitted" / name / module.id / f"{module.id}.ipynb"
            target.parent.mkdir(parents=True)
            shutil.copyfile(path, target)
            grades.append(_autograde(config, grading, module.id, name))
            on_grade(grades[-1])
    return grades


def _autograde(config: Config, grading: Path, module_id: str, student: str) -> Grade:
    from nbgrader.apps import NbGraderAPI

    try:
        notebooks.read(grading / "submitted" / student / module_id / f"{module_id}.ipynb")
    except CourseError as error:
        return Grade(student, module_id, error=str(error))
    result = NbGraderAPI(config=config).autograde(module_id, student, force=True, create=True)
    if not result["success"]:
        return Grade(student, module_id, error=log_reason(result))
    graded = notebooks.read(grading / "autograded" / student / module_id / f"{module_id}.ipynb")
    return Grade(student, module_id, tuple(_check_grades(graded)))


def _check_grades(graded: notebooks.NotebookNode) -> list[CheckGrade]:
    from nbgrader.utils import determine_grade

    grades = []
    for cell in graded.cells:
        if notebooks.is_test(cell):
            points, maximum = determine_grade(cell)
            grades.append(CheckGrade(str(notebooks.grade_id(cell)), points or 0.0, maximum, failure_message(cell)))
    return grades


def failure_message(cell: notebooks.NotebookNode) -> str:
    """What a failed check cell said: its error in our five-line form, or the exception's name and message."""
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            text = "\n".join(output.traceback) if output.ename == "CheckFailed" else f"{output.ename}: {output.evalue}"
            return _ANSI.sub("", text).strip()
        if output.output_type == "stream" and output.name == "stderr":
            return f"wrote to stderr, which nbgrader scores as 0: {output.text.strip():.200}"
    return ""


def _keep_database(module: manifest.Module) -> None:
    """Start the embedded Postgres in this process, so that it outlives the kernels that come and go."""
    if module.database:
        from coursekit import database

        database.server_url()

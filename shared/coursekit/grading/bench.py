"""`course bench grading`: the same submissions graded by stock nbgrader and by this grader, one after the other, in one run.

Stock nbgrader 0.9 grades one submission after the other in a kernel of its own, as `nbgrader autograde` does. It is timed
on a sample, after one submission that warms it up; our runs are timed whole, with the start of their processes. Every
submission is graded as learners hand it in (whole), and as `course grade` would cut it itself (trimmed: only the cells
that points depend on): the first ratio is what an instructor sees, the second leaves out what skipping cells gives.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from coursekit import manifest, notebooks, settings
from coursekit.errors import GradingError
from coursekit.grading import autograde, stock
from coursekit.grading.isolation import backends
from coursekit.grading.memory import Sampler
from coursekit.grading.rebuilding.rebuild import rebuild
from coursekit.grading.results import Grade

NAMES = {"whole": "as handed in", "trimmed": "trimmed"}


@dataclass(frozen=True)
class GradingRow:
    """One way of grading. `ratio`: how many times longer stock nbgrader takes for the same kind of submission.

    `cpu_each` is processor time of the grader and all its processes, in seconds; a busy machine changes it little.

    `memory_mb` is the peak of all the grader's child processes (proportional set size), divided by the workers.
    `same` counts the submissions of the stock sample that got the same points.
    """

    how: str
    kind: str
    submissions: int
    seconds_each: float
    cpu_each: float
    ratio: float
    memory_mb: float | None
    same: str


def measure_grading(
    where: settings.Settings,
    course: manifest.Manifest,
    module: manifest.Module,
    *,
    submissions: int = 40,
    sample: int = 4,
    workers: int | None = None,
    isolations: tuple[str, ...] = (backends.AUTO, "plain"),
    say: Callable[[str], None] = lambda text: None,
) -> list[GradingRow]:
    """Grade the same submissions in every way; `sample` of them, evenly spread, by stock nbgrader.

    Raises:
        GradingError: the module's solution or release is missing, or an isolation does not work here.
    """
    chosen = dict.fromkeys(backends.choose(name) for name in isolations)
    workers = workers or course.grading.workers
    rows = []
    with tempfile.TemporaryDirectory(prefix="course-bench-") as folder, _quiet():
        for kind, files in make_submissions(where, module, submissions, Path(folder)).items():
            picked = list(files)[:: max(len(files) // sample, 1)][:sample]
            say(f"stock nbgrader, {NAMES[kind]}: {len(picked)} of {len(files)} submissions")
            seconds, cpu, stock_grades = _stock(where, module, {name: files[name] for name in picked})
            rows.append(GradingRow("stock nbgrader", NAMES[kind], len(picked), seconds, cpu, 1.0, None, ""))
            for backend in chosen:
                say(
                    f"course grade --isolation {backend.name} --workers {workers}, {NAMES[kind]}: {len(files)} submissions"
                )
                with Sampler() as memory:
                    started, busy = time.monotonic(), _cpu_seconds()
                    grades = autograde.grade_apart(
                        where, course, module, files, isolation=backend.name, workers=workers
                    )
                    each, cpu = (time.monotonic() - started) / len(files), (_cpu_seconds() - busy) / len(files)
                same = sum(grades[name].points == stock_grades[name].points for name in picked)
                how = f"course grade, {backend.name}, {workers} workers"
                peak = memory.peak_mb / workers
                row = GradingRow(how, NAMES[kind], len(files), each, cpu, seconds / each, peak, f"{same}/{len(picked)}")
                rows.append(row)
    return rows


def _stock(
    where: settings.Settings, module: manifest.Module, files: Mapping[str, Path]
) -> tuple[float, float, dict[str, Grade]]:
    """Seconds and processor seconds per submission, and grades; the first one is graded twice, and only the second time counts."""
    first = next(iter(files))
    grading = stock.grade(where, module, {"warm-up": files[first], **files})
    next(grading)
    started, busy = time.monotonic(), _cpu_seconds()
    grades = {grade.student: grade for grade in grading}
    return (time.monotonic() - started) / len(files), (_cpu_seconds() - busy) / len(files), grades


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def make_submissions(
    where: settings.Settings, module: manifest.Module, number: int, folder: Path
) -> dict[str, dict[str, Path]]:
    """Write so many submissions, whole and trimmed: the solved release, with one answer of another learner in each.

    The answers are those under `tests/submissions/<module>/` if there are any; else an exercise is left unsolved.
    """
    import nbformat

    source = notebooks.read(where.solution(module.id))
    release = where.notebooks_dir / module.id / f"{module.id}.ipynb"
    solved = {str(notebooks.grade_id(cell)): cell.source for cell in source.cells if notebooks.is_solution(cell)}
    if not solved:
        raise GradingError(f"{module.id} has no exercise, so there is nothing to measure.")
    answers: list[tuple[str, str | None]] = [*_answers(where, module)] or [(exercise, None) for exercise in solved]
    made: dict[str, dict[str, Path]] = {kind: {} for kind in NAMES}
    for index in range(number):
        name = f"student-{index:04}"
        exercise, answer = answers[index * len(answers) // number if number < len(answers) else index % len(answers)]
        notebook = notebooks.read(release)
        for cell in notebook.cells:
            if notebooks.is_solution(cell):
                own = str(notebooks.grade_id(cell))
                cell.source = solved[own] if own != exercise else answer or cell.source
        needed = {
            step.cell.id
            for step in rebuild(source, notebook, execute="needed").steps
            if step.learner_source is not None or step.judge_source is not None
        }
        for kind in NAMES:
            if kind == "trimmed":
                notebook.cells = [cell for cell in notebook.cells if cell.id in needed]
            path = folder / kind / name / f"{module.id}.ipynb"
            path.parent.mkdir(parents=True)
            nbformat.write(notebook, path)
            made[kind][name] = path
    return made


def _answers(where: settings.Settings, module: manifest.Module) -> Iterator[tuple[str, str]]:
    for path in sorted((where.root / "tests" / "submissions" / module.id).glob("*.yml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        for item in (*data["right"], *data["wrong"]):
            yield data["exercise"], item["code"].strip()


@contextmanager
def _quiet() -> Iterator[None]:
    """nbgrader reports every step; here only the result counts."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)

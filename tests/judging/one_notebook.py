"""A course of one module made of exercises that a test names, and submissions of it with other answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from nbformat import NotebookNode

from coursekit import manifest, settings
from coursekit.grading import autograde
from coursekit.grading.results import CheckGrade, Grade
from tests import notebook_files
from tests.notebook_files import code, nbgrader_metadata

MODULE = "c1_cells"


@dataclass(frozen=True)
class Exercise:
    """A solution cell with a right and a wrong answer, and the check cell below it; `given` stands above both."""

    name: str
    right: str
    wrong: str
    check: str
    points: float = 2
    wrong_points: float = 0
    given: str = ""
    tags: tuple[str, ...] = ()


class Course:
    """Written below `root`, which becomes the course's root."""

    def __init__(self, root: Path, exercises: Sequence[Exercise], limits: Mapping[str, Any] = {}) -> None:  # noqa: B006
        self.root, self.exercises = root, exercises
        module = {
            "id": MODULE, "title": "Cells", "adds": "cells", "objectives": ["Check"], "minutes": 10,
            "points": int(sum(exercise.points for exercise in exercises)), "time_limit_seconds": 60, "database": False,
        }  # fmt: skip
        grading = {"cell_timeout_seconds": 30, "limits": dict(limits)}
        course = {"title": "Cells", "package": "assistant", "grading": grading, "modules": [module]}
        root.mkdir(exist_ok=True)
        (root / "course.yml").write_text(yaml.safe_dump(course), encoding="utf-8")
        answers = {e.name: f"### BEGIN SOLUTION\n{e.right}\n### END SOLUTION" for e in exercises}
        notebook_files.write(root / "solutions" / MODULE / f"{MODULE}.ipynb", self._cells(answers))

    def _cells(self, answers: Mapping[str, str]) -> list[NotebookNode]:
        cells = [code("%load_ext coursekit", "load"), code("from coursekit.checks import Check", "imports")]
        for e in self.exercises:
            if e.given:
                cells.append(code(e.given, f"{e.name}-given", **nbgrader_metadata(f"{e.name}-given", locked=True)))
            cells.append(code(answers[e.name], e.name, **nbgrader_metadata(f"c1-{e.name}", solution=True)))
            metadata = nbgrader_metadata(f"c1-{e.name}-check", points=e.points)
            cells.append(code(e.check, f"{e.name}-check", **metadata, **({"tags": list(e.tags)} if e.tags else {})))
        return cells

    def submission(self, name: str, answers: Mapping[str, str] = {}, *, wrong: bool = False) -> Path:  # noqa: B006
        """A notebook file with these answers; the other exercises are right, or wrong."""
        standard = {e.name: e.wrong if wrong else e.right for e in self.exercises}
        return notebook_files.write(self.root / f"{name}.ipynb", self._cells({**standard, **answers}))

    @property
    def loaded(self) -> tuple[settings.Settings, manifest.Manifest, manifest.Module]:
        where = settings.load({"COURSE_ROOT": str(self.root)})
        course = manifest.load(self.root)
        return where, course, course.modules[0]

    def grade(self, submissions: Mapping[str, Path], isolation: str = "plain") -> dict[str, Grade]:
        """Judged outside."""
        return autograde.grade_apart(*self.loaded, submissions, isolation=isolation)


def check(grade: Grade, name: str) -> CheckGrade:
    """The grade of the exercise's check."""
    assert grade.error is None, grade.error
    return next(found for found in grade.checks if found.check_id == f"c1-{name}-check")

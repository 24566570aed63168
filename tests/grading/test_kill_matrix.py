"""Every check of every module against right and wrong answers, graded as submissions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coursekit import manifest, settings, workspace
from coursekit.grading import autograde
from coursekit.grading.autograde import Grade
from tests import kill_matrix
from tests.conftest import ROOT

MODULES = [module.id for module in manifest.load(ROOT).modules]
MIN_RIGHT, MIN_WRONG = 2, 5


@dataclass(frozen=True)
class Matrix:
    """All grades of one module's answers, by answer id; `reference` and `blank` among them."""

    checks: list[str]
    grades: dict[str, Grade]


@pytest.fixture(scope="module")
def matrices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Matrix]]:
    """Matrices by module, each graded when it is first asked for; printed at the end."""
    graded: dict[str, Matrix] = {}
    yield graded
    for module_id, matrix in graded.items():
        rows = [(name, grade.failed_checks) for name, grade in matrix.grades.items()]
        print(f"\nkill matrix of {module_id}\n{kill_matrix.render(matrix.checks, rows)}")


@pytest.fixture
def matrix(
    request: pytest.FixtureRequest, matrices: dict[str, Matrix], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Matrix:
    module_id = request.param
    if module_id not in matrices:
        monkeypatch.chdir(ROOT)
        where = settings.load()
        module = manifest.load(where.root).module(module_id)
        submissions = {
            answer.id: kill_matrix.build(where, module, answer, tmp_path / f"{answer.id}.ipynb")
            for answer in kill_matrix.load(module_id)
        }
        submissions["reference"] = kill_matrix.build(where, module, None, tmp_path / "reference.ipynb")
        workers = 1 if "PYTEST_XDIST_WORKER" in os.environ else 2  # under xdist the modules are the parallel part
        grades = autograde.grade_apart(where, module, submissions, workers=workers)
        matrices[module_id] = Matrix(
            list(workspace.check_ids(where, module)), {grade.student: grade for grade in grades}
        )
    return matrices[module_id]


def _cases() -> list[object]:
    return [
        pytest.param(module_id, answer, id=answer.id, marks=pytest.mark.xdist_group(module_id))
        for module_id in MODULES
        for answer in kill_matrix.load(module_id)
    ]


@pytest.mark.parametrize(("matrix", "answer"), _cases(), indirect=["matrix"])
def test_an_answer_loses_exactly_the_checks_that_it_should(matrix: Matrix, answer: kill_matrix.Answer) -> None:
    grade = matrix.grades[answer.id]
    assert grade.error is None
    messages = "\n".join(check.message for check in grade.checks if check.message)
    assert grade.failed_checks == answer.fails, f"{answer.mistake}\n{messages}"


@pytest.mark.parametrize(
    "matrix", [pytest.param(m, marks=pytest.mark.xdist_group(m)) for m in MODULES], indirect=True, ids=MODULES
)
def test_the_checks_stand_on_set_up_exports_and_themselves(matrix: Matrix) -> None:
    grade = matrix.grades["reference"]
    assert (grade.error, grade.failed_checks) == (None, frozenset())


@pytest.mark.parametrize("module_id", MODULES)
def test_every_exercise_has_enough_right_and_wrong_answers(
    module_id: str, where: settings.Settings, course: manifest.Manifest
) -> None:
    answers = kill_matrix.load(module_id)
    for exercise in kill_matrix.exercises(where, course.module(module_id)):
        kinds = [answer.kind for answer in answers if answer.exercise == exercise]
        assert kinds.count("right") >= MIN_RIGHT, exercise
        assert kinds.count("wrong") >= MIN_WRONG, exercise
    assert {answer.exercise for answer in answers} <= set(kill_matrix.exercises(where, course.module(module_id)))


@pytest.mark.parametrize("module_id", MODULES)
def test_every_check_is_failed_by_some_wrong_answer(
    module_id: str, where: settings.Settings, course: manifest.Manifest
) -> None:
    killed = frozenset[str]().union(*(answer.fails for answer in kill_matrix.load(module_id)))
    assert killed == set(workspace.check_ids(where, course.module(module_id)))

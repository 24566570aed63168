"""Every check of every module against right and wrong answers, graded as submissions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coursekit import manifest, settings, workspace
from coursekit.grading import autograde, stock
from coursekit.grading.results import Grade
from tests import kill_matrix
from tests.conftest import ROOT

MODULES = [module.id for module in manifest.load(ROOT).modules]
MIN_RIGHT, MIN_WRONG = 2, 5


@dataclass(frozen=True)
class Matrix:
    """The grades of one module's answers, by answer id; the reference's among them."""

    checks: list[str]
    grades: dict[str, Grade]


@pytest.fixture(scope="module")
def matrices() -> Iterator[dict[str, Matrix]]:
    """Matrices by module, each made when it is first asked for; printed at the end."""
    made: dict[str, Matrix] = {}
    yield made
    for module_id, matrix in made.items():
        rows = [(name, grade.failed_checks) for name, grade in matrix.grades.items()]
        print(f"\nkill matrix of {module_id}\n{kill_matrix.render(matrix.checks, rows)}")


@pytest.fixture
def matrix(
    request: pytest.FixtureRequest,
    matrices: dict[str, Matrix],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Matrix:
    module_id = request.param
    if module_id not in matrices:
        monkeypatch.chdir(ROOT)
        where = settings.load()
        module = manifest.load(where.root).module(module_id)
        answers = kill_matrix.load(module_id)
        submissions = {
            answer.id: kill_matrix.build(where, module, [answer], tmp_path / f"{answer.id}.ipynb") for answer in answers
        }
        submissions["reference"] = kill_matrix.build(where, module, [], tmp_path / "reference.ipynb")
        only = {answer.id: kill_matrix.affected(where, module, answer) for answer in answers}
        grades = autograde.grade_apart(where, manifest.load(where.root), module, submissions, only=only, workers=2)
        assert not [grade.error for grade in grades.values() if grade.error]
        matrices[module_id] = Matrix(list(workspace.check_ids(where, module)), grades)
    return matrices[module_id]


def _cases() -> list[object]:
    return [
        pytest.param(module_id, answer, id=answer.id) for module_id in MODULES for answer in kill_matrix.load(module_id)
    ]


@pytest.mark.parametrize(("matrix", "answer"), _cases(), indirect=["matrix"])
def test_an_answer_loses_exactly_the_checks_that_it_should(matrix: Matrix, answer: kill_matrix.Answer) -> None:
    grade = matrix.grades[answer.id]
    said = [check.message for check in grade.checks if not check.passed]
    assert grade.failed_checks == answer.fails, "\n".join([answer.mistake, *said])


@pytest.mark.parametrize("matrix", MODULES, indirect=True, ids=MODULES)
def test_the_checks_stand_on_set_up_exports_and_themselves(matrix: Matrix) -> None:
    assert matrix.grades["reference"].failed_checks == frozenset()


@pytest.mark.parametrize("module_id", MODULES)
def test_stock_nbgrader_agrees(
    module_id: str, tmp_path: Path, where: settings.Settings, course: manifest.Manifest
) -> None:
    module = course.module(module_id)
    first = {(answer.exercise, answer.kind): answer for answer in reversed(kill_matrix.load(module_id))}
    right = [answer for (_, kind), answer in first.items() if kind == "right"]
    wrong = [answer for (_, kind), answer in first.items() if kind == "wrong"]
    cases = {"all right": (right, frozenset[str]())} | {a.id: ([a], a.fails) for a in (wrong[0], wrong[-1])}
    submissions = {
        name: kill_matrix.build(where, module, answers, tmp_path / f"{name}.ipynb")
        for name, (answers, _) in cases.items()
    }
    for grade in stock.grade(where, module, submissions):
        assert (grade.error, grade.failed_checks) == (None, cases[grade.student][1]), grade.student


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

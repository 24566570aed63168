"""Every check of every module against right and wrong answers, graded as submissions."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from coursekit import manifest, settings, workspace
from coursekit.grading import autograde, stock
from tests import kill_matrix
from tests.conftest import ROOT

MODULES = [module.id for module in manifest.load(ROOT).modules]
MIN_RIGHT, MIN_WRONG = 2, 5


@dataclass(frozen=True)
class Verdict:
    """The checks that failed, each with its message."""

    failures: dict[str, str]

    @property
    def failed_checks(self) -> frozenset[str]:
        return frozenset(self.failures)


@dataclass(frozen=True)
class Matrix:
    """The verdicts on one module's answers, by answer id; the reference among them."""

    checks: list[str]
    verdicts: dict[str, Verdict]


@pytest.fixture(scope="module")
def matrices() -> Iterator[dict[str, Matrix]]:
    """Matrices by module, each made when it is first asked for; printed at the end."""
    made: dict[str, Matrix] = {}
    yield made
    for module_id, matrix in made.items():
        rows = [(name, verdict.failed_checks) for name, verdict in matrix.verdicts.items()]
        print(f"\nkill matrix of {module_id}\n{kill_matrix.render(matrix.checks, rows)}")


@pytest.fixture
def matrix(
    request: pytest.FixtureRequest,
    matrices: dict[str, Matrix],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
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
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
        with FileLock(shared / f"{module_id}.lock"):  # parallel test processes make each matrix once
            kept = shared / f"{module_id}.verdicts.json"
            if not kept.exists():
                made = autograde.grade_apart(where, manifest.load(where.root), module, submissions, workers=2)
                assert not [grade.error for grade in made.values() if grade.error]
                failures = {
                    name: {check.check_id: check.message for check in grade.checks if not check.passed}
                    for name, grade in made.items()
                }
                kept.write_text(json.dumps(failures), encoding="utf-8")
            verdicts = {name: Verdict(f) for name, f in json.loads(kept.read_text(encoding="utf-8")).items()}
        matrices[module_id] = Matrix(list(workspace.check_ids(where, module)), verdicts)
    return matrices[module_id]


def _cases() -> list[object]:
    return [
        pytest.param(module_id, answer, id=answer.id) for module_id in MODULES for answer in kill_matrix.load(module_id)
    ]


@pytest.mark.parametrize(("matrix", "answer"), _cases(), indirect=["matrix"])
def test_an_answer_loses_exactly_the_checks_that_it_should(matrix: Matrix, answer: kill_matrix.Answer) -> None:
    verdict = matrix.verdicts[answer.id]
    assert verdict.failed_checks == answer.fails, "\n".join([answer.mistake, *verdict.failures.values()])


@pytest.mark.parametrize("matrix", MODULES, indirect=True, ids=MODULES)
def test_the_checks_stand_on_set_up_exports_and_themselves(matrix: Matrix) -> None:
    assert matrix.verdicts["reference"].failures == {}


@pytest.mark.parametrize("module_id", MODULES)
def test_stock_nbgrader_agrees(
    module_id: str, tmp_path: Path, where: settings.Settings, course: manifest.Manifest
) -> None:
    module = course.module(module_id)
    first = {(a.exercise, a.kind): a for a in reversed(kill_matrix.load(module_id))}
    answers = {answer.id: answer for answer in first.values()}
    submissions = {name: kill_matrix.build(where, module, a, tmp_path / f"{name}.ipynb") for name, a in answers.items()}
    for grade in stock.grade(where, module, submissions):
        assert (grade.error, grade.failed_checks) == (None, answers[grade.student].fails), grade.student


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

"""A foreign course of two modules without a database: released, graded and reported by the same code and by stock nbgrader."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from traitlets.config import Config

from coursekit import manifest, notebooks, settings, workspace
from coursekit.errors import GradingError, NotebookError
from coursekit.grading import autograde, release
from coursekit.grading.isolation import backends
from coursekit.grading.nbgrader_settings import configure
from coursekit.grading.reporting import exports, feedback
from tests import notebook_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(small_course: Callable[..., Path]) -> Path:
    folder = small_course()
    notebook_files.write(folder / "solutions" / "a1_first" / "a1_first.ipynb", notebook_files.first_module())
    notebook_files.write(folder / "solutions" / "a2_second" / "a2_second.ipynb", notebook_files.second_module())
    (folder / "solutions" / "a1_first" / "a1_first.py").write_text("# the twin holds answers: return a + b\n")
    shutil.copyfile(ROOT / "nbgrader_config.py", folder / "nbgrader_config.py")
    return folder


def _course(root: Path) -> tuple[settings.Settings, manifest.Manifest]:
    return settings.load(), manifest.load(root)


def _answer(release_path: Path, target: Path, body: str) -> Path:
    notebook = notebooks.read(release_path)
    for cell in notebook.cells:
        if notebooks.is_solution(cell):
            kept = [line for line in cell.source.splitlines() if "YOUR CODE" not in line and "raise Not" not in line]
            cell.source = "\n".join([*kept, f"    {body}"])
    return notebook_files.write(target, notebook.cells)


def test_a_release_has_stubs_that_name_the_exercise_and_no_answer(root: Path) -> None:
    where, course = _course(root)
    (path,) = release.release(where, course.modules[:1])
    text = path.read_text(encoding="utf-8")
    assert 'NotImplementedError(\\"a1-add is not solved yet\\")' in text
    assert "return a + b" not in text and "HIDDEN" not in text and "42" not in text
    assert [file.name for file in path.parent.iterdir()] == ["a1_first.ipynb"]
    assert release.outdated(where, course.modules[:1]) == []


def test_a_changed_solution_makes_the_release_out_of_date(root: Path) -> None:
    where, course = _course(root)
    release.release(where, course.modules)
    cells = notebook_files.first_module()
    cells.insert(3, notebook_files.code("LIMIT = 3", "extra"))
    notebook_files.write(root / "solutions" / "a1_first" / "a1_first.ipynb", cells)
    assert release.outdated(where, course.modules) == ["a1_first"]


def test_an_answer_that_also_stands_in_the_open_does_not_count_as_a_leak_but_a_copied_one_does(root: Path) -> None:
    where, course = _course(root)
    cells = notebook_files.first_module("total = a + b\n    return total")
    notebook_files.write(root / "solutions" / "a1_first" / "a1_first.ipynb", cells)
    fresh = release.generate(where, course.modules[0], root / "fresh")
    leaking = notebooks.read(fresh)
    leaking.cells.append(notebook_files.code("    total = a + b", "leak"))
    notebook_files.write(fresh, leaking.cells)
    leaks = list(release.find_leaks(root / "solutions" / "a1_first" / "a1_first.ipynb", fresh))
    assert leaks == ["  a line of a solution: total = a + b"]


@pytest.mark.parametrize("isolation", ["plain", "namespaces", "bwrap"])
def test_right_wrong_blank_and_broken_submissions_get_what_they_deserve(root: Path, isolation: str) -> None:
    if problem := backends.unusable(isolation):
        pytest.skip(problem)
    where, course = _course(root)
    module = course.modules[0]
    (blank,) = release.release(where, [module])
    empty = root / "empty.ipynb"
    empty.write_text("")
    submissions: Mapping[str, Path] = {
        "right": _answer(blank, root / "right.ipynb", "return sum((a, b))"),
        "hard-coded": _answer(blank, root / "hard.ipynb", "return 3"),
        "leaning": _answer(blank, root / "leaning.ipynb", "return Check and a + b"),
        "blank": blank,
        "empty": empty,
    }
    grades = autograde.grade_apart(where, course, module, submissions, isolation=isolation)
    assert (grades["right"].points, grades["right"].max_points) == (2, 2)
    assert grades["hard-coded"].points == 0
    assert (
        "hidden test" in grades["hard-coded"].checks[0].message and "42" not in grades["hard-coded"].checks[0].message
    )
    assert grades["leaning"].points == 0  # the file could not be imported: `Check` is the notebook's import
    assert "add" in grades["leaning"].checks[0].message
    assert grades["blank"].points == 0
    assert "a1-add is not solved yet" in grades["blank"].checks[0].message
    assert "The file is empty" in str(grades["empty"].error)


def test_only_the_checks_that_are_asked_for_are_run(root: Path) -> None:
    where, course = _course(root)
    module = course.modules[0]
    (blank,) = release.release(where, [module])
    checks = workspace.checks_of(where, module, ["a1-add"])
    only = {"some": checks[:1], "none": []}
    grades = autograde.grade_apart(where, course, module, {"some": blank, "none": blank, "all": blank}, only=only)
    ran = {name: [check.check_id for check in grade.checks] for name, grade in grades.items()}
    assert ran == {"some": checks[:1], "none": [], "all": list(workspace.check_ids(where, module))}
    with pytest.raises(NotebookError, match="no exercise a1-zero. There are: a1-add"):
        workspace.checks_of(where, module, ["a1-zero"])


def test_a_failed_first_module_does_not_cascade_into_the_second(root: Path) -> None:
    where, course = _course(root)
    blank_first, blank_second = release.release(where, course.modules)
    learner = root / "workspace" / "assistant" / "adding.py"
    learner.parent.mkdir(parents=True)
    learner.write_text("def add(a, b):\n    return 0\n")
    second = _answer(blank_second, root / "second.ipynb", "return add(a, a)")
    assert autograde.grade_apart(where, course, course.modules[1], {"ada": second})["ada"].points == 1
    assert learner.read_text() == "def add(a, b):\n    return 0\n"


def test_the_courses_gradebook_serves_feedback_and_export(root: Path) -> None:
    where, course = _course(root)
    module = course.modules[0]
    (blank,) = release.release(where, [module])
    for student, body in (("ada", "return a + b"), ("bob", "return a - b")):
        _answer(blank, where.grading_dir / "submitted" / student / module.id / f"{module.id}.ipynb", body)
    reports = autograde.grade_course(where, course, module)
    assert {r.student: r.recorded.points for r in reports if r.recorded} == {"ada": 2, "bob": 0}
    pages = [page.path for page in feedback.write(where, module)]
    assert len(pages) == 2 and "1 + 2 = 3" in pages[1].read_text(encoding="utf-8")
    rows = exports.write(where, root / "grades.csv")
    assert rows == 2
    assert "ada" in (root / "grades.csv").read_text(encoding="utf-8")


def test_what_is_missing_is_named_with_the_place_to_put_it(root: Path) -> None:
    where, course = _course(root)
    module = course.modules[0]
    with pytest.raises(GradingError, match="nobody has submitted a1_first"):
        autograde.grade_course(where, course, module)
    with pytest.raises(GradingError, match="course grade a1"):
        feedback.write(where, module)
    with pytest.raises(GradingError, match="no gradebook"):
        exports.write(where, root / "grades.csv")
    (root / "solutions" / "a1_first" / "a1_first.ipynb").write_text("<html>")
    with pytest.raises(Exception, match="not a notebook"):
        release.release(where, [module])


def test_stock_nbgrader_commands_work_from_the_root(root: Path) -> None:
    where, course = _course(root)
    module = course.modules[0]

    def nbgrader(*arguments: str) -> str:
        command = [sys.executable, "-m", "nbgrader", *arguments]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout + done.stderr

    nbgrader("generate_assignment", module.id)
    blank = root / "notebooks" / module.id / f"{module.id}.ipynb"
    own = _answer(blank, where.grading_dir / "submitted" / "ada" / module.id / f"{module.id}.ipynb", "return b + a")
    assert "Success" in nbgrader("validate", str(own))
    nbgrader("autograde", module.id)
    nbgrader("generate_feedback", module.id)
    nbgrader("export", "--to", "grades.csv")
    assert (where.grading_dir / "feedback" / "ada" / module.id / f"{module.id}.html").is_file()
    header, row = (root / "grades.csv").read_text(encoding="utf-8").splitlines()
    record = dict(zip(header.split(","), row.split(","), strict=True))
    assert (record["student_id"], float(record["score"]), float(record["max_score"])) == ("ada", 2, 2)


def test_twins_are_ignored_beside_nbgraders_own_defaults(root: Path) -> None:
    from nbgrader.coursedir import CourseDirectory

    ignored = configure(Config()).CourseDirectory.ignore
    assert "*.py" in ignored
    assert set(CourseDirectory().ignore) <= set(ignored)

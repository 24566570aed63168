"""The judge at work: fatal cells, limits, given cells, missing names, hidden lines, and checks that run inside."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import indent

import pytest

from coursekit.grading.results import Grade
from tests.judging.one_notebook import Course, Exercise, check

LIMITS = {"cell_seconds": 3, "check_seconds": 2, "notebook_seconds": 30, "memory_mb": 300, "disk_mb": 16}
EXERCISES = [
    Exercise(
        "area",
        "def area(w, h): return w * h",
        "def area(w, h): return w + h",
        "assert area(2, 3) == SIX, 'two by three'\n### BEGIN HIDDEN TESTS\nexpected = 4711\nassert area(1, 4711) == expected, f'secret {expected}'\n### END HIDDEN TESTS",
        given="SIX = 6\ndef twice(value): return value * 2",
    ),
    Exercise(
        "perimeter",
        "def perimeter(w, h): return twice(w + h)",
        "def perimeter(w, h): return twice(w * h)",
        "with Check('c1-perimeter-check') as check:\n    check.call(perimeter, 1, 2).equals(6, why='1 + 2 + 1 + 2', hint='twice')",
    ),
    Exercise("last", "def last(): return 'here'", "def last(): return ''", "assert last() == 'here'"),
]
ENDS = {
    "import os\nos._exit(3)": "ended with exit code 3",
    "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)": "ended by signal 11",
    "while True: pass": "its time is over",
}
_BODY = "def area(w, h):\n"
ANSWERS: dict[str, dict[str, str]] = {
    **{f"cell: {why}": {"area": f"def area(w, h): return w * h\n{source}"} for source, why in ENDS.items()},
    **{f"call: {why}": {"area": _BODY + indent(source, "    ")} for source, why in ENDS.items()},
    "memory": {"area": "hoard = []\nwhile True: hoard.append(bytearray(b'x') * 10_000_000)"},
    "failing": {"perimeter": "side = int('four')\ndef perimeter(w, h): return 2 * (w + h)"},
    "unsolved": {"perimeter": "def perimeter(w, h):\n    raise NotImplementedError('c1-perimeter is not solved yet')"},
    "given after": {"last": "SIX = 5\ndef twice(value): return 0\ndef last(): return 'here'"},
    "given before": {"area": "SIX = 5\ndef area(w, h): return w + h"},
    "hidden": {"area": "def area(w, h): return 6"},
    "visible": {"area": "def area(w, h): return 7"},
}


@pytest.fixture(scope="module")
def grades(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Grade]:
    course = Course(tmp_path_factory.mktemp("judge") / "course", EXERCISES, LIMITS)
    return course.grade({name: course.submission(f"s{n}", ANSWERS[name]) for n, name in enumerate(ANSWERS)})


def _points(graded: Grade) -> list[float]:
    return [found.points for found in graded.checks]


@pytest.mark.parametrize("why", ENDS.values())
def test_a_fatal_cell_costs_its_own_checks_only_and_the_reason_is_told(grades: dict[str, Grade], why: str) -> None:
    graded = grades[f"cell: {why}"]
    assert _points(graded) == [0, 2, 2]
    message = check(graded, "area").message
    assert "name 'area' is not defined" in message and "the cell that defines area failed" in message
    assert why in message
    assert any("did not end well" in finding.message for finding in graded.findings)


@pytest.mark.parametrize("why", ENDS.values())
def test_a_function_that_ends_or_hangs_costs_its_own_check_only(grades: dict[str, Grade], why: str) -> None:
    graded = grades[f"call: {why}"]
    assert _points(graded) == [0, 2, 2]
    assert why in check(graded, "area").message


def test_the_notebooks_time_ends_everything_that_is_left(tmp_path: Path) -> None:
    short = Course(tmp_path / "short", EXERCISES, {**LIMITS, "notebook_seconds": 4})
    slow = dict.fromkeys(("area", "perimeter", "last"), "while True: pass")
    graded = short.grade({"it": short.submission("it", slow)})["it"]
    assert graded.points == 0 and graded.error is None
    assert "time is over" in check(graded, "last").message


def test_too_much_memory_ends_the_cell_with_its_limit_named(grades: dict[str, Grade]) -> None:
    graded = grades["memory"]
    assert _points(graded) == [0, 2, 2]
    assert "MemoryError" in check(graded, "area").message or "300 MB" in check(graded, "area").message


def test_a_failing_cell_explains_the_missing_name(grades: dict[str, Grade]) -> None:
    graded = grades["failing"]
    message = check(graded, "perimeter").message
    assert "perimeter" in message and "ValueError: invalid literal for int() with base 10: 'four'" in message
    assert _points(graded) == [2, 0, 2]


def test_an_unsolved_exercise_is_called_so(grades: dict[str, Grade]) -> None:
    assert "c1-perimeter is not solved yet" in check(grades["unsolved"], "perimeter").message


def test_given_cells_are_the_sources_whatever_the_learner_makes_of_them(grades: dict[str, Grade]) -> None:
    assert check(grades["given before"], "area").points == 0
    assert check(grades["given after"], "area").points == 2


def test_a_hidden_tests_line_and_values_stay_out_of_the_message(grades: dict[str, Grade]) -> None:
    assert check(grades["hidden"], "area").message == "a hidden test failed (AssertionError)"
    visible = check(grades["visible"], "area").message
    assert "two by three" in visible and "4711" not in visible


def test_hidden_values_stay_out_of_the_graded_notebooks_outputs(grades: dict[str, Grade]) -> None:
    notebook = json.loads(str(grades["hidden"].notebook))
    assert "4711" not in json.dumps([cell.get("outputs") for cell in notebook["cells"]])


INSIDE = Exercise(
    "inside",
    "base = 2\ndef power(n): return base ** n",
    "base = 2\ndef power(n): return n",
    "base = 3\nassert power(2) == 9\nwith Check('c1-inside-check') as check:\n    check.call(power, 3).equals(27, why='3 * 3 * 3', hint='use base')",
    tags=("judge-inside",),
)
CHEATS = {
    "asserts removed": "import ast\nclass Strip(ast.NodeTransformer):\n    def visit_Assert(self, node): return ast.Pass()\n"
    "get_ipython().ast_transformers.append(Strip())",
    "asserts rewritten": "get_ipython().input_transformers_post.append(lambda lines: [l.replace('assert', 'None,') for l in lines])",
    "patched Check": "import coursekit.checks\ncoursekit.checks.Check._judge = lambda self, *a, **k: None",
    "Check swallows": "import coursekit.checks\ncoursekit.checks.Check.__exit__ = lambda self, *a: True",
    "a quiet shell": "import coursekit.grading.judging.cells as cells\nold = cells.Runner.run\ndef run(self, source, cell_id):\n"
    "    result = old(self, source, cell_id)\n    result.error = None\n    return result\ncells.Runner.run = run",
    "patched differences": "import coursekit.checks\ncoursekit.checks.differences = lambda *a: ''",
}


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Grade]:
    course = Course(tmp_path_factory.mktemp("inside") / "course", [INSIDE, EXERCISES[2]], LIMITS)
    files = {"right": course.submission("right"), "wrong": course.submission("wrong", wrong=True)}
    for number, (name, cheat) in enumerate(CHEATS.items()):
        files[name] = course.submission(f"cheat-{number}", {"inside": f"{INSIDE.wrong}\n{cheat}"})
    return course.grade(files)


def test_a_check_inside_is_graded_and_marked_as_weaker(inside: dict[str, Grade]) -> None:
    assert (check(inside["right"], "inside").points, check(inside["right"], "inside").weaker) == (2, True)
    assert check(inside["wrong"], "inside").points == 0
    assert not check(inside["right"], "last").weaker


@pytest.mark.parametrize("cheat", CHEATS)
def test_canaries_tell_of_a_changed_python(inside: dict[str, Grade], cheat: str) -> None:
    found = check(inside[cheat], "inside")
    assert found.points == 0
    assert "could not be judged: Python itself was changed" in found.message

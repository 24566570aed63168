"""`needed` runs what checks stand on, transitively, and leaves experiments out."""

from __future__ import annotations

import ast

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from coursekit import manifest, notebooks, settings
from coursekit.grading.rebuilding import code_names
from coursekit.grading.rebuilding.rebuild import Rebuilt, rebuild
from tests.grading.rebuild_course import cell_of, solved, source, submitted
from tests.notebook_files import code


def _names(text: str) -> tuple[set[str], set[str]]:
    names = code_names.of(text)
    return set(names.binds), set(names.needs)


@pytest.mark.parametrize(
    ("text", "binds", "needs"),
    [
        ("a = b", {"a"}, {"b"}),
        ("a = 1\nprint(a)", {"a"}, {"print"}),
        ("a += 1", {"a"}, {"a"}),
        ("a = a + 1", {"a"}, {"a"}),
        ("a: int = b", {"a"}, {"int", "b"}),
        ("a: int", set(), {"int"}),
        ("for i in rows: print(i)", {"i"}, {"rows", "print"}),
        ("with f() as g: g(h)", {"g"}, {"f", "h"}),
        ("try:\n    a\nexcept E as e:\n    e", {"e"}, {"a", "E"}),
        ("import a.b, c as d\nfrom e import f, g as h", {"a", "d", "f", "h"}, set()),
        ("def f(x, y=z):\n    w = x\n    return w + v", {"f"}, {"z", "v"}),
        ("def f():\n    return later\nlater = 1", {"f", "later"}, set()),
        ("def f():\n    global g\n    g = 1", {"f", "g"}, set()),
        ("class C(B):\n    a = b\n    def m(self): return self.a + c", {"C"}, {"B", "b", "c"}),
        ("x = [i + k for i in rows if i]", {"x"}, {"rows", "k"}),
        ("rows = [i for i in rows]", {"rows"}, {"rows"}),
        ("x = {k: (lambda v: v + m)(j) for k, j in p for q in k}", {"x"}, {"m", "p"}),
        ("def f(a):\n    return [b + a for c in a if c]", {"f"}, {"b"}),
        ("x = lambda a, b=c: a + d", {"x"}, {"c", "d"}),
        ("if (n := f()): n", {"n"}, {"f"}),
        ("x = [y := f(v) for v in w]", {"x", "y"}, {"f", "w"}),
        ("a.b = c[d]", set(), {"a", "c", "d"}),
        ("match a:\n    case {'k': b, **c}: b\n    case [d, *e] as f: pass", {"b", "c", "d", "e", "f"}, {"a"}),
        ("print(f'{a!r:{b}}')", set(), {"print", "a", "b"}),
        ("del a", {"a"}, set()),
        ("%load_ext coursekit\na = b", {"a"}, {"b"}),
        ("!ls\nfiles = !ls\nfiles", {"files"}, set()),
        ("%time a = b", {"a"}, {"b"}),
        ("%%time\na = b", {"a"}, {"b"}),
        ("%%bash\na=b", set(), set()),
        ("print?\nx = 1", {"x"}, set()),
        ("x = 5 % y", {"x"}, {"y"}),
        ("def broken(:\nvalue = 3\nother == 4", {"broken", "value"}, set()),
        ("a = 1\0", {"a"}, set()),
    ],
)
def test_what_a_cell_binds_and_needs(text: str, binds: set[str], needs: set[str]) -> None:
    assert _names(text) == (binds, needs)


def test_changed_objects_and_star_imports_are_known() -> None:
    names = code_names.of("from math import *\nconfig['a'].b = 1\nother.c += 2")
    assert names.star and names.imports and names.changes == {"config", "other"}


@pytest.mark.parametrize(
    "text",
    [
        "(" * 90_000,
        "-" * 90_000 + "1",
        "a" + ".a" * 40_000,
        "1" + "+1" * 40_000,
        "[" * 5000 + "]" * 5000,
        "x = " + "lambda: " * 9_000 + "1",
        "if 1:\n" + "".join(" " * n + "if 1:\n" for n in range(1, 99)),
        "%x\n" * 30_000,
        "a = 1\n" * 200_000,
        "?" * 90_000,
        "\\" * 90_000,
    ],  # fmt: skip
)
def test_hostile_text_has_names_too(text: str) -> None:
    assert isinstance(code_names.of(text), code_names.Names)


@pytest.mark.parametrize(
    "text", ["%load_ext x", "!pip list", "a = !ls", "a = %who", "len?", "?len", "%time f(1)", "%%time\nf(1)"]
)
def test_magics_that_ipython_knows_are_taken_out(text: str) -> None:
    with pytest.raises(SyntaxError):
        ast.parse(text)
    ast.parse(TransformerManager().transform_cell(text))
    assert code_names.of(text).tree


def _running(result: Rebuilt) -> list[str]:
    return [step.cell.id for step in result.steps if step.learner_source is not None]


def _needed(notebook: notebooks.NotebookNode) -> Rebuilt:
    return rebuild(source(), submitted(notebook), execute="needed")


KEPT = ["params", "load", "imports", "helper", "base", "given", "add", "twice", "limit", "decision"]


def test_set_up_exercises_exports_and_what_checks_stand_on_run_and_nothing_else() -> None:
    result = _needed(solved())
    assert _running(result) == KEPT
    for step in result.steps:
        if step.kind == "given":
            assert (step.learner_source is None) == (step.judge_source is None)
    assert len(result.steps) == len(source().cells)


def test_a_name_that_the_learners_answer_needs_brings_its_cell_in() -> None:
    notebook = solved()
    cell_of(notebook, "x-add").source = "def add(a, b):\n    return a + b + len(experiment[:0])"
    assert _running(_needed(notebook)) == [*KEPT[:5], "experiment", *KEPT[5:]]


def test_a_name_of_the_answers_own_does_not() -> None:
    notebook = solved()
    cell_of(notebook, "x-add").source = "def add(a, b):\n    experiment = a\n    return experiment + b"
    assert _running(_needed(notebook)) == KEPT


def test_own_cells_run_and_bring_in_what_they_stand_on_only_when_they_matter() -> None:
    notebook = solved()
    position = notebook.cells.index(cell_of(notebook, "add"))
    notebook.cells[position:position] = [
        code("print('hello')", "a"),
        code("looks = [experiment[place] for place in range(3)][0]", "b"),
        code("print(looks)", "c"),
    ]
    assert _running(_needed(notebook)) == [*KEPT[:6], "own-1", *KEPT[6:]]
    cell_of(notebook, "x-add").source = "def add(a, b):\n    return a + b + 0 * looks"
    everything = [*KEPT[:5], "experiment", "given", "own-1", "own-2", "own-3", *KEPT[6:]]
    assert _running(_needed(notebook)) == everything


def test_an_own_cell_that_changes_what_an_answer_needs_matters() -> None:
    notebook = solved()
    position = notebook.cells.index(cell_of(notebook, "add"))
    notebook.cells[position:position] = [code("table = {}", "a"), code("table['x'] = experiment[0]", "b")]
    cell_of(notebook, "x-add").source = "def add(a, b):\n    return a + b + 0 * table['x']"
    assert "experiment" in _running(_needed(notebook))


def test_an_edited_cell_that_stands_on_an_experiment_is_left_out_on_both_sides() -> None:
    notebook = solved()
    cell_of(notebook, "play").source = "print(add(2, 2), experiment[:1])"
    cell_of(notebook, "guess").source = "guess = 4"
    result = _needed(notebook)
    assert _running(result) == [*KEPT[:3], "guess", *KEPT[3:]]
    guess = next(step for step in result.steps if step.cell.id == "guess")
    assert guess.judge_source == "guess = 3  # your guess"


def test_after_the_last_check_nothing_of_the_course_runs() -> None:
    assert "end" not in _running(_needed(solved()))


def test_this_courses_modules_run_what_the_kill_matrix_keeps(
    where: settings.Settings, course: manifest.Manifest
) -> None:
    for module in course.modules:
        path = where.solution(module.id)
        if not path.is_file():
            continue
        notebook = notebooks.read(path)
        cells = notebooks.code_cells(notebook)
        kept = {
            cell.id
            for index, cell in enumerate(cells)
            if index < 3 or notebooks.grade_id(cell) or notebooks.export_target(cell.source)
        }
        steps = rebuild(notebook, notebook, execute="needed").steps
        running = {step.cell.id for step in steps if step.learner_source is not None or step.judge_source is not None}
        assert kept <= running, module.id
        assert len(running - kept) <= 3, (module.id, running - kept)

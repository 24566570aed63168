"""Rules that every notebook of the course keeps."""

from __future__ import annotations

import ast
import re
import subprocess
import symtable
import sys
from pathlib import Path

import nbformat
import pytest

from coursekit import manifest, notebooks, settings, workspace
from coursekit.grading import release
from tests.conftest import ROOT

MODULES = [module.id for module in manifest.load(ROOT).modules]
every_module = pytest.mark.parametrize("module_id", MODULES)


def _solution(module_id: str) -> Path:
    return ROOT / "solutions" / module_id / f"{module_id}.ipynb"


def _released(module_id: str) -> Path:
    return ROOT / "notebooks" / module_id / f"{module_id}.ipynb"


@every_module
def test_the_release_is_what_the_solution_generates(
    module_id: str, where: settings.Settings, course: manifest.Manifest
) -> None:
    assert release.outdated(where, [course.module(module_id)]) == []


@every_module
def test_the_release_holds_no_line_of_a_solution_or_a_hidden_test(module_id: str) -> None:
    assert list(release.find_leaks(_solution(module_id), _released(module_id))) == []


@every_module
def test_the_twin_and_the_notebook_hold_the_same_cells(module_id: str) -> None:
    command = [
        sys.executable,
        "-m",
        "jupytext",
        "--to",
        "ipynb",
        "--output",
        "-",
        str(_solution(module_id).with_suffix(".py")),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    twin = nbformat.reads(done.stdout, as_version=4)
    own = notebooks.read(_solution(module_id))
    assert [(c.cell_type, c.source, notebooks.tags(c), c.metadata.get("nbgrader")) for c in twin.cells] == [
        (c.cell_type, c.source, notebooks.tags(c), c.metadata.get("nbgrader")) for c in own.cells
    ]


@every_module
@pytest.mark.parametrize("path_of", [_solution, _released], ids=["solution", "release"])
def test_outputs_and_execution_counts_stay_out_of_git(module_id: str, path_of: object) -> None:
    for cell in notebooks.code_cells(notebooks.read(path_of(module_id))):  # type: ignore[operator]
        assert not cell.outputs and cell.execution_count is None


@every_module
def test_points_add_up_to_what_course_yml_says(
    module_id: str, where: settings.Settings, course: manifest.Manifest
) -> None:
    assert sum(workspace.check_ids(where, course.module(module_id)).values()) == course.module(module_id).points


@every_module
def test_the_first_cells_are_parameters_and_the_extension(module_id: str) -> None:
    notebook = notebooks.read(_solution(module_id))
    first, second = notebooks.code_cells(notebook)[:2]
    assert notebooks.tags(first) == [notebooks.PARAMETERS_TAG]
    assert notebooks.parameters_module(notebook) == module_id
    assert second.source.strip() == "%load_ext coursekit"


@every_module
def test_the_module_exports_what_course_yml_says(module_id: str, course: manifest.Manifest) -> None:
    assert tuple(workspace.exported_blocks(_solution(module_id))) == course.module(module_id).exports


@every_module
def test_grade_ids_are_slugs_and_checks_are_named_after_their_exercise(
    module_id: str, course: manifest.Manifest
) -> None:
    notebook = notebooks.read(_solution(module_id))
    exercises = [str(notebooks.grade_id(cell)) for cell in notebook.cells if notebooks.is_solution(cell)]
    short = course.module(module_id).short
    for cell in notebook.cells:
        grade_id = notebooks.grade_id(cell)
        if grade_id is not None:
            assert re.fullmatch(rf"{short}(-[a-z0-9]+)+", grade_id), grade_id
        if notebooks.is_test(cell):
            assert any(str(grade_id).startswith(f"{exercise}-") for exercise in exercises), grade_id
            assert f'Check("{grade_id}")' in cell.source


@every_module
def test_every_check_has_hidden_tests_and_ends_without_a_value(module_id: str) -> None:
    for cell in notebooks.read(_solution(module_id)).cells:
        if notebooks.is_test(cell):
            assert "### BEGIN HIDDEN TESTS" in cell.source and "check.hidden()" in cell.source, notebooks.grade_id(cell)
            assert not isinstance(ast.parse(cell.source).body[-1], ast.Expr), notebooks.grade_id(cell)


def _read_from_the_notebook(table: symtable.SymbolTable) -> set[str]:
    """The variables of the notebook's own scope that a cell reads, inside functions too."""
    names = {
        s.get_name()
        for s in table.get_symbols()
        if s.is_referenced() and (table.get_type() == "module" or s.is_global())
    }
    return names.union(*(_read_from_the_notebook(child) for child in table.get_children()))


def _bound_at_top(node: ast.AST) -> set[str]:
    """The variables that a cell binds in the notebook's own scope."""
    names = set[str]()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(child.name)
        elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            names.add(child.id)
        elif not isinstance(child, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            names |= _bound_at_top(child)
    return names


@every_module
def test_no_later_cell_reads_a_variable_that_a_check_has_replaced(module_id: str) -> None:
    replaced_by: dict[str, str] = {}
    own: set[str] = set()
    for cell in notebooks.code_cells(notebooks.read(_solution(module_id))):
        if cell.source.startswith("%"):
            continue
        tree = ast.parse(cell.source)
        if notebooks.is_test(cell):
            replaced_by |= dict.fromkeys(_bound_at_top(tree) & own, str(notebooks.grade_id(cell)))
            continue
        bound = _bound_at_top(tree)
        read = _read_from_the_notebook(symtable.symtable(cell.source, "cell", "exec"))
        clobbered = {name: check for name, check in replaced_by.items() if name in read - bound}
        assert clobbered == {}, cell.source[:120]
        own |= bound
        replaced_by = {name: check for name, check in replaced_by.items() if name not in bound}


@every_module
def test_every_exercise_has_three_collapsed_hints(module_id: str) -> None:
    notebook = notebooks.read(_solution(module_id))
    text = "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    exercises = [cell for cell in notebook.cells if notebooks.is_solution(cell)]
    assert text.count("<details>") >= 3 * len(exercises)
    assert text.count("<details>") == text.count("</details>")


@every_module
def test_notebooks_name_no_model_no_key_no_path_and_install_nothing(module_id: str, course: manifest.Manifest) -> None:
    names = {
        model.name
        for profile in course.models.values()
        for model in (profile.small, profile.large, profile.reasoner, profile.embedding, profile.fast_embedding)
        if model is not None
    }
    source = "\n".join(cell.source for cell in notebooks.code_cells(notebooks.read(_solution(module_id))))
    assert not [name for name in names if name in source]
    assert not re.search(r"^\s*[%!]\s*pip|sk-[A-Za-z0-9]{8}|/home/|/Users/|/tmp/", source, re.MULTILINE)


@every_module
def test_a_notebook_has_the_size_of_a_lesson(module_id: str) -> None:
    notebook = notebooks.read(_solution(module_id))
    lines = sorted(
        len(cell.source.splitlines())
        for cell in notebooks.code_cells(notebook)
        if not notebooks.is_solution(cell)
        and not notebooks.is_test(cell)
        and notebooks.export_target(cell.source) is None
    )
    assert 40 <= len(notebook.cells) <= 90
    assert lines[len(lines) // 2] <= 12

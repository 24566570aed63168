from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from coursekit import notebooks
from coursekit.errors import ExportError, NotebookError

CELL: dict[str, object] = {
    "cell_type": "code",
    "metadata": {},
    "source": ["a = 1\n", "b"],
    "outputs": [],
    "execution_count": None,
}


def notebook_file(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "some.ipynb"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def test_read_joins_sources_and_accepts_cells_without_ids(tmp_path: Path) -> None:
    path = notebook_file(tmp_path, {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [CELL]})
    assert notebooks.read(path).cells[0].source == "a = 1\nb"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"not json", "not JSON"),
        (b'{\n<<<<<<< HEAD\n"cells": []}', "conflict markers"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
        ([1, 2], "no 'cells'"),
        ({"a": 1}, "no 'cells'"),
        ({"nbformat": 3, "worksheets": []}, "nbformat 3"),
        ({"cells": []}, "nbformat None"),
        ({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": {}}, "damaged"),
        ({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}, "damaged"),
        ({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [CELL | {"source": 3}]}, "damaged"),
    ],
)
def test_read_says_what_the_file_is_instead(tmp_path: Path, content: object, says: str) -> None:
    path = notebook_file(tmp_path, content)
    with pytest.raises(NotebookError, match=says) as caught:
        notebooks.read(path)
    assert str(path) in str(caught.value)


def test_read_names_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotebookError, match="does not exist"):
        notebooks.read(tmp_path / "none.ipynb")
    with pytest.raises(NotebookError, match="is a folder"):
        notebooks.read(tmp_path)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("#| export retrieval.py\nimport os", "retrieval.py"),
        ("\n\n#| export   stores/pinecone.py  \nx = 1", "stores/pinecone.py"),
        ("#|export a.py", "a.py"),
        ("x = 1\n#| export a.py", None),
        ("#| exports a.py", None),
        ("# export a.py", None),
        ("", None),
    ],
)
def test_export_target_is_read_from_the_first_line(source: str, target: str | None) -> None:
    assert notebooks.export_target(source) == target


@pytest.mark.parametrize(
    "line",
    ["#| export", "#| export /etc/a.py", "#| export ../a.py", "#| export a.txt", "#| export a b.py", "#| export my-file.py",
     "#| export c:\\a.py"],
)  # fmt: skip
def test_a_malformed_export_line_is_an_error_that_shows_it(line: str) -> None:
    with pytest.raises(ExportError) as caught:
        notebooks.export_target(f"{line}\nx = 1")
    assert repr(line) in str(caught.value)


def test_nbgrader_accessors_tell_solutions_from_tests() -> None:
    solution = new_code_cell(
        "x", metadata={"nbgrader": {"solution": True, "grade": False, "locked": False, "grade_id": "m-x"}}
    )
    test = new_code_cell(
        "x", metadata={"nbgrader": {"solution": False, "grade": True, "locked": True, "grade_id": "m-x-a", "points": 3}}
    )
    plain = new_code_cell("x")
    assert [notebooks.is_solution(cell) for cell in (solution, test, plain)] == [True, False, False]
    assert [notebooks.is_test(cell) for cell in (solution, test, plain)] == [False, True, False]
    assert [notebooks.grade_id(cell) for cell in (solution, test, plain)] == ["m-x", "m-x-a", None]
    assert [notebooks.points(cell) for cell in (solution, test, plain)] == [0.0, 3.0, 0.0]


def test_cells_are_found_by_type_and_tag() -> None:
    tagged = new_code_cell("#| export a.py", metadata={"tags": ["parameters"]})
    notebook = new_notebook(cells=[new_markdown_cell("x"), tagged, new_code_cell("y")])
    assert notebooks.code_cells(notebook) == notebook.cells[1:]
    assert notebooks.cells_tagged(notebook, "parameters") == [tagged]
    assert list(notebooks.exported_cells(notebook)) == [("a.py", tagged)]


@pytest.mark.parametrize("source", ['MODULE = "m01_x"', 'SEED = 1\nMODULE: str = "m01_x"  # the module'])
def test_parameters_module_reads_the_tagged_cell(source: str) -> None:
    cell = new_code_cell(source, metadata={"tags": ["parameters"]})
    assert notebooks.parameters_module(new_notebook(cells=[new_code_cell('MODULE = "other"'), cell])) == "m01_x"


@pytest.mark.parametrize("source", ["SEED = 1", "MODULE = 3", "MODULE = f'{x}'", "MODULE = ("])
def test_parameters_module_asks_for_the_missing_line(source: str) -> None:
    with pytest.raises(NotebookError, match="parameters"):
        notebooks.parameters_module(new_notebook(cells=[new_code_cell(source, metadata={"tags": ["parameters"]})]))
    with pytest.raises(NotebookError, match="no code cell tagged"):
        notebooks.parameters_module(new_notebook(cells=[new_code_cell(source)]))


def test_importing_the_module_does_not_import_nbformat() -> None:
    code = "import sys, coursekit.notebooks; sys.exit('nbformat' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30).returncode == 0

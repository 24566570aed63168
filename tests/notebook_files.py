"""Small course notebooks for tests, written with nbformat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode


def nbgrader_metadata(
    grade_id: str, *, points: float | None = None, solution: bool = False, locked: bool = False
) -> dict[str, Any]:
    """The metadata that nbgrader wants on a cell."""
    data: dict[str, Any] = {
        "grade": points is not None,
        "grade_id": grade_id,
        "locked": locked or points is not None,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    if points is not None:
        data["points"] = points
    return {"nbgrader": data}


def code(source: str, cell_id: str, **metadata: Any) -> NotebookNode:
    """One code cell with a fixed id."""
    return nbformat.v4.new_code_cell(source, id=cell_id, metadata=metadata)


def write(path: Path, cells: list[NotebookNode]) -> Path:
    """Write a notebook for the kernel python3."""
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def first_module(solution: str = "return a + b") -> list[NotebookNode]:
    """The notebook of the small course's first module: one exercise, one check with a hidden test."""
    return [
        code('MODULE = "a1_first"', "params", tags=["parameters"]),
        code("%load_ext coursekit", "load"),
        code("from coursekit.checks import Check", "imports"),
        code(
            '#| export adding.py\ndef add(a: float, b: float) -> float:\n    """Add."""\n'
            f"    ### BEGIN SOLUTION\n    {solution}\n    ### END SOLUTION",
            "solution",
            **nbgrader_metadata("a1-add", solution=True),
        ),
        code(
            'with Check("a1-add-basic") as check:\n'
            '    check.call(add, 1, 2).equals(3, why="1 + 2 = 3", hint="use +")\n'
            "    ### BEGIN HIDDEN TESTS\n    with check.hidden():\n"
            '        check.call(add, 40, 2).equals(42, why="sums add up", hint="use both arguments")\n'
            "    ### END HIDDEN TESTS",
            "check",
            **nbgrader_metadata("a1-add-basic", points=2),
        ),
    ]


def second_module() -> list[NotebookNode]:
    """The second module: it builds on the first one's file."""
    return [
        code('MODULE = "a2_second"', "params", tags=["parameters"]),
        code("%load_ext coursekit", "load"),
        code("from assistant.adding import add\nfrom coursekit.checks import Check", "imports"),
        code(
            "#| export doubling.py\nfrom assistant.adding import add\n\n\ndef double(a: float) -> float:\n"
            "    ### BEGIN SOLUTION\n    return add(a, a)\n    ### END SOLUTION",
            "solution",
            **nbgrader_metadata("a2-double", solution=True),
        ),
        code(
            'with Check("a2-double-basic") as check:\n'
            '    check.call(double, 2).equals(4, why="2 + 2 = 4", hint="add it to itself")\n'
            "    ### BEGIN HIDDEN TESTS\n    with check.hidden():\n"
            '        check.call(double, -7).equals(-14, why="twice", hint="negative numbers too")\n'
            "    ### END HIDDEN TESTS",
            "check",
            **nbgrader_metadata("a2-double-basic", points=1),
        ),
    ]

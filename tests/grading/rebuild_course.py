"""A notebook with every kind of cell that `rebuild` knows, its release, and what a learner makes of it."""

from __future__ import annotations

import json

import nbformat
from nbformat import NotebookNode

from coursekit import notebooks
from coursekit.grading.intake.reading import read_bytes
from coursekit.grading.rebuilding.course_cells import course_cells
from tests.notebook_files import code, nbgrader_metadata

ANSWERS = {
    "x-add": "#| export adding.py\ndef add(a, b):\n    return sum((a, b))",
    "x-twice": "#| export adding.py\ndef twice(a):\n    return add(a, a)\n\n\nclass Pair:\n    size = 2",
    "x-limit": "LIMIT = 7",
}


def source() -> NotebookNode:
    """The instructor's notebook."""
    cells = [
        code('MODULE = "x"\nSEED = 7', "params", tags=["parameters"]),
        code("%load_ext coursekit", "load"),
        code("import math\nfrom coursekit.checks import Check", "imports"),
        nbformat.v4.new_markdown_cell("# Adding numbers, and what is to be learned of it", id="title"),
        code("guess = 3  # your guess", "guess"),
        code("def helper(numbers):\n    return [base + number for number in numbers]", "helper"),
        code("base = 10", "base"),
        code("experiment = [math.sqrt(number) for number in range(1000)]", "experiment"),
        code(
            "#| export adding.py\nGIVEN = 1  # a locked line of code",
            "given",
            **nbgrader_metadata("x-given", locked=True),
        ),
        nbformat.v4.new_markdown_cell(
            "### Exercise 1\n\nAdd two numbers.", id="goal", metadata=nbgrader_metadata("x-add-goal", locked=True)
        ),
        code(
            "#| export adding.py\ndef add(a, b):\n    ### BEGIN SOLUTION\n    return a + b\n    ### END SOLUTION",
            "add",
            **nbgrader_metadata("x-add", solution=True),
        ),
        code("print(add(1, 2), experiment[:3])", "play"),
        _check("x-add-basic", "check.call(add, 1, 2).equals(3)", "check.call(add, 40, 2).equals(42)", 2),
        code(
            "#| export adding.py\ndef twice(a):\n    ### BEGIN SOLUTION\n    return 2 * a\n    ### END SOLUTION\n\n\n"
            "class Pair:\n    ### BEGIN SOLUTION\n    size = 2\n    ### END SOLUTION",
            "twice",
            **nbgrader_metadata("x-twice", solution=True),
        ),
        _check(
            "x-twice-basic", "check.call(twice, 2).equals(helper([4])[0] - 10)", "check.call(twice, 3).equals(6)", 3
        ),
        code(
            "### BEGIN SOLUTION\nLIMIT = 5\n_private = 1\n### END SOLUTION",
            "limit",
            **nbgrader_metadata("x-limit", solution=True),
        ),
        code("#| export adding.py\nDECISION = 4", "decision", **nbgrader_metadata("x-decision")),
        _check("x-limit-basic", 'check.observe("LIMIT", LIMIT).equals(DECISION + 3)', "check.that(LIMIT > 0)", 4),
        code("base = 99\nprint(experiment, guess)", "end"),
    ]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python"}})


def _check(name: str, visible: str, hidden: str, points: int) -> NotebookNode:
    text = (
        f'with Check("{name}") as check:\n    {visible}\n    ### BEGIN HIDDEN TESTS\n    with check.hidden():\n'
        f"        {hidden}\n    ### END HIDDEN TESTS"
    )
    return code(text, name, **nbgrader_metadata(name, points=points))


def release() -> NotebookNode:
    """What learners get."""
    notebook = source()
    for cell, one in zip(notebook.cells, course_cells(notebook), strict=True):
        cell.source = one.released
    return notebook


def solved() -> NotebookNode:
    """The release with the learner's answers."""
    notebook = release()
    for name, text in ANSWERS.items():
        cell_of(notebook, name).source = text
    return notebook


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    """A cell by its grade_id or id."""
    return next(cell for cell in notebook.cells if name in (notebooks.grade_id(cell), cell.id))


def submitted(notebook: NotebookNode) -> NotebookNode:
    """The notebook after intake."""
    result = read_bytes(json.dumps(notebook).encode())
    assert result.notebook is not None, result.reason
    return result.notebook

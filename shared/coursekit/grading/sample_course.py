"""A small course to measure the grader with: one module, one exercise, no database, no models; and submissions for it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import yaml

from coursekit import manifest, notebooks, settings
from coursekit.grading import release

MODULE = "s1_sample"
POINTS = 2

_MANIFEST: dict[str, Any] = {
    "title": "A sample to measure with",
    "package": "assistant",
    "grading": {"cell_timeout_seconds": 30},
    "modules": [
        {
            "id": MODULE,
            "title": "Sample",
            "adds": "one function",
            "objectives": ["Add two numbers"],
            "minutes": 1,
            "points": POINTS,
            "exports": ["adding.py"],
            "time_limit_seconds": 30,
            "database": False,
        }
    ],
}
_SIGNATURE = '#| export adding.py\ndef add(a: float, b: float) -> float:\n    """Add."""'
_CHECK = """with Check("s1-add-basic") as check:
    check.call(add, 1, 2).equals(3, why="1 + 2 = 3", hint="use +")
    ### BEGIN HIDDEN TESTS
    with check.hidden():
        check.call(add, 40, 2).equals(42, why="sums add up", hint="use both arguments")
    ### END HIDDEN TESTS"""


def write(root: Path) -> tuple[settings.Settings, manifest.Manifest, manifest.Module]:
    """Write the course below `root` and release it."""
    root.mkdir(parents=True, exist_ok=True)
    (root / settings.MANIFEST_NAME).write_text(yaml.safe_dump(_MANIFEST, sort_keys=False), encoding="utf-8")
    source = root / "solutions" / MODULE / f"{MODULE}.ipynb"
    source.parent.mkdir(parents=True)
    _save(source, f"{_SIGNATURE}\n    ### BEGIN SOLUTION\n    return a + b\n    ### END SOLUTION")
    where = settings.load({"COURSE_ROOT": str(root)})
    course = manifest.load(root)
    with contextlib.chdir(root):  # nbgrader looks for solutions/ in the current folder
        release.release(where, course.modules)
    return where, course, course.modules[0]


def hand_in(where: settings.Settings, number: int) -> dict[str, float]:
    """Hand in for so many students: right, wrong and slow answers, a dead process, a broken file; returns the right points."""
    kinds: list[tuple[str, float]] = [
        ("return a + b", POINTS),
        ("return sum((a, b))", POINTS),
        ("return a - b", 0),
        ("return b + a", POINTS),
        ("import os; os._exit(1)", 0),
        ("raise NotImplementedError", 0),
    ]
    totals = {}
    for index in range(number):
        student = f"student-{index:05}"
        path = where.grading_dir / "submitted" / student / MODULE / f"{MODULE}.ipynb"
        path.parent.mkdir(parents=True)
        if index % 25 == 24:
            path.write_text('{"cells": [', encoding="utf-8")
            totals[student] = 0.0
            continue
        body, points = kinds[index % len(kinds)]
        own = "import time\ntime.sleep(0.5)" if index % 10 == 3 else f"mine = list(range({index}))"
        _save(path, f"{_SIGNATURE}\n    {body}", own)
        totals[student] = float(points)
    return totals


def _save(path: Path, solution: str, *own: str) -> None:
    import nbformat

    cells = [
        _cell('MODULE = "s1_sample"', "params", tags=["parameters"]),
        _cell("%load_ext coursekit", "load"),
        _cell("from coursekit.checks import Check", "imports"),
        *(_cell(text, f"own-{number}") for number, text in enumerate(own)),
        _cell(solution, "solution", nbgrader=_nbgrader("s1-add", solution=True)),
        _cell(_CHECK, "check", nbgrader=_nbgrader("s1-add-basic", grade=True, locked=True, points=POINTS)),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def _cell(source: str, cell_id: str, **metadata: Any) -> notebooks.NotebookNode:
    import nbformat

    return nbformat.v4.new_code_cell(source, id=cell_id, metadata=metadata)


def _nbgrader(grade_id: str, **given: Any) -> dict[str, Any]:
    plain = {"grade": False, "locked": False, "solution": False, "task": False, "schema_version": 3}
    return {**plain, "grade_id": grade_id, **given}

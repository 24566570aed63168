"""Grades made by hand for tests of what is recorded and reported: the judge is not needed for them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from coursekit import manifest, notebooks, settings
from coursekit.grading.recording.record import Recorder
from coursekit.grading.results import CheckGrade, Finding, Grade
from tests import notebook_files

MODULE = "a1_first"
_blank_gradebooks: dict[str, bytes] = {}  # nbgrader takes seconds to make one: once is enough for all tests
FAILED = (
    "a1-add-basic: wrong result\n  called    add(1, 2)\n  expected  3\n  got       -1\n"
    "  why       1 + 2 = 3\n  try       use +"
)


def source_cells() -> list[NotebookNode]:
    """The small course's first module with an essay, a task and a plain cell more."""
    essay = new_markdown_cell(
        "### BEGIN SOLUTION\nBecause.\n### END SOLUTION",
        id="essay",
        metadata=notebook_files.nbgrader_metadata("a1-essay", points=3, solution=True),
    )
    essay.metadata.nbgrader["locked"] = False
    task = new_markdown_cell("Draw it.", id="task", metadata=notebook_files.nbgrader_metadata("a1-task"))
    task.metadata.nbgrader.update(task=True, points=1, locked=True)
    return [*notebook_files.first_module(), new_markdown_cell("Given *text*.", id="given"), essay, task]


def make_course(small_course: Callable[..., Path], changes: dict[str, Any] | None = None) -> Path:
    """A small course whose first module has the cells above."""
    root = small_course(changes or {})
    notebook_files.write(root / "solutions" / MODULE / f"{MODULE}.ipynb", source_cells())
    for name, data in _blank_gradebooks.items():
        cache = root / ".course" / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        (cache / name).write_bytes(data)
    return root


@contextmanager
def recording(isolation: str = "plain", **options: Any) -> Iterator[Recorder]:
    """A registered recorder for the course around the current folder."""
    where = settings.load()
    course = manifest.load(where.root)
    with Recorder(where, course, course.module(MODULE), isolation=isolation, **options) as recorder:
        recorder.register()
        for path in (where.state_dir / "cache").glob("gradebook-*.db"):
            _blank_gradebooks.setdefault(path.name, path.read_bytes())
        yield recorder


def solved(
    body: str = "    return a + b", essay: str = "I think so.", own: list[NotebookNode] | None = None
) -> NotebookNode:
    """The rebuilt and executed notebook of a submission, with hidden tests in its check, as the judge returns it."""
    notebook = nbformat.v4.new_notebook(cells=source_cells())
    for cell in notebook.cells:
        if notebooks.grade_id(cell) == "a1-add":
            head = [line for line in cell.source.splitlines() if not line.startswith("    ")][:2]
            cell.source = "\n".join([*head, body])
            cell.outputs = [new_output("stream", name="stdout", text="hello\n")]
        if notebooks.grade_id(cell) == "a1-essay":
            cell.source = essay
        if notebooks.is_test(cell):
            cell.outputs = [new_output("error", ename="X", evalue="42", traceback=["check.call(add, 40, 2).equals(42"])]
    notebook.cells[5:5] = own or []
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return notebook


def grade(
    student: str = "ada",
    points: float = 2,
    message: str = "",
    notebook: NotebookNode | None = None,
    error: str | None = None,
    findings: tuple[Finding, ...] = (),
) -> Grade:
    """One submission's result."""
    if error:
        return Grade(student, MODULE, error=error, findings=findings)
    if not message and math.isfinite(points) and points < 2:
        message = FAILED
    text = nbformat.writes(notebook or solved())
    checks = (CheckGrade("a1-add-basic", points, 2, message),)
    return Grade(student, MODULE, checks, notebook=text, findings=findings, seconds=0.5, isolation="plain")


def submit(student: str = "ada", timestamp: str | None = None, content: str = "x") -> str:
    """Put a submission's file where it belongs; returns its hash."""
    folder = settings.load().grading_dir / "submitted" / student / MODULE
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{MODULE}.ipynb").write_text(content, encoding="utf-8")
    if timestamp is not None:
        (folder / "timestamp.txt").write_text(timestamp, encoding="utf-8")
    return hashlib.sha256(content.encode()).hexdigest()

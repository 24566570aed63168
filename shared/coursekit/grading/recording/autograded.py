"""The graded notebook as nbgrader finds it: `autograded/<student>/<module>/<module>.ipynb`, and how it gets there.

Check cells lose their hidden tests, and show one verdict made from the points and the message that were recorded: nbgrader's
own `determine_grade` reads the same points from it (an error is 0, a number is partial credit, anything else is full). All else
that the learner's process produced is sanitized. Files are written beside the target, then put in place by renaming.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook, new_output
from nbgrader import utils
from nbgrader.preprocessors import ClearHiddenTests

from coursekit import notebooks
from coursekit.grading.recording import sanitizing
from coursekit.grading.recording.timestamps import FILE_NAME
from coursekit.grading.results import CheckGrade

FILE_MODE = 0o444  # nbgrader's own: nobody edits a graded notebook by accident
MAX_MESSAGE_CHARS = 20_000
REJECTED = "coursekit_rejected"


def compose(
    graded: NotebookNode, registered: NotebookNode, released: set[str], checks: Mapping[str, CheckGrade]
) -> NotebookNode:
    """The rebuilt and executed notebook without secrets and scripts, with a verdict in every check cell.

    Args:
        graded: `Grade.notebook`; changed in place and returned.
        registered: the notebook whose cells the gradebook knows (`registering.prepare`); gives the checksums.
        released: the texts of the release's markdown cells, which are the course's own and stay as they are.
        checks: the verdicts as recorded, by cell.
    """
    known = {grade_id: cell for cell in registered.cells if (grade_id := notebooks.grade_id(cell))}
    strip = ClearHiddenTests()
    for cell in graded.cells:
        grade_id = notebooks.grade_id(cell)
        if grade_id in known:
            cell.metadata.nbgrader["checksum"] = known[grade_id].metadata.nbgrader.get("checksum")
        if cell.cell_type == "code":
            if grade_id is not None and notebooks.is_test(cell):
                strip._remove_hidden_test_region(cell)
                cell.outputs = verdict(checks.get(grade_id) or CheckGrade(grade_id, 0.0, notebooks.points(cell)))
            else:
                cell.outputs = sanitizing.safe_outputs(cell.get("outputs", []))
        else:
            if cell.source not in released:
                cell.source = sanitizing.safe_markdown(cell.source)
            if "attachments" in cell:
                cell.attachments = sanitizing.safe_attachments(cell.attachments)
        if grade_id is None and cell.get("id", "").startswith("own-"):
            cell.metadata = NotebookNode()
    return graded


def verdict(check: CheckGrade) -> list[NotebookNode]:
    """Outputs that say how a check ended, and from which nbgrader's `determine_grade` reads exactly its points."""
    message = check.message[:MAX_MESSAGE_CHARS]
    if check.passed:
        return [_plain(message or f"✓ {check.check_id}")]
    if check.points > 0:
        said = message or f"{check.check_id}: partly right"
        return [_plain(said), new_output("execute_result", data={"text/plain": repr(check.points)})]
    said = message or f"{check.check_id}: no points"
    return [new_output("error", ename="CheckFailed", evalue=said.splitlines()[0], traceback=said.splitlines())]


def rejection(registered: NotebookNode, reason: str) -> NotebookNode:
    """The notebook of a submission that could not be graded: the release, with the reason on top and in every check."""
    notebook = new_notebook(metadata=dict(registered.metadata), cells=[_notice("Not graded", reason)])
    notebook.metadata[REJECTED] = reason
    notebook.cells += [NotebookNode(cell) for cell in nbformat.from_dict(registered).cells]
    for cell in notebook.cells:
        if notebooks.is_test(cell) and cell.cell_type == "code":
            check = CheckGrade(
                str(notebooks.grade_id(cell)), 0.0, utils.determine_grade(cell)[1], f"not graded: {reason}"
            )
            ClearHiddenTests()._remove_hidden_test_region(cell)
            cell.outputs = verdict(check)
    return notebook


def add_notice(notebook: NotebookNode, title: str, text: str) -> None:
    """Put a message from the grader on top of a notebook."""
    notebook.cells.insert(0, _notice(title, text))


def _notice(title: str, text: str) -> NotebookNode:
    words = re.sub(r"([\\`*_\[\]<>&#!|$~])", r"\\\1", text)  # file names and the like, not markdown
    return new_markdown_cell(f"**{title}.** {words}")


def _plain(text: str) -> NotebookNode:
    return new_output("display_data", data={"text/plain": text})


def path_of(grading_dir: Path, student: str, module_id: str) -> Path:
    """Where nbgrader looks for the graded notebook."""
    return grading_dir / "autograded" / student / module_id / f"{module_id}.ipynb"


def read(grading_dir: Path, student: str, module_id: str) -> NotebookNode | None:
    """The graded notebook that is in place; None when there is none that can be read."""
    try:
        return nbformat.read(path_of(grading_dir, student, module_id), as_version=4)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, nbformat.ValidationError):
        return None


def stage(target: Path, notebook: NotebookNode, timestamp: datetime | None) -> Path:
    """Write the files for the folder `target` into a new folder beside it, down to the disk; returns that folder."""
    fresh = _beside(target, "new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    _write(fresh / f"{target.name}.ipynb", nbformat.writes(notebook, version=4) + "\n")
    if timestamp is not None:
        _write(fresh / FILE_NAME, timestamp.isoformat(sep=" ") + " UTC")
    _sync(fresh)
    return fresh


def publish(target: Path) -> None:
    """Put the staged folder in the place of `target`; `repair` undoes or ends one that was cut short."""
    old = _beside(target, "old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.rename(target, old)
    os.rename(_beside(target, "new"), target)
    _sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def repair(grading_dir: Path, module_id: str) -> None:
    """Remove what a killed grader left beside the graded notebooks of a module; put back one that it had moved away."""
    for student in (grading_dir / "autograded").glob("*/"):
        target = student / module_id
        old = _beside(target, "old")
        if old.exists() and not target.exists():
            os.rename(old, target)
        for left in (old, _beside(target, "new")):
            if left.exists():
                shutil.rmtree(left)


def _beside(target: Path, kind: str) -> Path:
    return target.with_name(f".{target.name}.{kind}")  # hidden: nbgrader looks at every folder without a dot


def _write(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="replace") as file:  # half a surrogate pair in a string is no text
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), FILE_MODE)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

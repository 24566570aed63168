"""A module's assignment, notebook and cells in nbgrader's gradebook, as `nbgrader generate_assignment` would put them there.

The cells go through the preprocessors that nbgrader itself runs before it saves them, and are changed in place: rows keep
their ids, so grades stay attached. nbgrader refuses to add or remove cells once there are submissions; here a new cell gets an
ungraded row for every submission, and a removed one goes with its automatic grades, but never with what a person entered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader import api, utils
from nbgrader.preprocessors import SaveCells
from sqlalchemy import select
from sqlalchemy.orm import Session
from traitlets.config import Config

from coursekit.errors import GradingError

_KINDS: dict[str, Any] = {"grade": api.GradeCell, "solution": api.SolutionCell, "task": api.TaskCell}


@dataclass(frozen=True)
class Registration:
    """What the gradebook should know about one module: its name, its course, its due date (UTC), its source as nbgrader saves it."""

    assignment: str
    course_id: str
    due: datetime | None
    notebook: NotebookNode

    @property
    def cells(self) -> list[NotebookNode]:
        """The cells that nbgrader saves: graded, solution, locked and task cells, in order."""
        tests = (utils.is_grade, utils.is_solution, utils.is_locked, utils.is_task)
        return [cell for cell in self.notebook.cells if any(test(cell) for test in tests)]


def prepare(source: Path, config: Config) -> NotebookNode:
    """The instructor's notebook as nbgrader saves it: solutions cleared, hidden tests still in, checksums computed.

    Raises:
        GradingError: nbgrader does not accept the notebook; says why.
    """
    notebook = nbformat.read(source, as_version=4)
    resources: dict[str, Any] = {"nbgrader": {"notebook": source.stem, "assignment": source.parent.name}}
    for step in config.GenerateAssignment.preprocessors:
        if step is SaveCells:
            return notebook
        try:
            notebook, resources = step(config=config).preprocess(notebook, resources)
        except Exception as error:  # nbgrader's steps raise RuntimeError, ValueError, ValidationError, KeyError …
            raise GradingError(f"nbgrader does not accept {source}: {error or type(error).__name__}") from error
    raise GradingError("GenerateAssignment.preprocessors has no SaveCells: nothing could be graded. Restore it.")


def save(session: Session, registration: Registration) -> None:
    """Make or update the rows of one module.

    Raises:
        GradingError: a cell is gone for which a person has entered points or a comment.
    """
    if session.get(api.Course, registration.course_id) is None:
        session.add(api.Course(id=registration.course_id))
        session.flush()
    name = registration.assignment
    assignment = session.scalar(select(api.Assignment).where(api.Assignment.name == name))
    if assignment is None:
        assignment = api.Assignment(name=name, course_id=registration.course_id)
        session.add(assignment)
    if registration.due is not None:
        assignment.duedate = registration.due
    notebook = next((n for n in assignment.notebooks if n.name == name), None)
    if notebook is None:
        notebook = api.Notebook(name=name, assignment=assignment)
        session.add(notebook)
    notebook.kernelspec = json.dumps(registration.notebook.metadata.get("kernelspec", {}))
    session.flush()
    wanted: dict[tuple[str, str], NotebookNode] = {}
    for kind, test in (("grade", utils.is_grade), ("solution", utils.is_solution), ("task", utils.is_task)):
        wanted |= {(_KINDS[kind].__name__, c.metadata.nbgrader.grade_id): c for c in registration.cells if test(c)}
    _remove_cells(session, notebook, wanted)
    _save_cells(session, notebook, wanted)
    _save_sources(session, notebook, registration.cells)


def _save_cells(session: Session, notebook: Any, wanted: dict[tuple[str, str], NotebookNode]) -> None:
    have = {(cell.type, cell.name): cell for cell in notebook._base_cells}
    for (kind, name), source in wanted.items():
        values: dict[str, Any] = {}
        if kind != "SolutionCell":
            values = {"max_score": float(source.metadata.nbgrader["points"]), "cell_type": source.cell_type}
        cell = have.get((kind, name))
        if cell is None:
            cell = getattr(api, kind)(name=name, notebook=notebook, **values)
            session.add(cell)
            session.flush()
            for submitted in notebook.submissions:
                add_rows(session, submitted, cell)
        for attribute, value in values.items():
            setattr(cell, attribute, value)


def add_rows(session: Session, submitted: Any, cell: Any) -> None:
    """The empty grade and comment of one submitted notebook for one cell, as nbgrader's `add_submission` makes them."""
    if isinstance(cell, api.GradeCell | api.TaskCell):
        session.add(api.Grade(cell_id=cell.id, notebook=submitted))
    if isinstance(cell, api.SolutionCell | api.TaskCell):
        session.add(api.Comment(cell_id=cell.id, notebook=submitted))


def _remove_cells(session: Session, notebook: Any, wanted: dict[tuple[str, str], NotebookNode]) -> None:
    for cell in list(notebook._base_cells):
        if (cell.type, cell.name) in wanted:
            continue
        grades = session.scalars(select(api.Grade).where(api.Grade.cell_id == cell.id)).all()
        comments = session.scalars(select(api.Comment).where(api.Comment.cell_id == cell.id)).all()
        by_hand = [g for g in grades if g.manual_score is not None or g.extra_credit is not None]
        by_hand += [c for c in comments if c.manual_comment]
        if by_hand:
            students = sorted({row.notebook.assignment.student_id for row in by_hand})
            raise GradingError(
                f"{notebook.name}: the cell {cell.name!r} is no longer in the source, but has points or comments entered by "
                f"hand for {', '.join(students[:5])}. Put the cell back, or clear them in the formgrader."
            )
        for row in (*grades, *comments):
            session.delete(row)
        session.flush()
        notebook._base_cells.remove(cell)
        session.delete(cell)
        session.flush()


def _save_sources(session: Session, notebook: Any, cells: list[NotebookNode]) -> None:
    have = {cell.name: cell for cell in notebook.source_cells}
    for source in cells:
        name = source.metadata.nbgrader["grade_id"]
        cell = have.pop(name, None)
        if cell is None:
            cell = api.SourceCell(name=name, notebook=notebook)
            session.add(cell)
        cell.cell_type = source.cell_type
        cell.locked = utils.is_locked(source)
        cell.source = source.source
        cell.checksum = source.metadata.nbgrader.get("checksum")
    for cell in have.values():
        notebook.source_cells.remove(cell)
        session.delete(cell)
    session.flush()

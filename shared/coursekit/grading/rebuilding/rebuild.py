"""The notebook that is graded: the source's cells in the source's order, with the learner's texts put in.

Order, locked cells, tags, metadata, points and tests come from the source. From the submission come the texts of solution
cells, whole, the texts of unlocked cells, and the learner's own cells, after the cell that they followed. Executes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from nbformat import NotebookNode, from_dict

from coursekit.grading.rebuilding import code_names, slicing, tampering
from coursekit.grading.rebuilding.course_cells import CourseCell, course_cells
from coursekit.grading.rebuilding.matching import LearnerCell, match
from coursekit.grading.results import Finding

StepKind = Literal["text", "given", "solution", "own", "check"]


@dataclass(frozen=True)
class Step:
    """One cell of the rebuilt notebook and what each side runs for it (None: nothing).

    `names`: for a solution, the public names that the source's cell binds itself; what it imports from installed packages the
    judge imports too, so that no check takes `math` from the learner. `exercise`: a solution's grade_id.
    """

    kind: StepKind
    cell: NotebookNode
    learner_source: str | None
    judge_source: str | None
    names: frozenset[str] = frozenset()
    exercise: str | None = None


@dataclass(frozen=True)
class Rebuilt:
    """The steps in order, and what was noticed on the way."""

    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    metadata: Mapping[str, object] = field(default_factory=dict)

    def notebook(self) -> NotebookNode:
        """The rebuilt notebook, nbformat 4.5, without outputs; check cells hold their hidden tests."""
        cells = [from_dict(dict(step.cell)) for step in self.steps]
        return from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": dict(self.metadata), "cells": cells})


def rebuild(source: NotebookNode, submitted: NotebookNode, *, execute: Literal["all", "needed"] = "all") -> Rebuilt:
    """Put a submission's texts into the source notebook.

    Args:
        source: the instructor's notebook, with solutions and hidden tests between their markers.
        submitted: a notebook from `reading`.
        execute: "needed" leaves out what no check depends on (see `slicing`).
    """
    course = course_cells(source)
    cells = match(course, submitted)
    steps = [*_steps(course, cells)]
    if execute == "needed":
        steps = _sliced(steps)
    return Rebuilt(tuple(step for step, _ in steps), tuple(tampering.findings(course, cells)), source.metadata)


_Placed = tuple[Step, CourseCell | None]


def _steps(course: Sequence[CourseCell], cells: Sequence[LearnerCell]) -> Iterator[_Placed]:
    copies: dict[int, list[LearnerCell]] = {}
    own: dict[int, list[LearnerCell]] = {}
    place = -1
    for cell in cells:
        if cell.match is None:
            if not cell.drop:
                own.setdefault(place, []).append(cell)
        else:
            mine = copies.setdefault(cell.match.index, [])
            place = place if mine else cell.match.index
            mine.append(cell)
    taken = {one.cell.id for one in course}
    fresh = (name for number in range(1, len(cells) + len(taken) + 2) if (name := f"own-{number}") not in taken)
    for cell in own.get(-1, []):
        yield _own(cell, next(fresh)), None
    for one in course:
        first, *further = _chosen(one, copies.get(one.index, []))
        if first is not None or not one.is_solution:
            yield _step(one, first), one
        for cell in further:
            yield _own(cell, next(fresh)), None
        for cell in own.get(one.index, []):
            yield _own(cell, next(fresh)), None


def _chosen(one: CourseCell, mine: Sequence[LearnerCell]) -> tuple[LearnerCell | None, *tuple[LearnerCell, ...]]:
    """The copy that stands in the course's cell (None: the source's text does), then those that follow as own cells.

    Copies of one text count once; unsolved, empty and unchanged ones give way to others. Of a check or a locked cell
    nothing follows.
    """
    distinct = {cell.text.rstrip(): cell for cell in reversed(mine)}
    kept = [cell for cell in mine if distinct[cell.text.rstrip()] is cell]
    if one.is_solution:
        solved = [cell for cell in kept if not one.is_stub(cell.text)]
        kept = solved or kept[:1]
        return (kept[0], *kept[1:]) if kept else (None,)
    if one.is_check or one.is_locked:
        return (None,)
    unchanged = [cell for cell in kept if cell.is_unchanged]
    edited = [cell for cell in kept if cell not in unchanged and cell.text.strip()]
    return (None, *edited) if unchanged or not edited else (edited[0], *edited[1:])


def _step(one: CourseCell, learners: LearnerCell | None) -> Step:
    cell = from_dict(dict(one.cell))
    if learners is not None:
        cell.source = learners.text
    if one.is_solution:
        imports = code_names.imports(one.cell.source) if one.is_code else {}
        names = frozenset(
            name
            for name in one.names.binds
            if not name.startswith("_") and (name in one.names.defines or name not in imports)
        )
        own_imports = "\n".join(dict.fromkeys(imports.values())) or None
        return Step("solution", cell, cell.source if one.is_code else None, own_imports, names, one.grade_id)
    if not one.is_code:
        return Step("text", cell, None, None)
    if one.is_check:
        return Step("check", cell, None, one.cell.source)
    return Step("given", cell, learners.text if learners else one.released, one.cell.source)


def _own(cell: LearnerCell, cell_id: str) -> Step:
    kind = "code" if cell.match is not None and cell.match.is_code else cell.cell.cell_type
    made: dict[str, object] = {"cell_type": kind, "id": cell_id, "metadata": {}, "source": cell.text}
    if kind == "code":
        made |= {"outputs": [], "execution_count": None}
    return Step("own", from_dict(made), cell.text if kind == "code" else None, None)


def _sliced(steps: Sequence[_Placed]) -> list[_Placed]:
    code = [i for i, (step, _) in enumerate(steps) if step.cell.cell_type == "code"]
    runs = slicing.needed([_candidate(*steps[i]) for i in code])
    skipped = {i for i, run in zip(code, runs, strict=True) if not run}
    return [
        (replace(step, learner_source=None, judge_source=None), one) if i in skipped else (step, one)
        for i, (step, one) in enumerate(steps)
    ]


def _candidate(step: Step, one: CourseCell | None) -> slicing.Candidate:
    edited = step.kind == "given" and one is not None and step.learner_source != one.released
    learners = step.kind in ("own", "solution") or edited
    return slicing.Candidate(step.cell.source, one.cell if one else None, learners)

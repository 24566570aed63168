"""Find, for every cell of a submission, the cell of the course that it is.

In this order: the same text; nbgrader's grade_id; the cell id, if the text could belong there (tools re-use ids); the
names that the cell defines, its `#| export` line, its lines, for cells of the course that nothing else has claimed.
A cell that defines another exercise's functions belongs to that exercise, whatever its metadata say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from nbformat import NotebookNode

from coursekit import notebooks
from coursekit.errors import ExportError
from coursekit.grading.rebuilding import code_names
from coursekit.grading.rebuilding.code_names import Names
from coursekit.grading.rebuilding.course_cells import CourseCell, lines, squashed

_TELLING_CHARS = 30  # a shorter text may stand twice by chance


@dataclass
class LearnerCell:
    """One cell of the submission, with the course's cell that it is (None: the learner's own)."""

    number: int
    cell: NotebookNode
    match: CourseCell | None = None
    drop: bool = False

    @property
    def text(self) -> str:
        return str(self.cell.source)

    @cached_property
    def names(self) -> Names:
        names = code_names.of(self.text)
        return names if names.tree or self.cell.cell_type == "code" else Names(tree=False)

    @cached_property
    def lines(self) -> frozenset[str]:
        return lines(self.text)

    @property
    def grade_id(self) -> str | None:
        return notebooks.grade_id(self.cell)

    @cached_property
    def is_unchanged(self) -> bool:
        """Is it still what the course gave? Asked once `match` is known."""
        return self.match is not None and self.match.says(self.text)


@dataclass
class _Index:
    cells: Sequence[CourseCell]
    by_text: dict[str, list[CourseCell]] = field(default_factory=dict)
    by_grade_id: dict[str, CourseCell] = field(default_factory=dict)
    by_id: dict[str, CourseCell] = field(default_factory=dict)
    by_name: dict[str, list[CourseCell]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for cell in self.cells:
            for text in cell.texts:
                self.by_text.setdefault(text, []).append(cell)
            if cell.grade_id is not None:
                self.by_grade_id.setdefault(cell.grade_id, cell)
            self.by_id.setdefault(cell.cell.id, cell)
            for name in cell.names.key if cell.is_solution else ():
                self.by_name.setdefault(name, []).append(cell)


def match(course: Sequence[CourseCell], submitted: NotebookNode) -> list[LearnerCell]:
    """The submission's cells, in their order, each with its match."""
    index = _Index(course)
    cells = [LearnerCell(number, cell) for number, cell in enumerate(submitted.cells, 1)]
    claimed: set[int] = set()
    for cell in cells:
        cell.match = _by_text(cell, index, claimed) or _by_metadata(cell, index)
        if cell.match is not None:
            claimed.add(cell.match.index)
        cell.drop = cell.match is None and not cell.text.strip()
    _match_leftovers([cell for cell in cells if cell.match is None and not cell.drop], course, index, claimed)
    return cells


def _by_text(cell: LearnerCell, index: _Index, claimed: set[int]) -> CourseCell | None:
    text = squashed(cell.text)
    if not text:
        return None
    known = index.by_text.get(text, [])
    named = [one for one in known if one.grade_id is not None and one.grade_id == cell.grade_id]
    same_id = [one for one in known if one.cell.id == cell.cell.id]
    free = [one for one in known if one.index not in claimed]
    if named or same_id or free:
        return (named or same_id or free)[0]
    if known and (len(text) >= _TELLING_CHARS or known[0].is_check):
        return known[0]
    return None


def _by_metadata(cell: LearnerCell, index: _Index) -> CourseCell | None:
    named = index.by_grade_id.get(cell.grade_id) if cell.grade_id is not None else None
    claim = named or index.by_id.get(cell.cell.id)
    if claim is None or (claim.is_solution and claim.names.key & cell.names.binds):
        return claim
    if claim.is_solution and squashed(cell.text) in index.by_text and claim not in index.by_text[squashed(cell.text)]:
        return None  # a copy of what the course gives elsewhere is no answer, whatever its metadata say
    defined = _exercise(cell, index)
    if defined is not None and (claim.is_solution or not cell.names.key & defined.names.key <= claim.names.binds):
        return defined if named is not None else None
    return claim if named is not None or not cell.text.strip() or claim.resembles(cell.lines, cell.names) else None


def _exercise(cell: LearnerCell, index: _Index) -> CourseCell | None:
    """The solution cell of whose names the cell defines the most; a name that it only imports or assigns counts half."""
    counts: dict[int, int] = {}
    for name in cell.names.binds & index.by_name.keys():
        for solution in index.by_name[name]:
            counts[solution.index] = counts.get(solution.index, 0) + (2 if name in cell.names.defines else 1)
    if not counts:
        return None
    return index.cells[max(counts, key=lambda i: (counts[i], -i))]


def _match_leftovers(
    leftovers: Sequence[LearnerCell], course: Sequence[CourseCell], index: _Index, claimed: set[int]
) -> None:
    free = [cell for cell in course if cell.index not in claimed]
    open_solutions = {cell.index for cell in free if cell.is_solution}
    for cell in leftovers:
        exercise = _exercise(cell, index)
        if exercise is None or exercise.index not in open_solutions:
            exercise = _only_exporter(cell, [one for one in free if one.is_solution])
        if exercise is not None:
            cell.match = exercise
            continue
        alike = (one for one in free if not one.is_solution and _is_version_of(cell, one))
        cell.match = next(alike, None)
        if cell.match is not None:
            free.remove(cell.match)


def _only_exporter(cell: LearnerCell, free: Sequence[CourseCell]) -> CourseCell | None:
    """The one unclaimed solution of the same exported file, for a cell whose code cannot be parsed."""
    target = None if cell.names.tree else _target(cell.text)
    exporters = [one for one in free if _target(one.cell.source) == target] if target else []
    return exporters[0] if len(exporters) == 1 else None


def _target(text: str) -> str | None:
    try:
        return notebooks.export_target(text)
    except ExportError:
        return None


def _is_version_of(cell: LearnerCell, one: CourseCell) -> bool:
    if one.is_code != (cell.cell.cell_type == "code"):
        return False
    same_names = bool(one.names.binds) and one.names.binds == cell.names.binds and not one.is_check
    return same_names or one.resembles(cell.lines, Names())

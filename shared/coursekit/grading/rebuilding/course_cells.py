"""The source notebook as the learner saw it: every cell with its text in the release, and ways to find a cell again.

Texts compare without white space, and as syntax trees where somebody ran a formatter over a whole notebook.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property

from nbformat import NotebookNode, from_dict

from coursekit import notebooks
from coursekit.grading.rebuilding import code_names
from coursekit.grading.rebuilding.code_names import Names

_LIKENESS = 0.5  # share of lines in common from which a text belongs to a cell


def squashed(text: str) -> str:
    """A text without its white space."""
    return "".join(text.split())


@dataclass(frozen=True)
class CourseCell:
    """One cell of the source notebook."""

    index: int
    cell: NotebookNode
    released: str

    @property
    def name(self) -> str:
        """What findings call the cell: its grade_id, else its place in the source."""
        return self.grade_id or f"cell {self.index + 1}"

    @cached_property
    def grade_id(self) -> str | None:
        return notebooks.grade_id(self.cell)

    @cached_property
    def is_solution(self) -> bool:
        return notebooks.is_solution(self.cell)

    @cached_property
    def is_check(self) -> bool:
        return notebooks.is_test(self.cell)

    @cached_property
    def is_code(self) -> bool:
        return bool(self.cell.cell_type == "code")

    @cached_property
    def is_locked(self) -> bool:
        nbgrader = self.cell.metadata.get("nbgrader")
        return not self.is_solution and isinstance(nbgrader, dict) and bool(nbgrader.get("locked"))

    @cached_property
    def names(self) -> Names:
        return code_names.of_course(self.cell.source) if self.is_code else Names()

    @cached_property
    def texts(self) -> frozenset[str]:
        """The squashed texts under which the cell is known: released, and with its answers."""
        return frozenset({squashed(self.released), squashed(self.cell.source)} - {""})

    @cached_property
    def lines(self) -> frozenset[str]:
        return lines(self.released) | lines(self.cell.source)

    def says(self, text: str) -> bool:
        """Is this the cell's own text, formatting apart?"""
        return squashed(text) in self.texts or (self.is_code and syntax(text) in self._syntax)

    @cached_property
    def _syntax(self) -> frozenset[str]:
        return frozenset({syntax(self.released), syntax(self.cell.source)} - {None, ""})  # type: ignore[arg-type]

    def is_stub(self, text: str) -> bool:
        """Is a solution's text the release's, that is: unsolved?"""
        return squashed(text) in ("", squashed(self.released)) and squashed(text) != squashed(self.cell.source)

    def resembles(self, theirs: frozenset[str], names: Names) -> bool:
        """Could a text with these telling lines and names be an edited version of the cell?"""
        common = self.names.key & names.binds
        if common and (self.is_solution or len(common) >= _LIKENESS * len(self.names.key)):
            return True
        return bool(theirs) and len(theirs & self.lines) >= _LIKENESS * max(len(theirs), len(self.lines))


def lines(text: str) -> frozenset[str]:
    """The telling lines of a text."""
    return frozenset(line.strip() for line in text.splitlines() if len(line.strip()) > 3)


def course_cells(source: NotebookNode) -> list[CourseCell]:
    """The cells of the source notebook, each with a valid id and its text in the release."""
    cells = []
    for index, original in enumerate(source.cells):
        cell = from_dict({"id": f"source-{index + 1}", **original})
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cells.append(CourseCell(index, cell, _released(cell)))
    return cells


def _released(cell: NotebookNode) -> str:
    from nbgrader.preprocessors import ClearHiddenTests

    from coursekit.grading.stubs import NamedStubs

    copy = from_dict(dict(cell))
    if notebooks.is_solution(cell) or "BEGIN SOLUTION" in cell.source:
        NamedStubs().preprocess_cell(copy, {"language": "python"}, 0)
    if "BEGIN HIDDEN TESTS" in cell.source:
        ClearHiddenTests().preprocess_cell(copy, {}, 0)
    return str(copy.source)


def syntax(text: str) -> str | None:
    """The text's syntax tree as text: what a formatter leaves alone. None for what is not plain Python."""
    parsed = code_names.parse(text)
    try:
        return ast.dump(parsed[0]) if parsed is not None and parsed[1] == text and parsed[0].body else None
    except RecursionError:
        return None

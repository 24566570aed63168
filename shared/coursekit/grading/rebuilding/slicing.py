"""Which cells grading has to run: those that earn points, and those that these stand on.

Set-up is what is tagged `parameters`, loads an extension, or imports before the first exercise. It runs, and so do all
cells that nbgrader knows, all `#| export` cells and the learner's own or edited cells. Any other cell of the course runs
only if it stands before the last check and binds a name that a cell which runs needs, and so on. The learner's own cells
count in this when they bind such a name; one that only looks at what has been left out is left out too.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Sequence
from dataclasses import dataclass

from nbformat import NotebookNode

from coursekit import notebooks
from coursekit.errors import ExportError
from coursekit.grading.rebuilding import code_names
from coursekit.grading.rebuilding.code_names import Names

_EXTENSION = re.compile(r"^[ \t]*%(?:load_ext|reload_ext|matplotlib|autoreload)\b", re.MULTILINE)
_ALWAYS = frozenset(dir(builtins)) | {
    "get_ipython",
    "display",
    "In",
    "Out",
    "_",
    "__name__",
    "__builtins__",
    "exit",
    "quit",
}


@dataclass(frozen=True)
class Candidate:
    """One code cell: its text, whose it is, and the source's cell for all that is not the learner's own."""

    text: str
    source: NotebookNode | None
    learners: bool  # own or edited


def needed(cells: Sequence[Candidate]) -> list[bool]:
    """For each code cell, in order: does it run?"""
    names = [code_names.of(cell.text) if cell.learners else code_names.of_course(cell.text) for cell in cells]
    last_check = max((i for i, cell in enumerate(cells) if cell.source and notebooks.is_test(cell.source)), default=-1)
    graded = (i for i, cell in enumerate(cells) if cell.source is not None and _earns(cell.source))
    first_exercise = next(graded, len(cells))
    runs = [_is_root(cell, names[i], i < first_exercise) for i, cell in enumerate(cells)]
    gives = [
        names[i].binds | names[i].changes if cell.learners else names[i].binds if i < last_check else frozenset()
        for i, cell in enumerate(cells)
    ]
    _close(runs, names, gives)
    _add_onlookers(runs, names, cells)
    return runs


def exports(cell: NotebookNode | str) -> bool:
    """Does the cell write to the learner's package? A malformed export line counts: running it shows the error."""
    try:
        return notebooks.export_target(cell if isinstance(cell, str) else cell.source) is not None
    except ExportError:
        return True


def _earns(cell: NotebookNode) -> bool:
    return notebooks.is_solution(cell) or notebooks.is_test(cell)


def _is_root(cell: Candidate, names: Names, before_exercises: bool) -> bool:
    if exports(cell.text):
        return True
    if cell.source is None:
        return False
    known = notebooks.grade_id(cell.source) is not None or notebooks.PARAMETERS_TAG in notebooks.tags(cell.source)
    set_up = before_exercises and (names.imports or _EXTENSION.search(cell.source.source) is not None)
    return known or names.star or set_up


def _close(runs: list[bool], names: Sequence[Names], gives: Sequence[frozenset[str]]) -> None:
    """Add, transitively, the cells that give (bind; the learner's also: change) a name that running cells need."""
    wanted = set().union(*(names[i].needs for i, run in enumerate(runs) if run))
    while True:
        found = [i for i, run in enumerate(runs) if not run and gives[i] & wanted]
        if not found:
            return
        for i in found:
            runs[i] = True
            wanted |= names[i].needs


def _add_onlookers(runs: list[bool], names: Sequence[Names], cells: Sequence[Candidate]) -> None:
    """The learner's remaining cells, except those that need a name that only cells left out bind."""
    missing: set[str] = set()
    present = set(_ALWAYS)
    for i, cell in enumerate(cells):
        if cell.learners and not runs[i]:
            runs[i] = not (names[i].needs_now - present) & missing
        if runs[i]:
            present |= names[i].binds
        else:
            missing |= names[i].binds

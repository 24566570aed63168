"""What a submission changed in cells that were not the learner's to change, in sentences; everything is put back.

Lost metadata are an accident of some other tool and are reported as repaired, not as tampering.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from coursekit import notebooks
from coursekit.grading.rebuilding.course_cells import CourseCell
from coursekit.grading.rebuilding.matching import LearnerCell
from coursekit.grading.results import Finding

_FIELDS = ("grade", "solution", "locked", "task", "points")
_LISTED = 5


def findings(course: Sequence[CourseCell], cells: Sequence[LearnerCell]) -> Iterator[Finding]:
    """Tampering, repairs and notes of one submission, in the course's order of cells."""
    copies: dict[int, list[LearnerCell]] = {}
    for cell in cells:
        if cell.match is not None:
            copies.setdefault(cell.match.index, []).append(cell)
    bare, retyped, missing = [], [], []
    for one in course:
        mine = copies.get(one.index, [])
        yield from _changed_text(one, mine)
        for cell in mine:
            yield from _changed_metadata(one, cell)
        if mine and one.grade_id is not None and not any("nbgrader" in cell.cell.metadata for cell in mine):
            bare.append(one.name)
        if any(one.is_code and cell.cell.cell_type != "code" for cell in mine):
            retyped.append(one.name)
        if not mine and one.is_solution:
            yield Finding("note", f"there is no cell for the exercise {one.name}", one.name)
        elif not mine and (one.is_check or one.is_locked):
            missing.append(one.name)
    if bare:
        yield Finding("repair", f"lost nbgrader's metadata, found by text or names: {_listed(bare)}")
    if retyped:
        yield Finding("repair", f"no longer a code cell, and one again: {_listed(retyped)}")
    if missing:
        yield Finding("note", f"these cells were deleted, and are graded all the same: {_listed(missing)}")
    order = [cell.match.index for cell in cells if cell.match is not None and cell is copies[cell.match.index][0]]
    if order != sorted(order):
        yield Finding("note", "the cells stood in another order; graded in the course's")


def _changed_text(one: CourseCell, mine: Sequence[LearnerCell]) -> Iterator[Finding]:
    changed = [cell for cell in mine if not cell.is_unchanged and cell.text.strip()]
    if one.is_check and changed:
        yield Finding("tamper", f"the text of the check {one.name} was changed; put back", one.name)
    elif one.is_locked and changed and len(changed) == len(mine):
        yield Finding("tamper", f"the text of the locked cell {one.name} was changed; put back", one.name)


def _changed_metadata(one: CourseCell, cell: LearnerCell) -> Iterator[Finding]:
    theirs = cell.cell.metadata.get("nbgrader")
    ours: dict[str, Any] = one.cell.metadata.get("nbgrader") or {}
    if isinstance(theirs, dict):
        if "grade_id" in theirs and cell.grade_id != one.grade_id:
            yield Finding("tamper", f"{one.name} carried the grade_id {cell.grade_id!r}; put back", one.name)
        elif ours:
            for key in _FIELDS:
                if key in theirs and key in ours and theirs[key] != ours[key]:
                    change = f"{key} of {one.name} changed from {ours[key]} to {theirs[key]!r:.40}; put back"
                    yield Finding("tamper", change, one.name)
    before, after = set(notebooks.tags(one.cell)), set(notebooks.tags(cell.cell))
    added = after - before if ours or before else set()
    lost = before - after if after or (ours and isinstance(theirs, dict)) else set()
    if added or lost:
        change = ", ".join(sorted([f"+{tag}" for tag in added] + [f"-{tag}" for tag in lost]))
        yield Finding("tamper", f"the tags of {one.name} were changed ({change:.100}); put back", one.name)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more

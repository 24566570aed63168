"""From a submission's bytes to what the judge does, step by step, and back to an executed notebook."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from coursekit import notebooks
from coursekit.grading.rebuilding.rebuild import Rebuilt, rebuild

if TYPE_CHECKING:
    from nbformat import NotebookNode

notebooks.import_nbformat()  # here, because judges are forked from a process that has imported this module


def make(
    source: Path, submitted: NotebookNode, execute: Literal["all", "needed"], only: Collection[str] | None = None
) -> Rebuilt:
    """The source notebook with the learner's texts put in; with `only`, other checks than these are left out."""
    rebuilt = rebuild(notebooks.read(source), submitted, execute=execute)
    if only is None:
        return rebuilt
    chosen = (step for step in rebuilt.steps if step.kind != "check" or notebooks.grade_id(step.cell) in only)
    return replace(rebuilt, steps=tuple(chosen))


def steps(rebuilt: Rebuilt) -> list[dict[str, Any]]:
    """The steps as plain data."""
    return [
        {
            "kind": step.kind,
            "id": notebooks.grade_id(step.cell) or str(step.cell.get("id", "")),
            "learner": step.learner_source,
            "judge": step.judge_source,
            "names": sorted(step.names),
            "points": notebooks.points(step.cell),
            "tags": notebooks.tags(step.cell),
        }
        for step in rebuilt.steps
    ]


def executed(rebuilt: Rebuilt, outputs: list[list[dict[str, Any]]]) -> str:
    """The rebuilt notebook with what its cells showed, as nbformat JSON."""
    import nbformat

    notebook = rebuilt.notebook()
    for number, (cell, shown) in enumerate(zip(notebook.cells, outputs, strict=True), start=1):
        if cell.cell_type == "code":
            cell.outputs = [nbformat.from_dict(output) for output in shown]
            cell.execution_count = number if shown else None
    return str(nbformat.writes(notebook))

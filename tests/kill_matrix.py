"""The kill matrix: every check against right and wrong answers, each graded as a submission of its own.

`tests/submissions/<module>/<exercise>.yml` holds the answers. A submission is the release notebook with the reference in
every exercise but one, which holds the answer under test. Cells that no check depends on (experiments, play cells,
prose) are left out: a check must stand on the set-up, the exported cells and itself. Of the checks, those run that the
answer can change (`affected`): the other checks see nothing of it, and the reference shows that they pass.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import nbformat
import yaml
from nbformat import NotebookNode

from coursekit import manifest, notebooks, settings
from coursekit.grading.rebuilding import code_names

SUBMISSIONS = Path(__file__).parent / "submissions"
SETUP_CELLS = 3  # parameters, %load_ext, imports


@dataclass(frozen=True)
class Answer:
    """One answer under test. `fails` are the checks that must give no points: all others must give all."""

    module_id: str
    exercise: str
    name: str
    kind: Literal["right", "wrong"]
    code: str
    fails: frozenset[str]
    mistake: str

    @property
    def id(self) -> str:
        return f"{self.exercise}.{self.kind}.{self.name}"


@cache
def load(module_id: str) -> tuple[Answer, ...]:
    """Every answer under test of one module, in the order of the files."""
    answers = []
    for path in sorted((SUBMISSIONS / module_id).glob("*.yml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        for kind in ("right", "wrong"):
            answers += [_answer(module_id, path, data["exercise"], kind, item) for item in data[kind]]
    return tuple(answers)


def _answer(module_id: str, path: Path, exercise: str, kind: Any, item: dict[str, Any]) -> Answer:
    fails = frozenset(item.get("fails", []))
    if kind == "wrong" and not (fails and item.get("mistake")):
        raise ValueError(f"{path}: the wrong answer {item.get('name')!r} needs `mistake` and `fails`")
    return Answer(module_id, exercise, item["name"], kind, item["code"], fails, item.get("mistake", ""))


def exercises(where: settings.Settings, module: manifest.Module) -> dict[str, str]:
    """The reference's solution cells of one module: source by exercise."""
    notebook = notebooks.read(where.solution(module.id))
    return {str(notebooks.grade_id(cell)): cell.source for cell in notebook.cells if notebooks.is_solution(cell)}


def build(where: settings.Settings, module: manifest.Module, answers: Sequence[Answer], target: Path) -> Path:
    """Write the submission that holds `answers`, one an exercise at most, and else the reference to `target`."""
    notebook = notebooks.read(where.notebooks_dir / module.id / f"{module.id}.ipynb")
    reference = exercises(where, module)
    kept = [cell for index, cell in enumerate(notebooks.code_cells(notebook)) if index < SETUP_CELLS or _matters(cell)]
    given = {answer.exercise: answer.code.strip() for answer in answers}
    for cell in kept:
        if notebooks.is_solution(cell):
            exercise = str(notebooks.grade_id(cell))
            cell.source = given.get(exercise, reference[exercise])
    notebook.cells = kept
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    return target


def _matters(cell: NotebookNode) -> bool:
    return notebooks.is_solution(cell) or notebooks.is_test(cell) or notebooks.export_target(cell.source) is not None


def affected(where: settings.Settings, module: manifest.Module, answer: Answer) -> frozenset[str]:
    """The checks that may come out differently with `answer` than with the reference.

    Those of its exercise, and those that need a name which its cell, or the reference's, binds or changes, or which is
    defined with the help of such a name. What both import from elsewhere does not count. By names alone, so generous.
    """
    notebook = notebooks.read(where.solution(module.id))
    cells, of_check = notebooks.code_cells(notebook), notebooks.exercises(notebook)
    names = [code_names.of_course(cell.source) for cell in cells]
    needs = [found.needs | _siblings(cell.source) for found, cell in zip(names, cells, strict=True)]
    given = code_names.of(answer.code)
    if not given.tree:  # not Python: nothing is known of it
        return frozenset(of_check)
    own = next(names[i] for i, cell in enumerate(cells) if notebooks.grade_id(cell) == answer.exercise)
    imported = frozenset[str]().union(*(found.binds - found.defines for found in names if found.imports))
    spoiled = (given.binds | given.changes | own.binds) - (imported - given.defines - own.defines)
    others = [i for i, cell in enumerate(cells) if not notebooks.is_test(cell)]
    while further := {name for i in others if needs[i] & spoiled for name in names[i].defines} - spoiled:
        spoiled |= further
    ids = [str(notebooks.grade_id(cell)) for cell in cells]
    return frozenset(
        check
        for i, check in enumerate(ids)
        if check in of_check and (of_check[check] == answer.exercise or needs[i] & spoiled)
    )


@cache
def _siblings(source: str) -> frozenset[str]:
    """The names that a cell imports from the learner's package: a sibling file's, so perhaps another exercise's."""
    parsed = code_names.parse(source)
    nodes = ast.walk(parsed[0]) if parsed is not None else ()
    froms = (
        node for node in nodes if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("assistant.")
    )
    return frozenset(alias.name for node in froms for alias in node.names)


def render(checks: Sequence[str], rows: Sequence[tuple[str, frozenset[str]]]) -> str:
    """The matrix as text: one row per answer, one column per check, ✗ where it gave no points."""
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"{'':<{width}}  {index:>2} = {check}" for index, check in enumerate(checks)]
    lines.append(f"{'':<{width}}  " + " ".join(f"{index:>2}" for index in range(len(checks))))
    for name, failed in rows:
        marks = " ".join(" ✗" if check in failed else " ·" for check in checks)
        lines.append(f"{name:<{width}}  {marks}")
    return "\n".join(lines)

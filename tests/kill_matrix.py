"""The kill matrix: every check against right and wrong answers, each graded as a submission of its own.

`tests/submissions/<module>/<exercise>.yml` holds the answers. A submission is the release notebook with the reference in
every exercise but one, which holds the answer under test. Cells that no check depends on (experiments, play cells,
prose) are left out: a check must stand on the set-up, the exported cells and itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import nbformat
import yaml
from nbformat import NotebookNode

from coursekit import manifest, notebooks, settings

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


def build(where: settings.Settings, module: manifest.Module, answer: Answer | None, target: Path) -> Path:
    """Write the submission that holds `answer` (None: the reference everywhere) to `target`."""
    notebook = notebooks.read(where.notebooks_dir / module.id / f"{module.id}.ipynb")
    reference = exercises(where, module)
    kept = [cell for index, cell in enumerate(notebooks.code_cells(notebook)) if index < SETUP_CELLS or _matters(cell)]
    for cell in kept:
        if notebooks.is_solution(cell):
            exercise = str(notebooks.grade_id(cell))
            replaced = answer is not None and answer.exercise == exercise
            cell.source = answer.code.strip() if answer and replaced else reference[exercise]
    notebook.cells = kept
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)
    return target


def _matters(cell: NotebookNode) -> bool:
    return notebooks.is_solution(cell) or notebooks.is_test(cell) or notebooks.export_target(cell.source) is not None


def render(checks: Sequence[str], rows: Sequence[tuple[str, frozenset[str]]]) -> str:
    """The matrix as text: one row per answer, one column per check, ✗ where it gave no points."""
    width = max((len(name) for name, _ in rows), default=0)
    lines = [f"{'':<{width}}  {index:>2} = {check}" for index, check in enumerate(checks)]
    lines.append(f"{'':<{width}}  " + " ".join(f"{index:>2}" for index in range(len(checks))))
    for name, failed in rows:
        marks = " ".join(" ✗" if check in failed else " ·" for check in checks)
        lines.append(f"{name:<{width}}  {marks}")
    return "\n".join(lines)

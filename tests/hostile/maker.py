"""What a hostile submission is, and how one is made: from the release, solved, with something put in its place or beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import nbformat
from nbformat import NotebookNode

from tests.hostile import course
from tests.hostile.course import H1, H2
from tests.hostile.scene import Scene

ALL = frozenset({"median", "retry", "batches", "ledger", "slug"})
NONE: frozenset[str] = frozenset()
CONFESSION = '    if globals().get("LOOT"):\n        raise RuntimeError(f"the attack got through: {LOOT}")'


@dataclass(frozen=True)
class Maker:
    """Makes one student's submission of one module in a scene."""

    scene: Scene
    student: str
    module: str = H1

    @property
    def path(self) -> Path:
        """Where the submission belongs; its folder exists."""
        path = self.scene.submitted(self.student, self.module)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def blank(self) -> NotebookNode:
        """The release as the learner gets it."""
        return nbformat.read(self.scene.release(self.module), as_version=4)

    def solved(self, **replaced: str) -> NotebookNode:
        """The release with right answers; `replaced` gives other texts, by exercise."""
        notebook = self.blank()
        for exercise in course.EXERCISES[self.module]:
            solution(notebook, exercise.name).source = replaced.get(exercise.name, exercise.answer)
        return notebook

    def facts(self) -> str:
        """The opening of an attack by somebody well informed: what lies where, and how to say that it worked."""
        values: dict[str, object] = {
            "ROOT": str(self.scene.root),
            "GRADING": str(self.scene.grading),
            "HOME": str(self.scene.home),
            "OUTSIDE": str(self.scene.outside),
            "MARKER": self.scene.marker,
            "PORT": self.scene.port,
        }
        lines = [f"{name} = {value!r}" for name, value in values.items()]
        return "\n".join(
            [*lines, "LOOT = []  # what the attack got; an honest grader never lets anything in here", LOOK]
        )


LOOK = '''
def look(text):
    """Keep what a secret text gives away."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
    start = text.find("CANA" "RY-" + MARKER)
    if start >= 0:
        LOOT.append(text[start : start + 40])


def trying(step, *arguments):
    """Try one way; being refused is nothing new."""
    try:
        return step(*arguments)
    except Exception as error:
        print(type(error).__name__, str(error)[:100])
'''

Made: TypeAlias = NotebookNode | bytes | None


@dataclass(frozen=True)
class Hostile:
    """One submission: what it tries, how it is made, and the right outcome.

    `make` returns the notebook, the file's bytes, or None when it has put something at `maker.path` itself. `earns` are the
    checks that its honest part deserves, `may_earn` those where both verdicts are fair. `error` is a pattern that the
    recorded reason must match (no reason is expected without one). `needs_isolation`: right only with an isolation stronger
    than the plain process. `leaves` is asserted after the run.
    """

    name: str
    what: str
    make: Callable[[Maker], Made]
    earns: frozenset[str] = ALL
    may_earn: frozenset[str] = NONE
    error: str | None = None
    finding: Literal["repair", "tamper", "note"] | None = None
    needs_isolation: bool = False
    leaves: Callable[[Scene], None] | None = None
    module: str = H1
    odd_python: bool = False  # some cell is not meant to compile
    never: str | None = None  # a pattern that no message may match

    @property
    def points(self) -> float:
        return sum(course.POINTS[self.module][name] for name in self.earns)

    @property
    def most_points(self) -> float:
        return sum(course.POINTS[self.module][name] for name in self.earns | self.may_earn)


def attack(
    name: str,
    what: str,
    *,
    first: str = "",
    last: str = "",
    confess: bool = False,
    informed: bool = False,
    earns: frozenset[str] = ALL,
    may_earn: frozenset[str] = NONE,
    needs_isolation: bool = False,
    leaves: Callable[[Scene], None] | None = None,
    module: str = H1,
    replaced: Mapping[str, str] | None = None,
    never: str | None = None,
    odd_python: bool = False,
) -> Hostile:
    """A solved notebook with an own cell before the first exercise, one after the last check, and replaced solutions.

    `informed` starts with `Maker.facts`; `confess` (which implies it) makes the module's last exercise fail when the attack
    has got something.
    """

    def make(maker: Maker) -> NotebookNode:
        texts = dict(replaced or {})
        if confess:
            exercise = course.EXERCISES[module][-1]
            texts[exercise.name] = f"{exercise.head}\n{CONFESSION}\n{exercise.body}"
        # not exported: an exported cell may not lean on the attack's own cell, and would not even run
        notebook = maker.solved(**{name: _unexported(text) for name, text in texts.items()})
        opening = "\n\n".join(part for part in (maker.facts() if informed or confess else "", first) if part.strip())
        if opening:
            notebook.cells.insert(index(notebook, f"{course.EXERCISES[module][0].name}-solution"), own(opening))
        if last:
            notebook.cells.append(own(last))
        return notebook

    return Hostile(name, what, make, earns, may_earn, needs_isolation=needs_isolation, leaves=leaves, module=module, odd_python=odd_python, never=never)  # fmt: skip


def _unexported(text: str) -> str:
    first, _, rest = text.partition("\n")
    return rest if first.startswith("#| export") else text


def without(*names: str, module: str = H1) -> frozenset[str]:
    """Every check of the module but these."""
    return frozenset(course.POINTS[module]) - set(names)


ALL_OF_H2 = without(module=H2)


def own(source: str) -> NotebookNode:
    """A cell that the learner has added."""
    return nbformat.v4.new_code_cell(source)


def index(notebook: NotebookNode, name: str) -> int:
    """The place of the cell whose grade_id ends in `name` (`slug`, `slug-solution`)."""
    for place, cell in enumerate(notebook.cells):
        if cell.metadata.get("nbgrader", {}).get("grade_id", "").split("-", 1)[-1] == name:
            return place
    raise LookupError(f"no cell {name}")


def check(notebook: NotebookNode, name: str) -> NotebookNode:
    """The check cell of this name."""
    return notebook.cells[index(notebook, name)]


def solution(notebook: NotebookNode, name: str) -> NotebookNode:
    """The solution cell of this exercise."""
    return notebook.cells[index(notebook, f"{name}-solution")]


def raw(notebook: NotebookNode) -> bytes:
    """The notebook as the file's bytes, not validated and not repaired."""
    return json.dumps(notebook, indent=1).encode("ascii")


def put(hostile: Hostile, maker: Maker) -> Path:
    """Make the submission and put it where it belongs."""
    made = hostile.make(maker)
    if made is not None:
        maker.path.write_bytes(made if isinstance(made, bytes) else raw(made))
    return maker.path

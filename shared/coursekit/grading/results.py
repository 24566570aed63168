"""What grading one submission yields: plain records that cross process and machine borders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FindingKind = Literal["repair", "tamper", "note"]


@dataclass(frozen=True)
class Finding:
    """Something about a submission that a person may want to know.

    `repair`: the file was unlucky and has been mended. `tamper`: something that the learner was not to change was changed,
    and has been put back. `note`: anything else (a cell was stopped, an own cell failed).
    """

    kind: FindingKind
    message: str
    cell: str | None = None


@dataclass(frozen=True)
class CheckGrade:
    """One check of one submission: points earned and possible, and the message of the failure if it failed.

    `weaker` says that the check had to run in the learner's own process (see docs/maintainers.md, "Rules for check cells").
    """

    check_id: str
    points: float
    max_points: float
    message: str = ""
    weaker: bool = False

    @property
    def passed(self) -> bool:
        return self.points >= self.max_points


@dataclass(frozen=True)
class Grade:
    """One submission's result; `error` says why there is none.

    `notebook` is the rebuilt and executed notebook as nbformat JSON: the source's cells in the source's order and metadata,
    the learner's text in the solution cells, outputs as they came, check cells with their hidden tests.
    """

    student: str
    module_id: str
    checks: tuple[CheckGrade, ...] = ()
    error: str | None = None
    findings: tuple[Finding, ...] = ()
    notebook: str | None = None
    seconds: float = 0.0
    isolation: str = ""

    @property
    def points(self) -> float:
        return sum(check.points for check in self.checks)

    @property
    def max_points(self) -> float:
        return sum(check.max_points for check in self.checks)

    @property
    def failed_checks(self) -> frozenset[str]:
        return frozenset(check.check_id for check in self.checks if not check.passed)

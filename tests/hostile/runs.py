"""A grading run under the warden's eyes, and what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coursekit.grading.results import CheckGrade, Finding, Grade
from tests.conftest import ROOT
from tests.hostile.scene import Scene

WORKERS = 3  # many submissions only wait for a limit


@dataclass
class Run:
    """One run: grades as they were announced, or why it was refused, and how the process ended."""

    grades: list[Grade] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # graded by an earlier run, with the same inputs
    finished: list[str] | None = None  # the students of the returned list; None when the run did not come to its end
    refused: str | None = None
    exit_code: int | None = None
    timed_out: bool = False
    seconds: float = 0.0
    orphans: list[str] = field(default_factory=list)
    log: str = ""

    def grade(self, student: str) -> Grade:
        """The one grade of this student."""
        found = [grade for grade in self.grades if grade.student == student]
        assert len(found) == 1, f"{len(found)} grades of {student}; {self.story}"
        return found[0]

    @property
    def story(self) -> str:
        """What happened, for a failing test's message."""
        ended = "timed out" if self.timed_out else f"ended with {self.exit_code}"
        return f"{len(self.grades)} grades, {ended} after {self.seconds:.0f} s, refused: {self.refused}\n{self.log[-3000:]}"


def grade(
    scene: Scene, module: str, isolation: str = "auto", *, timeout: float = 300, signal: int = 0, after: int = 0
) -> Run:
    """Grade all submissions of a module; with `signal`, disturb the run so when `after` grades are there."""
    with started(scene, module, isolation, timeout=timeout, signal=signal, after=after) as result:
        pass
    return result


@contextmanager
def started(
    scene: Scene, module: str, isolation: str = "auto", *, timeout: float = 300, signal: int = 0, after: int = 0
) -> Iterator[Run]:
    """The same, while the body of the `with` runs; the result is filled at its end."""
    folder = scene.root.parent
    number = len(list(folder.glob("run-*.jsonl")))
    out, report, log = (folder / f"run-{number}.{suffix}" for suffix in ("jsonl", "report", "log"))
    out.touch()
    command = [
        sys.executable,
        "-m",
        "tests.hostile.grade_once",
        str(scene.root),
        module,
        isolation,
        str(WORKERS),
        str(out),
    ]
    watched = [str(report), str(timeout), str(signal), str(after), str(out), *command]
    result = Run()
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.warden", *watched],
            cwd=ROOT, env=scene.environment(), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
        )  # fmt: skip
        try:
            yield result
            process.wait(timeout + 60)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)
    _fill(result, out, report, log)


def _fill(result: Run, out: Path, report: Path, log: Path) -> None:
    result.log = log.read_text(encoding="utf-8", errors="replace")
    for line in out.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:  # the run was killed while it wrote this line
            continue
        if "grade" in record:
            result.grades.append(_grade(record["grade"]))
        if "skipped" in record:
            result.skipped.append(record["skipped"])
        result.finished = record.get("finished", result.finished)
        result.refused = record.get("refused", result.refused)
    if report.exists():
        for name, value in json.loads(report.read_text(encoding="utf-8")).items():
            setattr(result, name, value)


def _grade(data: dict[str, Any]) -> Grade:
    checks = tuple(CheckGrade(**item) for item in data.pop("checks"))
    findings = tuple(Finding(**item) for item in data.pop("findings"))
    return Grade(**data, checks=checks, findings=findings)

"""`course bench grading --course small`: a large class, a grader that is killed and resumed, memory that must stay flat.

A small course is graded by `course grade` as a process of its own. That process is killed (SIGKILL) twice, early on, and
started again; then every row of the gradebook is compared with the points that the submission deserves.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coursekit import settings
from coursekit.errors import GradingError
from coursekit.grading import sample_course
from coursekit.grading.memory import descendants, proportional_mb, resident_mb
from coursekit.grading.recording.audit import FILE_NAME, Audit

_ROUND_SECONDS = 0.2
_SAMPLE_SECONDS = 1.0


@dataclass(frozen=True)
class Sample:
    """Memory at one moment: of the grader itself (resident), and of all its children (proportional)."""

    done: int
    grader_mb: float
    stations_mb: float


@dataclass(frozen=True)
class Endurance:
    """What came of the run. `first` and `last` are medians over the first and last tenth of what the last process graded."""

    submissions: int
    workers: int
    kills: int
    seconds: float
    first: Sample
    last: Sample
    wrong: tuple[str, ...]
    left_over: int


def endure(
    submissions: int = 1000,
    workers: int = 2,
    kills: Sequence[float] = (0.1, 0.2),
    isolation: str = "auto",
    say: Callable[[int], None] = lambda done: None,
) -> Endurance:
    """Grade so many submissions of the small course, killing the grader when these shares of them are done.

    Args:
        say: told how many are done, about every second.

    Raises:
        GradingError: the grader ended by itself with an error.
    """
    with tempfile.TemporaryDirectory(prefix="course-endurance-") as folder:
        where, _, module = sample_course.write(Path(folder))
        totals = sample_course.hand_in(where, submissions)
        options = ["--workers", str(workers), "--isolation", isolation]
        command = [sys.executable, "-m", "coursekit", "grade", module.id, *options]
        started = time.monotonic()
        left_over = 0
        samples: list[Sample] = []
        for share in (*kills, None):
            limit = None if share is None else int(share * submissions)
            samples, children = _grade(where, command, limit, say)
            left_over += _outlived(children)
        seconds = time.monotonic() - started
        rows = _rows(where, module.id)
        wrong = tuple(name for name, points in totals.items() if rows.get(name) != points)
    tenth = max(len(samples) // 10, 1)
    first, last = (_median(some) for some in (samples[:tenth], samples[-tenth:]))
    return Endurance(submissions, workers, len(kills), seconds, first, last, wrong, left_over)


def _grade(
    where: settings.Settings, command: list[str], limit: int | None, say: Callable[[int], None]
) -> tuple[list[Sample], set[int]]:
    """One grader, killed when `limit` submissions are done; returns samples from its first grade on, and its children."""
    environ = {**os.environ, "COURSE_ROOT": str(where.root), "COURSE_STATE": str(where.state_dir)}
    log = where.root / "grade.log"
    samples: list[Sample] = []
    children: set[int] = set()
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        before, due = _done(where), 0.0
        try:
            while process.poll() is None:
                done = _done(where)
                if limit is not None and done >= limit:
                    children = set(descendants(process.pid))
                    process.send_signal(signal.SIGKILL)
                    process.wait()
                elif done > before and time.monotonic() > due:
                    due = time.monotonic() + _SAMPLE_SECONDS
                    stations = sum(map(proportional_mb, descendants(process.pid)))
                    if stations:  # else it is about to end
                        samples.append(Sample(done, resident_mb(process.pid), stations))
                    say(done)
                time.sleep(_ROUND_SECONDS)
        finally:
            process.kill()
            process.wait()
    if limit is None and process.returncode != 0:
        raise GradingError(f"the grader ended with {process.returncode}: {log.read_text(errors='replace')[-1000:]}")
    return samples, children


def _outlived(children: set[int]) -> int:
    """How many of a killed grader's children are still there after a while."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(proportional_mb(pid) for pid in children):
        time.sleep(_ROUND_SECONDS)
    return sum(proportional_mb(pid) > 0 for pid in children)


def _done(where: settings.Settings) -> int:
    return len(list((where.grading_dir / "autograded").glob(f"[!.]*/{sample_course.MODULE}")))


def _rows(where: settings.Settings, module_id: str) -> dict[str, float]:
    """Points by student, as the gradebook and the audit agree on them."""
    from nbgrader.api import Gradebook

    audit = Audit(where.grading_dir / FILE_NAME)
    try:
        audited = {student: points for student, (_, points) in audit.keys(module_id).items()}
    finally:
        audit.close()
    with Gradebook(f"sqlite:///{where.grading_dir / 'gradebook.db'}") as book:
        rows = {row.student.id: float(row.score) for row in book.assignment_submissions(module_id)}
    return {student: points for student, points in rows.items() if audited.get(student) == points}


def _median(samples: Sequence[Sample]) -> Sample:
    if not samples:
        return Sample(0, 0.0, 0.0)
    grader, stations = ([getattr(s, name) for s in samples] for name in ("grader_mb", "stations_mb"))
    return Sample(samples[-1].done, statistics.median(grader), statistics.median(stations))

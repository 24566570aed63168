"""The grader's own memory, `audit.db`: who graded what and when, with which verdicts and findings.

nbgrader's gradebook has no place for these. A submission's row is written last, when its grade is in the gradebook and its
notebook in place: a row with the submission's key means that there is nothing left to do. Rows are added, never changed.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from coursekit.grading.recording.locking import who
from coursekit.grading.results import CheckGrade, Finding

FILE_NAME = "audit.db"
PATIENCE_SECONDS = 30.0  # how long to wait for another process that writes
_COUNTS = ("graded", "rejected", "failed", "skipped")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, module TEXT NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL, host TEXT NOT NULL,
    pid INTEGER NOT NULL, version TEXT NOT NULL, started TEXT NOT NULL, ended TEXT, interrupted INTEGER NOT NULL DEFAULT 1,
    graded INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS submissions (
    id INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES runs(id), student TEXT NOT NULL, module TEXT NOT NULL,
    digest TEXT NOT NULL, key TEXT NOT NULL, points REAL NOT NULL, max_points REAL NOT NULL, error TEXT,
    isolation TEXT NOT NULL, seconds REAL NOT NULL, findings TEXT NOT NULL, checks TEXT NOT NULL, recorded TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS submissions_by_student ON submissions (module, student, id);
"""


@dataclass(frozen=True)
class Run:
    """One call of the grader; `interrupted` until it has ended by itself."""

    id: int
    module: str
    what: str
    who: str
    host: str
    pid: int
    version: str
    started: str
    ended: str | None
    interrupted: bool
    graded: int
    rejected: int
    failed: int
    skipped: int


@dataclass(frozen=True)
class Entry:
    """One recorded submission.

    `points` are the automatic ones that stand in the gradebook; `error` is why this file got none of its own, in which case
    `points` may still be those of an earlier file (see `coursekit.grading.recording.record`).
    """

    student: str
    module: str
    digest: str
    key: str
    points: float
    max_points: float
    error: str | None
    isolation: str
    seconds: float
    findings: tuple[Finding, ...]
    checks: tuple[CheckGrade, ...]
    recorded: str = ""


_ENTRY = tuple(field.name for field in fields(Entry))


class Audit:
    """The open database. One writer at a time (the recorder); readers may come at any time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, timeout=PATIENCE_SECONDS, check_same_thread=False)
        with self._db:
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def begin_run(self, module: str, what: str, version: str) -> int:
        """Note that a run starts; it counts as interrupted until `end_run`."""
        row = (module, what, who(), socket.gethostname(), os.getpid(), version, _now())
        with self._db:
            cursor = self._db.execute(
                "INSERT INTO runs (module, what, who, host, pid, version, started) VALUES (?, ?, ?, ?, ?, ?, ?)", row
            )
        return int(cursor.lastrowid or 0)

    def end_run(self, run_id: int, *, interrupted: bool) -> None:
        """Note that a run has ended, by itself or not."""
        with self._db:
            self._db.execute(
                "UPDATE runs SET ended = ?, interrupted = ? WHERE id = ?", (_now(), int(interrupted), run_id)
            )

    def count(self, run_id: int, kind: str) -> None:
        """Add one to a run's `failed` or `skipped`."""
        with self._db:
            self._count(run_id, kind)

    def add(self, run_id: int, entry: Entry) -> None:
        """Keep one recorded submission and count it, in one transaction."""
        with self._db:
            self._db.execute(
                "INSERT INTO submissions (run_id, student, module, digest, key, points, max_points, error, isolation, "
                "seconds, findings, checks, recorded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(run_id, entry.student, entry.module, entry.digest, entry.key, entry.points, entry.max_points),
                    *(entry.error, entry.isolation, entry.seconds),
                    json.dumps([asdict(finding) for finding in entry.findings]),
                    json.dumps([asdict(check) for check in entry.checks]),
                    _now(),
                ),
            )
            self._count(run_id, "rejected" if entry.error else "graded")

    def latest(self, module: str, *, valid: bool = False) -> Iterator[Entry]:
        """Every student's newest row of a module, by student; with `valid`, the newest one that is no rejection."""
        only = "AND error IS NULL" if valid else ""
        rows = self._db.execute(
            f"SELECT {', '.join(_ENTRY)} FROM submissions WHERE id IN "
            f"(SELECT max(id) FROM submissions WHERE module = ? {only} GROUP BY student) ORDER BY student",
            (module,),
        )
        for row in rows:
            values = dict(zip(_ENTRY, row, strict=True))
            values["findings"] = tuple(Finding(**item) for item in json.loads(values["findings"]))
            values["checks"] = tuple(CheckGrade(**item) for item in json.loads(values["checks"]))
            yield Entry(**values)

    def keys(self, module: str) -> dict[str, tuple[str, float]]:
        """The key and the points of every student's newest row."""
        rows = self._db.execute(
            "SELECT student, key, points FROM submissions WHERE id IN "
            "(SELECT max(id) FROM submissions WHERE module = ? GROUP BY student)",
            (module,),
        )
        return {student: (key, points) for student, key, points in rows}

    def runs(self, limit: int = 20) -> list[Run]:
        """The newest runs, newest first."""
        names = [field.name for field in fields(Run)]
        rows = self._db.execute(f"SELECT {', '.join(names)} FROM runs ORDER BY id DESC LIMIT ?", (limit,))
        return [Run(**{**dict(zip(names, row, strict=True)), "interrupted": bool(row[9])}) for row in rows]

    def _count(self, run_id: int, kind: str) -> None:
        if kind not in _COUNTS:
            raise ValueError(f"{kind!r} is not counted; allowed: {', '.join(_COUNTS)}")
        self._db.execute(f"UPDATE runs SET {kind} = {kind} + 1 WHERE id = ?", (run_id,))


@contextmanager
def reading(grading_dir: Path) -> Iterator[Audit]:
    """The audit of a grading folder, for reports; an empty one when nothing has been graded."""
    with closing(Audit(grading_dir / FILE_NAME)) as audit:
        yield audit


def findings(entries: Iterable[Entry], kinds: Iterable[str]) -> list[tuple[Entry, Finding]]:
    """The findings of these kinds, each with the submission that it is about: the tamper report, for example."""
    wanted = frozenset(kinds)
    return [(entry, finding) for entry in entries for finding in entry.findings if finding.kind in wanted]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""What a learner has passed, kept in `.course/progress.sqlite` (safe for several kernels at once, survives a kill).

A passed check remembers the code of the exercise that it tests. When that changes afterwards, the check counts as
stale until it is run again, so that the reference is used rather than code that nobody has checked.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from coursekit import settings as settings_module

State = Literal["passed", "failed", "stale", "not run"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS checks (
    check_id TEXT PRIMARY KEY, passed INTEGER NOT NULL, at TEXT NOT NULL, blocks TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS scoreboard (module TEXT PRIMARY KEY, at TEXT NOT NULL, metrics TEXT NOT NULL);
"""


@dataclass(frozen=True)
class CheckRecord:
    """The last run of one check: when, whether it passed, and the digests of the cells that it tested."""

    check_id: str
    passed: bool
    at: datetime
    blocks: Mapping[str, str]

    def state(self, current_blocks: Mapping[str, str]) -> State:
        """`stale` when a cell that was exported when the check passed has changed or gone since."""
        if not self.passed:
            return "failed"
        unchanged = all(current_blocks.get(key) == digest for key, digest in self.blocks.items())
        return "passed" if unchanged else "stale"


@contextmanager
def _open(settings: settings_module.Settings) -> Iterator[sqlite3.Connection]:
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(settings.state_dir / "progress.sqlite", timeout=10)
    try:
        connection.executescript(_SCHEMA)
        with connection:
            yield connection
    finally:
        connection.close()


def record_check(check_id: str, *, passed: bool) -> None:
    """Remember a check's verdict; only while studying (runs and grading leave the learner's progress alone)."""
    settings = settings_module.load()
    if settings.mode != "study":
        return
    from coursekit import jupyter

    blocks = jupyter.tested_blocks(check_id)
    if blocks is None:  # a solution notebook, or a plain Python process
        return
    row = (check_id, int(passed), datetime.now(UTC).isoformat(), json.dumps(blocks))
    try:
        with _open(settings) as connection:
            connection.execute("INSERT OR REPLACE INTO checks VALUES (?, ?, ?, ?)", row)
    except (sqlite3.Error, OSError) as error:  # a full or read-only disk must not turn a right answer into a wrong one
        print(f"progress was not kept: {error}. Make {settings.state_dir} writable, then run the check again.")


def forget(settings: settings_module.Settings, check_ids: list[str]) -> None:
    """Remove what is known of these checks."""
    with _open(settings) as connection:
        connection.executemany("DELETE FROM checks WHERE check_id = ?", [(check_id,) for check_id in check_ids])


def checks(settings: settings_module.Settings) -> dict[str, CheckRecord]:
    """The last run of every check, by check id."""
    if not (settings.state_dir / "progress.sqlite").exists():
        return {}
    with _open(settings) as connection:
        rows = connection.execute("SELECT check_id, passed, at, blocks FROM checks").fetchall()
    return {
        check_id: CheckRecord(check_id, bool(passed), datetime.fromisoformat(at), json.loads(blocks))
        for check_id, passed, at, blocks in rows
    }


def record_scores(settings: settings_module.Settings, module_id: str, metrics: Mapping[str, Any]) -> None:
    """Keep a module's scoreboard row."""
    with _open(settings) as connection:
        connection.execute(
            "INSERT OR REPLACE INTO scoreboard VALUES (?, ?, ?)",
            (module_id, datetime.now(UTC).isoformat(), json.dumps(metrics)),
        )


def scores(settings: settings_module.Settings) -> dict[str, dict[str, Any]]:
    """The scoreboard's rows, by module id."""
    if not (settings.state_dir / "progress.sqlite").exists():
        return {}
    with _open(settings) as connection:
        rows = connection.execute("SELECT module, metrics FROM scoreboard").fetchall()
    return {module: json.loads(metrics) for module, metrics in rows}

"""One submission's database while it is being graded: its two addresses, its size, and the end that too much growth brings.

Sizes are read from the files, not asked of the server: a server that is busy, or that the learner has stalled, cannot
hide growth, and reading 300 directory entries takes a millisecond or two.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from coursekit.errors import DatabaseError
from coursekit.grading.databases.logins import Logins, learner_url_for

_LOOK_SECONDS = 0.2
_MB = 1024 * 1024


class Submission:
    """What `GradingServer.submission` gives: `learner` and `judge` are URLs."""

    def __init__(
        self, judge: str, logins: Logins, connect: Callable[[], psycopg.Connection], data: Path,
        others: frozenset[str], empty_bytes: int, limit_mb: int,
    ) -> None:  # fmt: skip
        self.judge = judge
        self.learner = learner_url_for(judge)
        self.limit_mb = limit_mb
        self.over_limit = False
        self._logins = logins
        self._connect = connect
        self._data = data
        self._others = others
        self._empty_bytes = empty_bytes

    def learner_url_for(self, judge_url: str) -> str:
        """See `database_logins.learner_url_for`, which works in any process."""
        return learner_url_for(judge_url)

    def size_mb(self) -> float:
        """How much this submission's databases have grown beyond empty ones, with sorts' and hashes' temporary files."""
        total = _bytes_in(self._data / "base" / "pgsql_tmp")
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._data / "base"):
                if entry.name not in self._others and entry.is_dir(follow_symlinks=False):
                    total += max(0, _bytes_in(Path(entry.path)) - self._empty_bytes)
        return total / _MB

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at the size five times a second. Beyond the limit, the learner's sessions end for good.

        The judge stays, so that checks of what was done before still run; its sessions are ended too for every further
        `limit_mb`, because a trigger that the learner left behind fills the disk in the judge's name.
        """
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,), name="database size", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def _watch(self, done: threading.Event) -> None:
        allowed = float(self.limit_mb)
        while not done.wait(_LOOK_SECONDS):
            if self.size_mb() <= allowed:
                continue
            with suppress(psycopg.Error, DatabaseError):  # no answer: the next look tries again
                self._end_sessions(everyone=self.over_limit)
                self.over_limit = True
                allowed = self.size_mb() + self.limit_mb

    def _end_sessions(self, everyone: bool) -> None:
        roles = [self._logins.learner, self._logins.judge] if everyone else [self._logins.learner]
        with self._connect() as connection:
            connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(self._logins.learner)))
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY(%s)", [roles]
            )


def _bytes_in(folder: Path) -> int:
    """What the folder's files take, in bytes; files that vanish meanwhile count nothing."""
    total = 0
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
    return total

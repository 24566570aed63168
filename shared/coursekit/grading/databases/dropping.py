"""Drop the databases and roles of submissions that are over, in the background: on a busy disk it takes seconds."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import psycopg
from psycopg import sql

from coursekit.errors import DatabaseError


class Dropper:
    """A thread that drops what it is given, with a session of its own; started when there is something to drop."""

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self._connect = connect
        self._waiting: queue.SimpleQueue[tuple[frozenset[str], Sequence[str]] | None] = queue.SimpleQueue()
        self._pending: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def drop(self, databases: frozenset[str], roles: Sequence[str]) -> None:
        """Drop these databases (by oid: a learner may have renamed them), then these roles; returns at once."""
        with self._lock:
            self._pending |= databases
        self._waiting.put((databases, roles))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="dropping databases", daemon=True)
            self._thread.start()

    def pending(self) -> frozenset[str]:
        """The oids of the databases that are still there."""
        with self._lock:
            return self._pending

    def close(self) -> None:
        """Drop no more: the whole server is about to go."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._waiting.put(None)
            thread.join(timeout=10)
        self._waiting = queue.SimpleQueue()
        with self._lock:
            self._pending = frozenset()

    def _work(self) -> None:
        waiting = self._waiting
        while (task := waiting.get()) is not None:
            databases, roles = task
            with suppress(psycopg.Error, DatabaseError):  # it stays, unreachable, until the server's folder is removed
                self._drop(databases, roles)
                with self._lock:
                    self._pending -= databases

    def _drop(self, databases: frozenset[str], roles: Sequence[str]) -> None:
        with self._connect() as connection:
            oids = [int(oid) for oid in databases]
            rows = connection.execute("SELECT datname FROM pg_database WHERE oid = ANY(%s)", [oids]).fetchall()
            for (name,) in rows:
                database = sql.Identifier(name)
                connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(database))
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
            for role in roles:
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))

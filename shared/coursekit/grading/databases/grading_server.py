"""A Postgres of its own for one grading worker, and in it a fresh database and fresh logins for each submission.

    with GradingServer(state_dir / "cache") as server:           # a copy of the prepared data directory, started
        with server.submission() as database:                    # a new database, owned by a new role
            grade(database.learner, database.judge)              # two URLs, for the two sides

The server listens on a Unix socket in a folder of its own and believes nobody without a password. It is never the
course's or the instructor's. A guard process (`guard`) ends it when the worker is gone, however that ended.
What a learner's role can reach is its own databases: everything else belongs to a superuser whose password only this
process knows. Its sessions end and it cannot log in again when its databases outgrow their limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import psycopg
from psycopg import sql

from coursekit.errors import DatabaseError
from coursekit.grading.databases.dropping import Dropper
from coursekit.grading.databases.logins import Logins, learner_url_for
from coursekit.grading.databases.private_server import PORT, PrivateServer
from coursekit.grading.databases.submission import Submission
from coursekit.grading.databases.template import template_database
from coursekit.postgres import setup as postgres_setup
from coursekit.postgres import urls as postgres_urls

__all__ = ["GradingServer", "Submission", "learner_url_for"]

CONNECTIONS_EACH = 16

_RECOVERY_SECONDS = 4.0  # after a crashed backend the server restarts itself


class GradingServer(PrivateServer):
    """One worker's Postgres; a context manager. One submission at a time, one after the other.

    Args:
        cache: where the prepared data directory is kept, `.course/cache`.
        disk_mb: how much a submission's databases may grow beyond empty ones.
        memory_mb: address space of each process of the server.

    Raises:
        DatabaseError: on entering: no binaries for this platform, no room, or Postgres' own reason.
    """

    def __init__(self, cache: Path, *, disk_mb: int = 256, memory_mb: int = 1024) -> None:
        super().__init__(cache, disk_mb, memory_mb)
        self._busy = False
        self._dropper = Dropper(self.connect)

    def __enter__(self) -> GradingServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        super().close()
        self._dropper.close()  # after the server: what it is dropping ends with an error instead of being waited for

    def ensure(self) -> bool:
        """Make sure that the server answers; True if it had to be started again, from the prepared data, elsewhere.

        Raises:
            DatabaseError: it cannot be started.
        """
        deadline = monotonic() + _RECOVERY_SECONDS
        while self._base is not None:
            with suppress(psycopg.Error):
                if self.answers():
                    with self.connect() as connection:
                        connection.execute("SELECT 1")
                    return False
            if monotonic() > deadline or (self._base / "ended").exists() or not self._base.exists():
                break
            sleep(0.02)
        self.close()
        self.start()
        return True

    @contextmanager
    def submission(self) -> Iterator[Submission]:
        """A fresh database with its two logins; afterwards its sessions are ended and it is dropped in the background.

        Raises:
            DatabaseError: another submission is open, or the server does not work and cannot be started again.
        """
        if self._busy:
            raise DatabaseError("this grading server has a submission already; each worker needs a server of its own.")
        self._busy = True
        try:
            self.ensure()
            logins = Logins.new()
            try:
                with self.connect() as connection:
                    self._create(connection, logins)
            except psycopg.Error as error:
                raise DatabaseError(f"the database for a submission could not be made: {error}") from error
            address = {"host": str(self.socket_dir), "port": str(PORT), "dbname": logins.database}
            judge = postgres_urls.build({**address, "user": logins.judge, "password": logins.judge_password})
            submission = Submission(
                judge, logins, self.connect, self.folder / "data", self.fixed | self._dropper.pending(),
                self.empty_bytes, self._disk_mb,
            )  # fmt: skip
            try:
                with submission.watched():
                    yield submission
            finally:
                with suppress(psycopg.Error, DatabaseError):  # a server that is gone has no sessions
                    self._retire(logins)
        finally:
            self._busy = False

    def _create(self, connection: psycopg.Connection, logins: Logins) -> None:
        names = {
            "learner": sql.Identifier(logins.learner),
            "judge": sql.Identifier(logins.judge),
            "database": sql.Identifier(logins.database),
            "template": sql.Identifier(template_database(postgres_setup.binaries())),
            "limit": sql.Literal(CONNECTIONS_EACH),
            "learner_password": sql.Literal(logins.learner_password),
            "judge_password": sql.Literal(logins.judge_password),
        }
        for statement in (
            "CREATE ROLE {learner} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
            " CONNECTION LIMIT {limit} PASSWORD {learner_password}",
            "CREATE ROLE {judge} LOGIN NOSUPERUSER CREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
            " CONNECTION LIMIT {limit} PASSWORD {judge_password}",
            "GRANT {learner} TO {judge} WITH INHERIT TRUE, SET TRUE",
            "ALTER ROLE {judge} SET role = {learner}",
            'ALTER ROLE {judge} SET search_path = "$user", public',  # whatever the learner sets for the database
            "CREATE DATABASE {database} TEMPLATE {template} OWNER {learner} STRATEGY file_copy",  # half the time of wal_log
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        ):
            connection.execute(sql.SQL(statement).format(**names))

    def _retire(self, logins: Logins) -> None:
        """Nobody of this submission gets in any more; the rest is the dropper's work."""
        roles = [logins.learner, logins.judge]
        with self.connect() as connection:
            for role in roles:
                connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(role)))
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = ANY(%s)", [roles]
            )
            owned = connection.execute(
                "SELECT d.oid FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE r.rolname = ANY(%s)", [roles]
            ).fetchall()
        self._dropper.drop(frozenset(str(row[0]) for row in owned), roles)

    def _let_go(self) -> None:
        super()._let_go()
        self._dropper = Dropper(self.connect)

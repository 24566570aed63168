"""One Postgres from the prepared data directory: copied, started, and gone with its owner, however that ends.

It listens on a Unix socket in a folder of its own and believes nobody without a password. A guard process
(`guard`) is its parent and ends it when the owner has ended. What stands in it is `grading_server`' business.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path

import psycopg
from psycopg import sql

from coursekit.errors import DatabaseError
from coursekit.grading.databases import guard as database_guard
from coursekit.grading.databases.template import copy_tree, ensure_template, template_database
from coursekit.postgres import account as postgres_account
from coursekit.postgres import setup as postgres_setup

PORT = 5432  # only names the socket's file

_START_SECONDS = 60.0
_END_SECONDS = 15.0
_LONGEST_FOLDER = 60  # a socket's path may have about 100 characters
_MB = 1024 * 1024

_servers: weakref.WeakSet[PrivateServer] = weakref.WeakSet()


class PrivateServer:
    """A server that only its owner uses, and those to whom it gives a login.

    Attributes:
        fixed: the folders of the databases that it starts with, which are nobody's.
        empty_bytes: what a new database takes.
    """

    def __init__(self, cache: Path, disk_mb: int, memory_mb: int) -> None:
        self.fixed: frozenset[str] = frozenset()
        self.empty_bytes = 0
        self._cache = cache
        self._disk_mb = disk_mb
        self._memory_mb = memory_mb
        self._base: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._lifeline: int | None = None
        self._password = ""
        _servers.add(self)

    @property
    def folder(self) -> Path:
        """Everything that this server has on disk; gone after `close`. Another one after a restart by `ensure`."""
        if self._base is None:
            raise DatabaseError("this grading server is not running: use it in a `with` block, or call start().")
        return self._base

    @property
    def socket_dir(self) -> Path:
        """The folder to show to an isolated process, at the same path; it holds the socket and nothing else."""
        return self.folder / "s"

    def start(self) -> None:
        """Copy the prepared data directory, start the server, and give its superuser a new password."""
        template = ensure_template(self._cache)
        bin_dir, account = postgres_setup.binaries(), postgres_account.current()
        self._base = base = _new_folder()
        try:
            copy_tree(template / "data", base / "data")
            (base / "s").mkdir()
            (base / "s").chmod(0o711)
            account.give(base / "s")
            postgres_account.open_the_way(account, base / "data")
            postgres_account.open_the_way(account, bin_dir / "postgres")
            self.fixed = frozenset(entry.name for entry in (base / "data" / "base").iterdir()) | {"pgsql_tmp"}
            self._password = (template / "password").read_text(encoding="utf-8")
            self._start_guarded(bin_dir, account)
            self._wait_until_it_answers()
            password = secrets.token_hex(24)
            with self.connect() as connection:
                connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(password))
                self.empty_bytes = self._template_bytes(connection, template_database(bin_dir))
            self._password = password
        except BaseException:
            self.close()
            raise

    def _start_guarded(self, bin_dir: Path, account: postgres_account.Account) -> None:
        settings = {
            "unix_socket_directories": f'"{self.socket_dir}"',
            "unix_socket_permissions": "0777",
            "port": str(PORT),
            "temp_file_limit": f"{self._disk_mb}MB",
        }
        job = {
            "base": str(self.folder),
            "command": [str(bin_dir / "postgres"), "-D", str(self.folder / "data")]
            + [part for name, value in settings.items() for part in ("-c", f"{name}={value}")],
            "user": account.popen_arguments(),
            "memory_bytes": self._memory_mb * _MB,
            "file_bytes": (2 * self._disk_mb + 64) * _MB,
        }
        read_end, self._lifeline = os.pipe()
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", database_guard.__file__, json.dumps(job)],
                stdin=read_end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(read_end)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            ended = (self.folder / "ended").exists() or (self._guard is not None and self._guard.poll() is not None)
            if ended or time.monotonic() > deadline:
                reason = postgres_setup.reason(postgres_setup.read(self.folder / "log"))
                raise DatabaseError(
                    f"the Postgres for grading did not start in {self.folder}: {reason}. It needs 100 MB there on a "
                    "local disk: make room, or set TMPDIR to another folder."
                )
            time.sleep(0.005)

    def close(self) -> None:
        """Kill the server and remove its folder; what its databases held is gone."""
        lifeline, self._lifeline = self._lifeline, None
        guard, self._guard = self._guard, None
        base, self._base = self._base, None
        if lifeline is not None:
            os.close(lifeline)
        if guard is not None:
            try:
                guard.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                guard.kill()  # the kernel then tells Postgres to end
                guard.wait()
        if base is not None:
            shutil.rmtree(base, ignore_errors=True)

    def connect(self) -> psycopg.Connection:
        """A superuser's session. It runs nothing that a learner has written: it never enters their databases."""
        return psycopg.connect(
            host=str(self.socket_dir), port=PORT, user="postgres", password=self._password, dbname="postgres",
            autocommit=True, connect_timeout=3, options="-c statement_timeout=60s -c search_path=pg_catalog",
        )  # fmt: skip

    def answers(self) -> bool:
        target = psycopg.conninfo.make_conninfo(
            host=str(self.socket_dir), port=PORT, user="postgres", connect_timeout=2
        )
        return psycopg.pq.PGconn.ping(target.encode()) == psycopg.pq.Ping.OK

    def _template_bytes(self, connection: psycopg.Connection, name: str) -> int:
        row = connection.execute("SELECT pg_database_size(%s)", [name]).fetchone()
        return int(row[0]) if row else 0

    def _let_go(self) -> None:
        """In a forked child: it is not the owner. It must neither keep the server alive nor end it."""
        if self._lifeline is not None:
            os.close(self._lifeline)
        self._lifeline = self._base = None
        if self._guard is not None:
            self._guard.returncode = 0  # not our child: nothing to wait for
        self._guard = None


def _new_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="course-pg-")
    if len(folder) > _LONGEST_FOLDER or '"' in folder or "," in folder:
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="course-pg-", dir="/tmp")
    os.chmod(folder, 0o711)
    return Path(folder).resolve()


def _let_go_in_child() -> None:
    for server in list(_servers):
        server._let_go()


os.register_at_fork(after_in_child=_let_go_in_child)

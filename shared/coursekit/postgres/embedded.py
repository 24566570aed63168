"""The embedded Postgres 18 as processes see it: start it or join it, hold it, let it go.

The server listens on a Unix socket only, in a folder that nobody else may enter, and trusts whoever gets in. Every
process that uses it holds it until it ends; the last one to end stops it (see `postgres_process` for the locks).
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shlex
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import psycopg

from coursekit.errors import DatabaseError
from coursekit.postgres import account as postgres_account
from coursekit.postgres import setup as postgres_setup
from coursekit.postgres.account import Account
from coursekit.postgres.process import (
    ServerFolder,
    exclusive,
    hold,
    running_postmaster,
    start_janitor,
    stop,
    stop_if_unused,
)

PORT = 5432  # only names the socket's file; no TCP port is opened
_LONGEST_SOCKET_PATH = 103  # bytes: 107 on Linux, 103 on macOS
_START_TIMEOUT_S = 60
_SILENCE_S = 10  # a running server that says nothing for so long has lost its socket
_SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}

_held: dict[Path, int] = {}
_thread_lock = threading.RLock()


def ensure_running(base: Path) -> Path:
    """Start the server of folder `base`, or join it, and hold it until this process ends.

    Returns:
        The folder of the server's socket.

    Raises:
        DatabaseError: no wheel for this platform, no room, no rights, another version's data, or Postgres' own reason.
    """
    folder = ServerFolder(base.resolve())
    with _thread_lock:
        socket_dir = socket_dir_for(folder.base)
        if _holds(folder) and running_postmaster(folder.data) is not None and _ping(socket_dir) == "ok":
            return socket_dir
        try:
            _join_or_start(folder)
        except TimeoutError as error:
            raise DatabaseError(
                f"{error}. If no course command is starting Postgres, end the one that hangs."
            ) from error
        except OSError as error:
            raise DatabaseError(
                f"the embedded Postgres cannot use {folder.base}: {error.strerror or error}. Make that folder writable "
                "for you, or set COURSE_STATE to one that is, on a local disk with 200 MB free."
            ) from error
        return socket_dir_for(folder.base)


def release_all() -> None:
    """Let go of every server that this process holds; those that nobody else holds are stopped before it returns."""
    with _thread_lock:
        while _held:
            base, descriptor = _held.popitem()
            os.close(descriptor)
            with suppress(OSError):  # the folder is gone, or somebody is busy with it: the janitor will stop it
                stop_if_unused(ServerFolder(base))


def socket_dir_for(base: Path) -> Path:
    """Where the server of folder `base` has its socket: in the folder, or in a short one when its path will not do."""
    base = base.resolve()
    if _socket_path_works(base):
        return base
    inode = base.stat().st_ino if base.exists() else 0  # a deleted folder's server may still have its socket
    name = f"course-pg-{os.geteuid()}-{hashlib.sha256(f'{base}:{inode}'.encode()).hexdigest()[:12]}"
    short = Path(tempfile.gettempdir()).resolve() / name
    return short if _socket_path_works(short) else Path("/tmp").resolve() / name


def _join_or_start(folder: ServerFolder) -> None:
    bin_dir = postgres_setup.binaries()
    account = postgres_account.current()
    folder.base.mkdir(parents=True, exist_ok=True)
    with exclusive(folder.start_lock, _START_TIMEOUT_S):
        newcomer = not _holds(folder)
        if newcomer:
            _held[folder.base] = hold(folder)
        try:
            if not _answers(folder):
                _start(folder, bin_dir, account)
                start_janitor(folder)
        except BaseException:
            if newcomer:
                os.close(_held.pop(folder.base))
            raise


def _answers(folder: ServerFolder) -> bool:
    """Whether the folder's server runs and answers; one that keeps silent is stopped."""
    socket_dir = socket_dir_for(folder.base)
    started = silent_since = time.monotonic()
    while True:
        answer = _ping(socket_dir)
        postmaster = running_postmaster(folder.data)
        if answer == "ok":  # also when its pid cannot be seen, from another container that shares the folder
            return True
        if postmaster is None:
            return False
        now = time.monotonic()
        if answer == "busy":  # starting, recovering or stopping
            silent_since = now
        if now > started + _START_TIMEOUT_S or now > silent_since + _SILENCE_S:
            if not stop(folder):
                raise DatabaseError(f"Postgres (pid {postmaster.pid}) neither answers nor stops. End it by hand.")
            return False
        time.sleep(0.05)


def _start(folder: ServerFolder, bin_dir: Path, account: Account) -> None:
    postgres_setup.prepare(folder, bin_dir, account)
    socket_dir = _make_socket_dir(folder, account)
    socket_list = '"' + str(socket_dir).replace('"', '""') + '"'  # as Postgres writes a list with one item
    options = [f"-c {name}={shlex.quote(value)}" for name, value in _SETTINGS.items()]
    options.append(f"-c unix_socket_directories={shlex.quote(socket_list)}")
    command = [str(bin_dir / "pg_ctl"), "start", "-w", "-t", str(_START_TIMEOUT_S), "-l", folder.log.name]
    command += ["-o", " ".join(options)]
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        # A dead server's pid may be another process by now, or a zombie: Postgres would take it for a running server.
        for stale in (
            folder.data / "postmaster.pid",
            socket_dir / f".s.PGSQL.{PORT}.lock",
            socket_dir / f".s.PGSQL.{PORT}",
        ):
            stale.unlink(missing_ok=True)
        if folder.log.exists():
            os.replace(folder.log, folder.base / "log.1")
        code, output = postgres_setup.run(command, folder, account)
        if code == 0:
            return
        log = postgres_setup.read(folder.log)
        orphans = "pre-existing shared memory block" in log  # a killed server's children, which end within seconds
        if not orphans or time.monotonic() > deadline:
            raise DatabaseError(
                f"the embedded Postgres in {folder.base} does not start: {postgres_setup.reason(log or output)}. "
                f"Its log is {folder.log}. If its data may go, delete {folder.base}; else set DATABASE_URL."
            )
        time.sleep(0.2)


def _make_socket_dir(folder: ServerFolder, account: Account) -> Path:
    path = socket_dir_for(folder.base)
    if path == folder.base:
        return path
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), account.uid} or found.st_mode & 0o077:
        raise DatabaseError(f"{path}, needed for Postgres' socket, belongs to somebody else. Remove it, or set TMPDIR.")
    account.give(path)
    return path


def _holds(folder: ServerFolder) -> bool:
    """Whether we hold this very folder, and not a deleted one of the same name."""
    descriptor = _held.get(folder.base)
    if descriptor is None:
        return False
    with suppress(OSError):
        if os.path.samestat(os.fstat(descriptor), os.stat(folder.holders_lock)):
            return True
    os.close(_held.pop(folder.base))
    return False


def _ping(socket_dir: Path) -> str:
    """`ok`, `busy` (starting, recovering, stopping) or `silent`, without logging in."""
    target = psycopg.conninfo.make_conninfo(host=str(socket_dir), port=PORT, user="postgres", connect_timeout=2)
    answer = psycopg.pq.Ping(psycopg.pq.PGconn.ping(target.encode()))
    return {psycopg.pq.Ping.OK: "ok", psycopg.pq.Ping.REJECT: "busy"}.get(answer, "silent")


def _socket_path_works(folder: Path) -> bool:
    """Short enough for the system, and without the comma that separates hosts in a Postgres URL."""
    return len(os.fsencode(folder / f".s.PGSQL.{PORT}.lock")) <= _LONGEST_SOCKET_PATH and "," not in str(folder)


def _forget_in_child() -> None:
    """A forked child is not a holder, and must not stop its parent's server when it exits."""
    global _thread_lock
    _thread_lock = threading.RLock()
    while _held:
        os.close(_held.popitem()[1])


atexit.register(release_all)  # at import: whatever is registered later, such as dropping scratch databases, runs before
os.register_at_fork(after_in_child=_forget_in_child)

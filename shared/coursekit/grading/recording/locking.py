"""One grader at a time: a lock on a file that says who holds it.

The lock is the operating system's (as SQLite's own are): it ends with the process that holds it, however that ends, and is
not inherited by the processes that a grader forks. So a lock file that was left behind is simply taken over.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from coursekit.errors import GradingError

_held: set[Path] = set()  # a process never locks itself out, so its own locks are kept here


@contextmanager
def only_grader(path: Path) -> Iterator[None]:
    """Hold the lock `path` while the block runs.

    Raises:
        GradingError: another grader holds it; says who, where and since when.
    """
    path = path.resolve()
    if path in _held:
        raise GradingError(f"this process (pid {os.getpid()}) is already grading with {path}; let that finish first.")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise GradingError(f"{_holder(descriptor)} is grading already ({path}). {_FIX}") from error
        _held.add(path)
        try:
            _write(descriptor, json.dumps(_me()).encode())
            yield
        finally:
            _held.discard(path)
            _write(descriptor, b"")
    finally:
        os.close(descriptor)


_FIX = "Wait until that has finished, or end that process: the next run goes on where it stopped."


def who() -> str:
    """The person who runs this process, as far as the machine knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such user here, as in containers
        return str(os.getuid())


def _me() -> dict[str, object]:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "who": who(), "since": since}


def _write(descriptor: int, data: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {holder['pid']} on {holder['host']} (by {holder['who']}, since {holder['since']})"
    except (ValueError, TypeError, KeyError):  # it has the lock and has not written its name yet
        return "another process"

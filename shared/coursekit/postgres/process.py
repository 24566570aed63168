"""One embedded server's life on disk: its folder, its locks, its process, and the janitor that stops it.

A process that uses the server keeps a shared flock on `holders.lock`. The kernel releases it however the process ends,
so there is no list of pids to go stale: the server is unused exactly when somebody can take that lock exclusively.
The janitor waits for that moment in a process of its own, so Postgres also stops after a kernel's `kill -9`.
Starting and stopping happen under `start.lock`. Nothing here starts a server (see `embedded_postgres`).
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# Fast shutdown first; if backends hang, immediate; at last by force. With seconds to wait after each.
_STOP_SIGNALS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


@dataclass(frozen=True)
class ServerFolder:
    """What stands in `<state>/postgres`."""

    base: Path

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def log(self) -> Path:
        return self.base / "log"

    @property
    def start_lock(self) -> Path:
        return self.base / "start.lock"

    @property
    def holders_lock(self) -> Path:
        return self.base / "holders.lock"


@dataclass(frozen=True)
class Postmaster:
    """A running server: its pid and the folder of its socket."""

    pid: int
    socket_dir: Path | None


def running_postmaster(data: Path) -> Postmaster | None:
    """The server that runs on this data directory, or None; a stale postmaster.pid or a reused pid is not one."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        if process.name() != "postgres" or process.status() == psutil.STATUS_ZOMBIE:
            return None
        with suppress(psutil.AccessDenied):
            if not os.path.samefile(process.cwd(), data):
                return None
    except (OSError, ValueError, IndexError, psutil.NoSuchProcess):
        return None
    socket_dir = lines[4].strip() if len(lines) > 4 else ""
    return Postmaster(process.pid, Path(socket_dir) if socket_dir else None)


def stop(folder: ServerFolder) -> bool:
    """Stop the folder's server and wait until it is gone; True if none is left. Call it under `start.lock`."""
    for number, patience_s in _STOP_SIGNALS:
        postmaster = running_postmaster(folder.data)
        if postmaster is None:
            return True
        with suppress(ProcessLookupError):
            os.kill(postmaster.pid, number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and running_postmaster(folder.data) is not None:
            time.sleep(0.02)
    return running_postmaster(folder.data) is None


def hold(folder: ServerFolder) -> int:
    """Become a user of the server; closing the returned descriptor, or ending in any way, takes it back."""
    descriptor = _open(folder.holders_lock)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


@contextmanager
def exclusive(path: Path, timeout_s: float) -> Iterator[None]:
    """Hold an exclusive flock on `path`.

    Raises:
        TimeoutError: another process kept it for `timeout_s`.
        OSError: the file cannot be opened.
    """
    descriptor = _open(path)
    try:
        deadline = time.monotonic() + timeout_s
        while not _try_lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} has been locked by another process for {timeout_s:.0f} s")
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def stop_if_unused(folder: ServerFolder) -> bool:
    """Stop the server unless a process still holds it; True if it was unused."""
    with exclusive(folder.start_lock, timeout_s=90):
        descriptor = _open(folder.holders_lock)
        try:
            return _is_unused(descriptor) and stop(folder)
        finally:
            os.close(descriptor)


def start_janitor(folder: ServerFolder) -> None:
    """Start the process that stops this server when its last holder is gone. It detaches itself."""
    package_parent = str(Path(__file__).resolve().parents[1])
    subprocess.run(
        [sys.executable, "-m", "coursekit.postgres.process", str(folder.base)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": package_parent},
        cwd="/",
        check=False,
        timeout=60,
    )


def _wait_and_stop(folder: ServerFolder) -> None:
    """The janitor's whole work: wait until nobody holds the server, stop it, repeat if somebody came in between."""
    while True:
        descriptor = _open(folder.holders_lock)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # sleeps until every holder has ended
        os.close(descriptor)  # released before start.lock is taken: starters take the two in the other order
        if stop_if_unused(folder):
            return


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _is_unused(descriptor: int) -> bool:
    """Take the holders' lock exclusively, unless there is a holder. The janitor, which has it for a moment, is none."""
    shared = 0
    while not _try_lock(descriptor, fcntl.LOCK_EX):
        if _try_lock(descriptor, fcntl.LOCK_SH):  # shared with holders, or let go by the janitor just now: look again
            shared += 1
            if shared == 2:
                return False
        else:
            time.sleep(0.005)
    return True


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _main(base: str) -> None:
    """Detach from the starter (its group, its terminal, its waiting), then be the janitor."""
    if os.fork() > 0:
        os._exit(0)
    os.setsid()
    with suppress(OSError):  # the folder was deleted: a server without its postmaster.pid ends by itself
        _wait_and_stop(ServerFolder(Path(base)))


if __name__ == "__main__":
    _main(sys.argv[1])

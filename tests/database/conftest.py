"""State folders, holder processes and a second Postgres over TCP, for the database tests.

The state folders are not pytest's: when root runs the tests, every new pytest run closes its temporary folders to
others again, and with them to the user under whom Postgres runs.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from coursekit import database
from coursekit.postgres import account as postgres_account
from coursekit.postgres import embedded as embedded_postgres
from coursekit.postgres import setup as postgres_setup


@dataclass(frozen=True)
class OutsideServer:
    """A Postgres that the course did not start: TCP on loopback, password required."""

    host: str
    port: int
    password: str

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        return f"postgresql://{user}:{password or self.password}@{self.host}:{self.port}/{database}"


def processes_in(folder: Path) -> list[int]:
    """Pids of the processes that name `folder` in their command line or work in it; zombies and we do not count."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if str(folder) in " ".join(process.cmdline()) or Path(process.cwd()).is_relative_to(folder):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _new_folder(name: str) -> Path:
    """In memory where there is room for it: other work on the disk makes Postgres' starts and stops very slow."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * 10**9
    return Path(tempfile.mkdtemp(prefix=f"course-{name}-", dir=memory if roomy else None)).resolve()


def _course_folder(name: str) -> Path:
    folder = _new_folder(name)
    (folder / "course.yml").write_text("")
    return folder


def _remove(folder: Path) -> None:
    """Delete the folder; its processes must have ended by themselves."""
    gone = wait_until(lambda: not processes_in(folder))
    left = processes_in(folder)
    for pid in left:
        psutil.Process(pid).kill()
    shutil.rmtree(folder, ignore_errors=True)
    assert gone, f"processes left behind: {left}"


def _enter(environment: pytest.MonkeyPatch, folder: Path) -> None:
    for name in ("COURSE_MODE", "COURSE_DATABASE_READY", "DATABASE_URL", "NBGRADER_EXECUTION"):
        environment.delenv(name, raising=False)
    environment.setenv("COURSE_ROOT", str(folder))
    environment.setenv("COURSE_STATE", str(folder / ".course"))


@pytest.fixture(scope="session")
def fresh_data() -> Iterator[Path]:
    """A `.course` folder after initdb, for copying: it takes a tenth of the time."""
    folder = _course_folder("fresh")
    embedded_postgres.ensure_running(folder / ".course" / "postgres")
    database.stop_embedded()
    with (folder / ".course" / "postgres" / "data" / "postgresql.conf").open("a") as settings:
        settings.write("fsync = off\n")  # the tests never cut the power
    yield folder / ".course"
    _remove(folder)


@pytest.fixture
def empty_course(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A course's folder of its own, without any state; whatever is started there must be gone after the test."""
    folder = _course_folder("test")
    _enter(monkeypatch, folder)
    yield folder
    database.stop_embedded()
    _remove(folder)


@pytest.fixture
def course(empty_course: Path, fresh_data: Path) -> Path:
    """The same with a data directory, so that starting is quick."""
    subprocess.run(["cp", "-a", str(fresh_data), str(empty_course / ".course")], check=True)
    return empty_course


@pytest.fixture(scope="session")
def shared_course(fresh_data: Path) -> Iterator[Path]:
    folder = _course_folder("shared")
    subprocess.run(["cp", "-a", str(fresh_data), str(folder / ".course")], check=True)
    yield folder
    database.stop_embedded()
    _remove(folder)


@pytest.fixture
def embedded(shared_course: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The course's folder whose embedded server these tests share."""
    _enter(monkeypatch, shared_course)
    return shared_course


@dataclass
class Holder:
    """Another process that uses the database; it prints one line per `print` and ends when told."""

    process: subprocess.Popen[str]

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def finish(self) -> tuple[str, str]:
        """Let it end normally; what it still printed to stdout and stderr."""
        return self.process.communicate("go on\n", timeout=60)


@pytest.fixture
def start_holder() -> Iterator[Callable[..., Holder]]:
    """`start_holder(code)` runs Python code in a new process; `input()` in it waits for `finish`."""
    holders: list[Holder] = []

    def start(code: str, **environment: str) -> Holder:
        process = subprocess.Popen(
            [sys.executable, "-W", "default", "-c", f"from coursekit import database\n{code}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        holders.append(Holder(process))
        return holders[-1]

    yield start
    for holder in holders:
        if holder.process.poll() is None:
            holder.process.kill()
        holder.process.communicate()


@pytest.fixture(scope="session")
def outside_server() -> Iterator[OutsideServer]:
    """A second Postgres from the same binaries: scram-sha-256 over TCP, no embedded machinery around it."""
    folder = _new_folder("outside")
    account = postgres_account.current()
    postgres_account.open_the_way(account, folder / "data")
    account.give(folder)
    bin_dir, password = postgres_setup.binaries(), f"pw-{secrets.token_hex(8)}"
    (folder / "password").write_text(password)
    account.give(folder / "password")

    def run(command: str, *arguments: str) -> None:
        subprocess.run(
            [str(bin_dir / command), "-D", str(folder / "data"), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            timeout=60,
            **account.popen_arguments(),
        )

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run(
        "initdb",
        "-U",
        "postgres",
        "-A",
        "scram-sha-256",
        "--pwfile",
        str(folder / "password"),
        "-E",
        "UTF8",
        "--no-sync",
    )
    run(
        "pg_ctl",
        "start",
        "-w",
        "-l",
        str(folder / "log"),
        "-o",
        f"-h 127.0.0.1 -p {port} -c fsync=off -c unix_socket_directories=''",
    )
    try:
        yield OutsideServer("127.0.0.1", port, password)
    finally:
        run("pg_ctl", "stop", "-m", "fast")
        _remove(folder)

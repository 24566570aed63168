"""A Dask cluster for tests: a scheduler and workers as processes of their own on loopback, ended with the test.

Everything that belongs to it, grandchildren included, has the test's folder in its environment or command line.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_START_SECONDS = 60.0
_END_SECONDS = 15.0


@dataclass
class Cluster:
    """Processes of one cluster; `address` is the scheduler's."""

    folder: Path
    address: str = ""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *arguments: str, environ: Mapping[str, str] = {}) -> None:  # noqa: B006  read only
        """Start `dask …` as a process; what it says goes to <folder>/<name>.log."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1", "--no-dashboard"],
                env={**os.environ, "DASK_TEMPORARY_DIRECTORY": str(self.folder), **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """What a power cut does to a worker."""
        self.processes[name].send_signal(signal.SIGKILL)

    def others(self) -> list[str]:
        """Command lines of what belongs to this cluster and is neither its scheduler nor a worker."""
        own = {process.pid for process in self.processes.values()}
        return [line for pid, line in _carrying(str(self.folder)).items() if pid not in own]

    def wait_until_alone(self) -> list[str]:
        """Wait for the others' end; returns who is left."""
        deadline = time.monotonic() + _END_SECONDS
        while self.others() and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.others()

    def end(self) -> None:
        for process in reversed(self.processes.values()):
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def cluster(folder: Path, workers: int, *, environ: Mapping[str, str] = {}) -> Iterator[Cluster]:  # noqa: B006
    """A scheduler and so many workers of one thread; `environ` for all of them."""
    folder.mkdir()
    made = Cluster(folder)
    file = folder / "scheduler.json"
    try:
        made.start("scheduler", "scheduler", "--port", "0", "--scheduler-file", str(file), environ=environ)
        made.address = _address(file, made.processes["scheduler"])
        for number in range(workers):
            arguments = ("worker", made.address, "--nthreads", "1", "--no-nanny", "--memory-limit", "0")
            made.start(f"worker-{number}", *arguments, environ=environ)
        yield made
    finally:
        made.end()


def _address(file: Path, scheduler: subprocess.Popen[bytes]) -> str:
    import json

    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and scheduler.poll() is None:
        with suppress(OSError, ValueError):
            return str(json.loads(file.read_text())["address"])
        time.sleep(0.1)
    raise AssertionError(f"the scheduler did not start: {file.with_name('scheduler.log').read_text()[-2000:]}")


def _carrying(marker: str) -> dict[int, str]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
            if line and marker.encode() in line + (folder / "environ").read_bytes():
                found[int(folder.name)] = line.decode(errors="replace")
    return found

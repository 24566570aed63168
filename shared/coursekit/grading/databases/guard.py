"""`python -I -S guard.py <job as JSON>`: be the parent of one Postgres, and end it when the owner is gone.

Started by `coursekit.grading.databases.grading_server`. Standard input is the lifeline: when it ends, however the owner ended, the
server and every process of it are killed and their folder is removed. When the server ends by itself, the file `ended`
in that folder gets its exit code. Only the standard library: this process waits beside every worker, and is small.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_STOP_SECONDS = 3.0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main(job: dict[str, Any]) -> None:
    """Start the server, wait for the end of the lifeline, clean up.

    Args:
        job: `base` (the folder to remove), `command`, `user` (keywords for subprocess: none or another account),
            `memory_bytes` of address space per server process, `file_bytes` for each file.
    """
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # a killed server's processes become ours
    try:
        with open(os.path.join(job["base"], "log"), "wb") as log:
            server = subprocess.Popen(
                job["command"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=job["base"],
                preexec_fn=_limited(job["memory_bytes"], job["file_bytes"]), umask=0o077, **job["user"],
            )  # fmt: skip
        try:
            _wait_for_the_end(server, woken, os.path.join(job["base"], "ended"))
        finally:
            _end(server)
    finally:
        shutil.rmtree(job["base"], ignore_errors=True)


def _limited(memory_bytes: int, file_bytes: int) -> Callable[[], None]:
    def limit() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)  # Postgres' immediate shutdown, should this process be killed
        for kind, amount in (
            (resource.RLIMIT_AS, memory_bytes),
            (resource.RLIMIT_FSIZE, file_bytes),
            (resource.RLIMIT_CORE, 0),
        ):
            with suppress(ValueError, OSError):  # macOS does not limit address space
                resource.setrlimit(kind, (amount, amount))

    return limit


def _wait_for_the_end(server: subprocess.Popen[bytes], woken: int, ended: str) -> None:
    noted = False
    while True:
        if not noted and server.poll() is not None:
            noted = True
            with open(ended, "w", encoding="ascii") as file:
                file.write(str(server.returncode))
        readable, _, _ = select.select([0, woken], [], [])
        if 0 in readable and not os.read(0, 1):
            return
        if woken in readable and {signal.SIGTERM, signal.SIGHUP} & set(os.read(woken, 64)):
            return


def _end(server: subprocess.Popen[bytes]) -> None:
    """Immediate shutdown, then force; then whatever of it is left."""
    if server.poll() is None:
        server.send_signal(signal.SIGQUIT)
        server.send_signal(signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            server.wait(_STOP_SECONDS)
        server.kill()
        server.wait()
    deadline = time.monotonic() + _STOP_SECONDS
    while (left := _children()) and time.monotonic() < deadline:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(-1, 0)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as listing:
            return [int(pid) for pid in listing.read().split()]
    except OSError:  # not Linux: they end by themselves when they see that their server has
        return []


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

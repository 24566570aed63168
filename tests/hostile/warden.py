"""Run a command, and catch what outlives it: `python -m tests.hostile.warden REPORT TIMEOUT SIGNAL AFTER OUT COMMAND...`.

The warden is a "child subreaper" (prctl(2)): whatever the command's processes leave behind becomes the warden's child, however
they detached themselves. It waits a moment, writes what is still there into REPORT, and kills it. With SIGNAL > 0 it sends
that signal to the command as soon as OUT has AFTER lines. It goes down, and takes all with it, when the test goes down.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
GRACE_SECONDS = 8.0  # for processes that were told to end, and for databases that are dropped in the background


def main(report: str, timeout: str, number: str, after: str, out: str, *command: str) -> None:
    """Supervise one run."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    orphans: list[str] = []
    try:
        process = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
        timed_out = _watch(process, started + float(timeout), int(number), int(after), Path(out))
        seconds = time.monotonic() - started
        orphans = _leftovers()
        result = {"exit_code": process.returncode, "timed_out": timed_out, "seconds": seconds, "orphans": orphans}
        Path(report).write_text(json.dumps(result), encoding="utf-8")
    finally:
        _end_all()


def _watch(process: subprocess.Popen[bytes], deadline: float, number: int, after: int, out: Path) -> bool:
    while process.poll() is None:
        if number and out.exists() and len(out.read_bytes().splitlines()) >= after:
            process.send_signal(number)
            number = 0
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            return True
        time.sleep(0.05)
    return False


def _children() -> list[psutil.Process]:
    """All descendants that still run; the dead ones are reaped."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    found = psutil.Process().children(recursive=True)
    return [child for child in found if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def _leftovers() -> list[str]:
    end = time.monotonic() + GRACE_SECONDS
    while _describe(_children()) and time.monotonic() < end:
        time.sleep(0.1)
    return _describe(_children())


def _describe(processes: list[psutil.Process]) -> list[str]:
    texts = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            texts.append(f"{process.pid} {process.name()} {' '.join(process.cmdline())[:200]}")
    return texts


def _end_all() -> None:
    end = time.monotonic() + GRACE_SECONDS
    while (children := _children()) and time.monotonic() < end:
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])

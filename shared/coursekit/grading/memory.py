"""What the grader's processes take, sampled while it works: proportional set sizes, which share out shared pages."""

from __future__ import annotations

import os
import resource
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_ROUND_SECONDS = 0.5


class Sampler:
    """Use as a context manager; samples the descendants of process `pid` (default: this one; it is not counted itself)."""

    def __init__(self, pid: int | None = None) -> None:
        self._pid = pid or os.getpid()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory sampler", daemon=True)
        self.peak_mb = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_ROUND_SECONDS):
            self.peak_mb = max(self.peak_mb, sum(map(proportional_mb, descendants(self._pid))))


def descendants(pid: int) -> list[int]:
    """All processes below `pid`; empty where there is no /proc."""
    found: list[int] = []
    pending = [pid]
    while pending:
        parent = pending.pop()
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as listing:
                    children = [int(word) for word in listing.read().split()]
                found += children
                pending += children
    return found


def proportional_mb(pid: int) -> float:
    """Memory of a process, each shared page divided by those who share it; 0 when it is gone.

    Where its sizes may not be read (another user's process), what is its own alone.
    """
    kinds = {f"/proc/{pid}/smaps_rollup": ("Pss:",), f"/proc/{pid}/status": ("RssAnon:", "RssShmem:")}
    for path, names in kinds.items():
        with suppress(OSError, ValueError, IndexError), open(path, encoding="ascii", errors="replace") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith(names)) / 1024
    return 0.0


def resident_mb(pid: int) -> float:
    """The resident set of a process; 0 when it is gone."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    return 0.0

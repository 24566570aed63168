"""Who computes next: the request that has had the least so far.

Python computes one thing at a time, so a request for 64 long replies would hold up every other client. Work is done in
slices instead: after each, the slot goes to the waiting job with the least time of its own (least attained service,
Nuyens and Wierman 2008), so a short request waits for one slice of a long one, whatever the queue. Knows nothing of
HTTP or models: who has long work calls `breathe` now and then.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SLICE_S = 0.02  # so long a job computes before others may go first
SLOTS = 2  # jobs at once: one may wait for a library that computes outside of Python


class FairShare:
    """Gives computing time to jobs, one job per thread."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._changed = threading.Condition()
        self._free = slots
        self._waiting: list[tuple[float, int]] = []
        self._numbers = itertools.count()
        self._own = threading.local()

    @contextmanager
    def job(self) -> Iterator[None]:
        """Wait for a slot and hold it, except while others go first."""
        self._own.served_s = 0.0
        self._take()
        try:
            yield
        finally:
            self._give()
            del self._own.served_s

    def breathe(self) -> None:
        """Let jobs that have had less go first, if this one has had its slice; outside of a job it does nothing."""
        if hasattr(self._own, "served_s") and self._waiting and time.perf_counter() - self._own.since > SLICE_S:
            self._give()
            self._take()

    def _take(self) -> None:
        ticket = self._own.served_s, next(self._numbers)
        with self._changed:
            heapq.heappush(self._waiting, ticket)
            while not (self._free and self._waiting[0] == ticket):
                self._changed.wait()
            heapq.heappop(self._waiting)
            self._free -= 1
            if self._free and self._waiting:
                self._changed.notify_all()
        self._own.since = time.perf_counter()

    def _give(self) -> None:
        self._own.served_s += time.perf_counter() - self._own.since
        with self._changed:
            self._free += 1
            self._changed.notify_all()

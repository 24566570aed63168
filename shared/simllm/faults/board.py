"""Which client meets which fault next.

A client (an API key) has a script. Each request takes the first fault of it that matches its path and mode, `times`
requests long; then the next one gets its turn. Faults with a probability stand beside that queue and are drawn for
every matching request. What several faults do together is `meeting`'s business.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence

from simllm.faults.fault import Fault
from simllm.faults.meeting import Meeting
from simllm.recent import Recent


class FaultBoard:
    """The scripts of every client; safe to use from several threads.

    Args:
        default: the script that every client starts with.
        by_client: further faults for clients that are known by key.
    """

    def __init__(self, default: Sequence[Fault] = (), by_client: dict[str, list[Fault]] | None = None) -> None:
        self._default = tuple(default)
        self._by_client = by_client or {}
        self._scripts: Recent[list[Fault]] = Recent(list)
        self._numbers: Recent[int] = Recent(int)
        self._lock = threading.Lock()

    def add(self, client: str, faults: Sequence[Fault]) -> None:
        """Append faults to a client's script."""
        with self._lock:
            self._script(client).extend(faults)

    def clear(self, client: str) -> None:
        """Drop a client's script, the starting one included, and count its requests from 1 again."""
        with self._lock:
            self._scripts[client] = []
            self._numbers.drop(client)

    def pending(self, client: str) -> list[Fault]:
        """What is still to come, with the remaining `times`."""
        with self._lock:
            return list(self._script(client))

    def take(self, client: str, path: str, *, stream: bool) -> Meeting:
        """The faults that this request meets; uses up one hit of the queued one."""
        with self._lock:
            self._numbers[client] += 1
            script = self._script(client)
            met: list[Fault] = []
            queued = False
            for i, fault in enumerate(list(script)):
                if not fault.matches(path, stream=stream):
                    continue
                if fault.probability is not None:
                    if draw(fault.seed, fault.kind, self._numbers[client]) < fault.probability:
                        met.append(fault)
                elif not queued:
                    queued = True
                    met.append(fault)
                    script[i : i + 1] = [rest] if (rest := fault.fewer()) else [_USED]
            script[:] = [fault for fault in script if fault is not _USED]
        parts = [part for fault in met for part in (fault, *fault.also)]
        return Meeting([part for part in parts if part.effect.matches(path, stream=stream)])

    def _script(self, client: str) -> list[Fault]:
        if client not in self._scripts:
            self._scripts[client] = [*self._default, *self._by_client.get(client, ())]
        return self._scripts[client]


def draw(seed: int, kind: str, number: int) -> float:
    """A number in [0, 1) that depends on its arguments only.

    >>> draw(7, "slow", 1) == draw(7, "slow", 1) != draw(7, "slow", 2)
    True
    """
    digest = hashlib.sha256(f"{seed}|{kind}|{number}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


_USED = Fault("slow")  # marks the place of a fault that was used up while the script is walked

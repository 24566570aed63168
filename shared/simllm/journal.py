"""What each client asked and got: the server's side of the story.

An entry is created when the response starts and completed as it is delivered, so a client that reads the journal
after a reply sees that reply. The newest `KEPT` entries per client are kept.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

KEPT = 10_000


@dataclass
class Entry:
    """One request.

    Attributes:
        time: Unix seconds of arrival.
        path: the route, without query.
        model: the model asked for, or None when the request never got that far.
        status: HTTP status; 0 when the connection was dropped without a response.
        fault: kind of the scripted fault that hit it, or None.
        prompt_tokens, completion_tokens: as billed; of a stream, what was delivered.
        stream: whether the client asked for a stream.
        latency_ms: simulated latency, including a scripted delay.
        complete: False while a response is under way, and for ever when it broke off.
    """

    time: float
    path: str
    model: str | None = None
    status: int = 0
    fault: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    stream: bool = False
    latency_ms: float = 0.0
    complete: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The entry as plain JSON."""
        return asdict(self)


class Journal:
    """Entries by client, oldest first; safe to use from several threads."""

    def __init__(self) -> None:
        self._entries: dict[str, deque[Entry]] = {}
        self._lock = threading.Lock()

    def add(self, client: str, entry: Entry) -> None:
        """Append an entry."""
        with self._lock:
            self._entries.setdefault(client, deque(maxlen=KEPT)).append(entry)

    def of(self, client: str) -> list[dict[str, Any]]:
        """A client's entries as plain JSON."""
        with self._lock:
            return [entry.as_dict() for entry in self._entries.get(client, ())]

    def clear(self, client: str) -> None:
        """Forget a client's entries."""
        with self._lock:
            self._entries.pop(client, None)

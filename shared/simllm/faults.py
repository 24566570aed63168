"""Scripted failures, per client.

A client (an API key) has a queue of faults. Each request takes the first queued fault that matches its path and
mode, `times` requests long; then the next one gets its turn. What a fault does to the wire is `app`'s business.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

KINDS = ("rate_limit", "quota", "server_error", "slow", "truncate_stream", "broken_json", "reset", "reply")
PATHS = ("/v1/chat/completions", "/v1/embeddings", "/v1/responses", "/v1/models")
CHAT_PATH = "/v1/chat/completions"
STATUSES = (500, 503)
FINISH_REASONS = ("stop", "length", "content_filter")


@dataclass(frozen=True)
class Fault:
    """One kind of failure for the next `times` matching requests.

    Attributes:
        kind: one of `KINDS`.
        times: how many requests it hits.
        path: only requests to this path, e.g. "/v1/embeddings"; None hits every path.
        retry_after_ms: for rate_limit: what the reply tells the client to wait; None says nothing.
        status: for server_error: 500 or 503.
        delay_ms: for slow: real milliseconds before the first byte.
        after_tokens: for truncate_stream: tokens delivered before the stream ends without a finish_reason.
            It hits streaming requests only.
        text: for reply: what the next chat completion says, word for word, whatever was asked.
        finish_reason: for reply: "stop", "length" or "content_filter".

    Raises:
        ValueError: a value is not allowed; the message names the allowed ones.
    """

    kind: str
    times: int = 1
    path: str | None = None
    retry_after_ms: int | None = None
    status: int = 500
    delay_ms: int = 1_000
    after_tokens: int = 5
    text: str = ""
    finish_reason: str = "stop"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault kind {self.kind!r}; the kinds are {', '.join(KINDS)}")
        if self.path is not None and self.path not in PATHS:
            raise ValueError(f"unknown path {self.path!r} in a fault; the paths are {', '.join(PATHS)}")
        _check_int("times", self.times, 1, 100_000)
        if self.retry_after_ms is not None:
            _check_int("retry_after_ms", self.retry_after_ms, 0, 3_600_000)
        _check_int("delay_ms", self.delay_ms, 0, 600_000)
        _check_int("after_tokens", self.after_tokens, 0, 100_000)
        if isinstance(self.status, bool) or self.status not in STATUSES:
            raise ValueError(f"status is {self.status!r}; a server_error is one of {', '.join(map(str, STATUSES))}")
        if not isinstance(self.text, str) or (self.kind == "reply" and not self.text):
            raise ValueError("a reply needs a 'text', the words that the model is to say")
        if self.finish_reason not in FINISH_REASONS:
            raise ValueError(
                f"finish_reason is {self.finish_reason!r}; a reply ends by one of {', '.join(FINISH_REASONS)}"
            )

    def matches(self, path: str, *, stream: bool) -> bool:
        """Whether this fault hits a request."""
        if self.kind == "truncate_stream" and not stream:
            return False
        if self.kind == "reply" and path != CHAT_PATH:
            return False
        return self.path is None or path == self.path

    def as_dict(self) -> dict[str, Any]:
        """The fault as plain JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: object) -> Fault:
        """Build a fault from JSON.

        Raises:
            ValueError: not an object, an unknown field, or a bad value.
        """
        if not isinstance(data, Mapping):
            raise ValueError("a fault is a JSON object with a 'kind'")
        allowed = [f.name for f in fields(cls)]
        unknown = sorted(str(name) for name in data if name not in allowed)
        if unknown:
            raise ValueError(f"unknown fault field {unknown[0]!r}; the fields are {', '.join(allowed)}")
        if not isinstance(data.get("kind"), str):
            raise ValueError(f"a fault needs a 'kind'; the kinds are {', '.join(KINDS)}")
        if not isinstance(data.get("path"), str | None):
            raise ValueError(f"path is {data['path']!r}; the paths are {', '.join(PATHS)}")
        return cls(**data)


def _check_int(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")


class FaultBoard:
    """The queues of every client; safe to use from several threads."""

    def __init__(self) -> None:
        self._queues: dict[str, list[Fault]] = {}
        self._lock = threading.Lock()

    def add(self, client: str, faults: list[Fault]) -> None:
        """Append faults to a client's queue."""
        with self._lock:
            self._queues.setdefault(client, []).extend(faults)

    def clear(self, client: str) -> None:
        """Drop a client's queue."""
        with self._lock:
            self._queues.pop(client, None)

    def pending(self, client: str) -> list[Fault]:
        """What is still queued, with the remaining `times`."""
        with self._lock:
            return list(self._queues.get(client, ()))

    def take(self, client: str, path: str, *, stream: bool) -> Fault | None:
        """Use up one hit of the first matching fault."""
        with self._lock:
            queue = self._queues.get(client, [])
            for i, fault in enumerate(queue):
                if fault.matches(path, stream=stream):
                    if fault.times > 1:
                        queue[i] = replace(fault, times=fault.times - 1)
                    else:
                        del queue[i]
                    return fault
            return None

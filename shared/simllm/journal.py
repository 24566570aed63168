"""What each client asked and got: the server's side of the story.

An entry is created when a request arrives and completed as the response is delivered, so a client that reads the
journal after a reply sees that reply. The newest `KEPT` entries per client are kept. Judging them is `verdict`'s
business. What the server cannot see: a client that leaves after the last byte was handed to the network.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from simllm.recent import Recent

KEPT = 10_000


@dataclass
class Entry:
    """One request.

    Attributes:
        time: Unix seconds of arrival.
        path: the route, without query.
        model: the model asked for, or None when the request never got that far.
        status: HTTP status; 0 when the connection was dropped without a response.
        fault: kind of the scripted fault that hit it, or None; the first one when there were several.
        prompt_tokens, completion_tokens: as billed; of a stream, what was delivered.
        stream: whether the client asked for a stream.
        temperature: as the client sent it, or None.
        output_limit_tokens: `max_completion_tokens`, `max_tokens` or `max_output_tokens`, or None.
        messages_digest: same digest, same `messages`; None when the request has none.
        latency_ms: simulated latency, including a scripted delay.
        complete: False while a response is under way, and for ever when it broke off.
        number: 1 for this client's first request.
        at_ms: arrival, in monotonic milliseconds since the server started.
        gap_ms: since this client's previous request arrived; None for the first.
        digest: same digest, same method, path and body: a retry looks like this.
        faults: every scripted fault that hit it.
        error_code: the error object's code (or type), or None.
        retry_after_ms: how long the response told the client to wait, or None; from `retry-after(-ms)`.
        should_retry: what the response said in `x-should-retry`, or None.
        retry_count: what the client said in `x-stainless-retry-count`, or None.
        read_timeout_s: what the client said in `x-stainless-read-timeout`, or None.
        idempotency_key: what the client sent as `idempotency-key`, or None.
        reply_id: the id of the reply that was sent.
        ended_ms: from arrival until the exchange was over; None while it is under way.
        left_ms: from arrival until the client left before the end; None when it stayed.
        silent_ms: the longest wait for a next byte, in milliseconds.
        outcome: "pending", "whole", "short" (a stream that ended without finish reason, or no body), "corrupt"
            (bytes that are no JSON), "broken" (cut by the server) or "left" (by the client).
        accepted: whether the client reported that it used this reply.
    """

    time: float
    path: str
    model: str | None = None
    status: int = 0
    fault: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    stream: bool = False
    temperature: float | None = None
    output_limit_tokens: int | None = None
    messages_digest: str | None = None
    latency_ms: float = 0.0
    complete: bool = False
    number: int = 0
    at_ms: float = 0.0
    gap_ms: float | None = None
    digest: str = ""
    faults: list[str] = field(default_factory=list)
    error_code: str | None = None
    retry_after_ms: float | None = None
    should_retry: bool | None = None
    retry_count: int | None = None
    read_timeout_s: float | None = None
    idempotency_key: str | None = None
    reply_id: str | None = None
    ended_ms: float | None = None
    left_ms: float | None = None
    silent_ms: float = 0.0
    outcome: str = "pending"
    accepted: bool = False

    def note_request(self, body: Mapping[str, Any]) -> None:
        """What the request asks for, as far as it is of the right type."""
        self.model = body["model"] if isinstance(body.get("model"), str) else None
        self.stream = body.get("stream") is True
        if isinstance(temperature := body.get("temperature"), int | float):
            self.temperature = float(temperature)
        limits = (body.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
        self.output_limit_tokens = next((limit for limit in limits if isinstance(limit, int)), None)
        if isinstance(messages := body.get("messages"), list):
            self.messages_digest = hashlib.sha256(json.dumps(messages, sort_keys=True).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """The entry as plain JSON."""
        return asdict(self)


class Journal:
    """Entries by client, oldest first; safe to use from several threads.

    Args:
        clock: monotonic seconds; a test may bring its own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._entries: Recent[deque[Entry]] = Recent(lambda: deque(maxlen=KEPT))
        self._lock = threading.Lock()

    def now_ms(self) -> float:
        """Monotonic milliseconds since the start, to the microsecond."""
        return round((self._clock() - self._start) * 1000, 3)

    def add(self, client: str, entry: Entry) -> None:
        """Append an entry: its arrival is now."""
        with self._lock:
            kept = self._entries[client]
            entry.at_ms = self.now_ms()
            entry.number = kept[-1].number + 1 if kept else 1
            entry.gap_ms = round(entry.at_ms - kept[-1].at_ms, 3) if kept else None
            kept.append(entry)

    def end(self, entry: Entry) -> None:
        """The exchange is over."""
        entry.ended_ms = round(self.now_ms() - entry.at_ms, 3)

    def accept(self, client: str, reply_id: str) -> bool:
        """Note that a client used a reply; False when it never got one of this id."""
        with self._lock:
            found = [entry for entry in self._entries.find(client) or () if entry.reply_id == reply_id]
            for entry in found:
                entry.accepted = True
            return bool(found)

    def of(self, client: str) -> list[dict[str, Any]]:
        """A client's entries as plain JSON."""
        with self._lock:
            return [entry.as_dict() for entry in self._entries.find(client) or ()]

    def clear(self, client: str) -> None:
        """Forget a client's entries."""
        with self._lock:
            self._entries.drop(client)


def digest(method: str, path: str, body: bytes) -> str:
    """Identifies a request by what it asks, in 16 hex digits; headers do not count."""
    return hashlib.sha256(b"\n".join((method.encode(), path.encode(), body))).hexdigest()[:16]


def number(text: str | None) -> float | None:
    """A header's number, or None when it is no finite one."""
    try:
        value = math.nan if text is None else float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def told_to_wait_ms(headers: dict[str, str]) -> float | None:
    """What `retry-after-ms`, or else `retry-after` in seconds or as an HTTP date, tells a client to wait."""
    in_ms, in_s = number(headers.get("retry-after-ms")), number(headers.get("retry-after"))
    if in_ms is not None:
        return in_ms
    if in_s is not None:
        return in_s * 1000
    if "retry-after" not in headers:
        return None
    return max(0.0, (parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time()) * 1000)

"""The HTTP side of one exchange: reading a body, sending JSON, pacing a stream.

Pure ASGI. A reply is first computed whole, then delivered; the simulated clock decides only when each part leaves.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from simllm.errors import UNREADABLE, ApiError
from simllm.journal import Entry

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = 10 * 1024 * 1024
_DRAIN_BYTES = 64 * 1024 * 1024
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class JsonReply:
    """A whole reply, ready to send."""

    body: dict[str, Any]
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latency_ms: float = 0.0


@dataclass(frozen=True)
class StreamEvent:
    """One server-sent event: its data, how many tokens are out once it is, when it leaves, and whether it ends."""

    data: dict[str, Any]
    tokens: int
    at_ms: float
    final: bool = False


@dataclass(frozen=True)
class StreamReply:
    """A streamed reply; `events` are in sending order, `trailer` follows the last of them."""

    events: tuple[StreamEvent, ...]
    prompt_tokens: int
    latency_ms: float
    trailer: bytes = DONE


Reply = JsonReply | StreamReply


class Disconnected(Exception):
    """The client went away."""


@dataclass
class Exchange:
    """One request and its response."""

    scope: Scope
    receive: Receive
    send: Send
    entry: Entry
    headers: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)
    _gone: asyncio.Task[None] | None = None

    def request_header(self, name: str) -> str | None:
        """A request header's first value."""
        wanted = name.lower().encode("latin-1")
        for key, value in self.scope["headers"]:
            if key == wanted:
                return str(value.decode("latin-1"))
        return None

    async def body(self) -> bytes:
        """The request body.

        Raises:
            ApiError: 400 for a body that is said to be compressed, which nothing here reads; 413 over `MAX_BODY_BYTES`; the rest is read and dropped first, so the client can hear it.
            Disconnected: the client left while sending.
        """
        parts: list[bytes] = []
        size = 0
        more = True
        while more and size <= _DRAIN_BYTES:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk = message.get("body", b"")
            size += len(chunk)
            if size <= MAX_BODY_BYTES:
                parts.append(chunk)
            more = message.get("more_body", False)
        if size > MAX_BODY_BYTES:
            limit = MAX_BODY_BYTES // 1024 // 1024
            raise ApiError(413, f"The request body is larger than {limit} MB.", code="request_too_large")
        coding = (self.request_header("content-encoding") or "identity").strip().lower()
        if coding not in ("", "identity"):
            raise ApiError(400, UNREADABLE.format(f"it came with 'Content-Encoding: {coding[:40]}'; send it as it is"))
        return b"".join(parts)

    async def wait(self, seconds: float) -> None:
        """Sleep, but not longer than the client stays.

        Raises:
            Disconnected: the client left.
        """
        if seconds <= 0:
            return
        done, _ = await asyncio.wait({self._watch()}, timeout=seconds)
        if done:
            raise Disconnected

    async def in_turn(self, work: Callable[[], Reply], job: Callable[[], AbstractContextManager[None]]) -> Reply:
        """Do the work in a worker thread once it is its turn, unless the client has left by then.

        Args:
            work: what to do.
            job: waits for the turn and ends it.

        Raises:
            Disconnected: the client left before its turn.
        """
        gone = self._watch()

        def unless_gone() -> Reply | None:
            with job():
                return None if gone.done() else work()

        reply = await asyncio.to_thread(unless_gone)
        if reply is None:
            raise Disconnected
        return reply

    def _watch(self) -> asyncio.Task[None]:
        if self._gone is None:
            self._gone = asyncio.ensure_future(self._until_gone())
        return self._gone

    async def _until_gone(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass

    def close(self) -> None:
        """Stop watching the client."""
        if self._gone is not None:
            self._gone.cancel()

    async def start(self, status: int, content_type: str, length: int | None = None) -> None:
        """Send the status line and headers."""
        self.entry.status = status
        headers = {"content-type": content_type, **self.headers}
        if self.entry.path.startswith("/v1/"):
            headers["openai-processing-ms"] = str(round((time.perf_counter() - self.began) * 1000))
        if length is not None:
            headers["content-length"] = str(length)
        raw = [(k.encode("latin-1"), v.encode("latin-1", "replace")) for k, v in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})

    async def send_bytes(self, data: bytes, *, more: bool) -> None:
        """Send a part of the body."""
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def send_json(self, status: int, body: dict[str, Any]) -> None:
        """Send a whole JSON response."""
        data = encode_json(body)
        await self.start(status, "application/json", len(data))
        self.entry.complete = True
        await self.send_bytes(data, more=False)


def encode_json(body: object) -> bytes:
    """JSON as UTF-8 bytes."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def encode_event(body: dict[str, Any]) -> bytes:
    """One server-sent event; data that says its `type` (the Responses API) also gets an event name."""
    name = f"event: {body['type']}\n".encode() if "type" in body else b""
    return name + b"data: " + encode_json(body) + b"\n\n"

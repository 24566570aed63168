"""Hand a reply to the client: at the pace of the clock, through the faults it meets, with a note in the journal.

The journal is completed before the last byte leaves, so that a client which reads it after a reply sees that reply.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from simllm.errors import ApiError
from simllm.faults import Meeting, Page, Part
from simllm.journal import Journal, told_to_wait_ms
from simllm.wire import Disconnected, Exchange, JsonReply, StreamReply, encode_event, encode_json

_LOOK_EVERY = 16  # stream pieces between two looks at whether the client is still there; each costs about 50 µs
_LOOK_MS = 0.001


class Line(Protocol):
    """The server's hold on its sockets."""

    def drop(self, client: Any, *, hard: bool = False) -> None:
        """Close the connection of a client, given its (host, port), at once; `hard` sends a RST."""

    def refuse(self, for_ms: int) -> None:
        """Stop listening for some real milliseconds."""


class Delivery:
    """Delivers replies to one client.

    Args:
        exchange: its request and response.
        journal: tells the time.
        clock_scale: 0 answers at once, 1 at the models' speed.
        line: cuts connections.
    """

    def __init__(self, exchange: Exchange, journal: Journal, clock_scale: float, line: Line) -> None:
        self.exchange = exchange
        self.entry = exchange.entry
        self._journal = journal
        self._scale = clock_scale
        self._line = line
        self._corrupt = False  # whether a corrupt piece was sent

    async def pause(self, ms: float) -> None:
        """Silence; notes how long it was.

        Raises:
            Disconnected: the client left.
        """
        started = self._journal.now_ms()
        try:
            await self.exchange.wait(ms / 1000)
        finally:
            self.entry.silent_ms = max(self.entry.silent_ms, round(self._journal.now_ms() - started, 3))

    async def cut(self, *, hard: bool) -> None:
        """Close the connection and wait until the server has seen it."""
        self._close("broken", complete=False)
        self._line.drop(self.exchange.scope.get("client"), hard=hard)
        while (await self.exchange.receive())["type"] != "http.disconnect":
            pass

    async def refuse(self, for_ms: int) -> None:
        """Stop listening, then cut."""
        self._line.refuse(for_ms)
        await self.cut(hard=True)

    async def error(self, error: ApiError) -> None:
        """An error object."""
        headers = dict(error.headers)
        await self.page(
            Page(error.status, "application/json", encode_json(error.body()), headers, error.code or error.type)
        )

    async def page(self, page: Page) -> None:
        """A response in one piece."""
        headers = self.exchange.headers
        headers.update(page.headers)
        self.entry.error_code = page.code
        self.entry.retry_after_ms = told_to_wait_ms(headers)
        said = headers.get("x-should-retry")
        self.entry.should_retry = None if said is None else said == "true"
        await self.exchange.start(page.status, page.content_type, len(page.data))
        self._close("broken" if page.end in ("close", "reset") else page.end, complete=True)
        await self.exchange.send_bytes(page.data, more=False)

    async def whole(self, reply: JsonReply, meeting: Meeting, data: dict[str, Any]) -> None:
        """A reply that is not a stream."""
        await self.pause(reply.latency_ms * self._scale or _LOOK_MS)
        self.entry.completion_tokens = reply.completion_tokens
        body = meeting.body(reply.body, data)
        self.entry.reply_id = body.get("id")
        await self.page(meeting.page(Page(200, "application/json", encode_json(body))))

    async def stream(self, reply: StreamReply, meeting: Meeting) -> None:
        """A stream, piece by piece. Whoever leaves after a corrupt piece has reason to: the stream is noted as corrupt."""
        await self.exchange.start(200, "text/event-stream; charset=utf-8")
        self.entry.reply_id = _reply_id(reply)
        try:
            await self._pieces(reply, meeting)
        except Disconnected:
            if not self._corrupt:
                raise
            self._close("corrupt", complete=False)

    async def _pieces(self, reply: StreamReply, meeting: Meeting) -> None:
        started = time.monotonic()
        for i, part in enumerate(meeting.stream(_parts(reply))):
            if part.pause_ms:
                await self.pause(part.pause_ms)
                started += part.pause_ms / 1000
            due_s = started + part.at_ms / 1000 * self._scale - time.monotonic()
            if due_s > 0:
                await self.pause(due_s * 1000)
            elif i % _LOOK_EVERY == 0 or part.end:
                await self.exchange.wait(_LOOK_MS / 1000)
            else:
                await asyncio.sleep(0)  # a lost connection is heard of between two writes, not after five in vain
            if part.end:
                await self._end(replace(part, end="corrupt") if self._corrupt and part.end == "whole" else part)
                return
            self._corrupt = self._corrupt or part.corrupt
            self.entry.completion_tokens = part.tokens
            await self.exchange.send_bytes(part.data, more=True)

    async def _end(self, part: Part) -> None:
        if part.end in ("close", "reset"):
            await self.exchange.send_bytes(part.data, more=True)
            await self.cut(hard=part.end == "reset")
            return
        self._close(part.end, complete=part.end == "whole")
        await self.exchange.send_bytes(part.data, more=False)

    def _close(self, outcome: str, *, complete: bool) -> None:
        self.entry.outcome = outcome
        self.entry.complete = complete
        self._journal.end(self.entry)


def _parts(reply: StreamReply) -> Iterator[Part]:
    last = 0
    for event in reply.events:
        yield Part(encode_event(event.data), event.tokens, event.at_ms, event.final)
        last = event.tokens
    yield Part(reply.trailer, last, reply.latency_ms, final=True, end="whole")


def _reply_id(reply: StreamReply) -> str | None:
    data = reply.events[0].data if reply.events else {}
    holder = data.get("response", data)
    return holder.get("id") if isinstance(holder, dict) else None

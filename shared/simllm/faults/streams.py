"""Faults in the middle of a streamed reply.

Each takes the pieces of a stream and yields other pieces. `after_tokens` counts completion tokens that the client
has received; a shorter reply meets the fault at its end, before the finish reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from simllm.faults.base import Effect, End, Part, check_choice, check_int, check_text
from simllm.wire import encode_event


@dataclass(frozen=True)
class StreamFault(Effect):
    """A fault at one place of a stream.

    Attributes:
        after_tokens: tokens delivered before it strikes.
    """

    wants = "stream"
    after_tokens: int = 5

    def __post_init__(self) -> None:
        check_int("after_tokens", self.after_tokens, 0, 100_000)

    def strike(self, part: Part) -> Iterator[Part]:
        """What comes in place of the first piece past `after_tokens`."""
        raise NotImplementedError

    def stream(self, parts: Iterable[Part]) -> Iterator[Part]:
        struck = False
        for part in parts:
            if struck or not (part.tokens > self.after_tokens or part.final):
                yield part
                continue
            struck = True
            for piece in self.strike(part):
                yield piece
                if piece.end:
                    return


@dataclass(frozen=True)
class DuplicateChunk(StreamFault):
    """One chunk arrives twice, as after a proxy's replay."""

    kind = "duplicate_chunk"
    rank = 10

    def strike(self, part: Part) -> Iterator[Part]:
        yield replace(part, end="")
        yield part


@dataclass(frozen=True)
class CorruptChunk(StreamFault):
    """One server-sent event is not JSON; the rest of the stream follows as if nothing had happened."""

    kind = "corrupt_chunk"
    rank = 20

    def strike(self, part: Part) -> Iterator[Part]:
        yield replace(part, data=part.data[: len(part.data) // 2].rstrip(b"\n") + b"\n\n", corrupt=True)


@dataclass(frozen=True)
class ErrorEvent(StreamFault):
    """`data: {"error": …}` in a stream that began with 200; then the stream ends.

    Attributes:
        message: the error's text.
    """

    kind = "error_event"
    rank = 30
    message: str = "The server had an error while processing your request. Sorry about that!"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text("message", self.message)

    def strike(self, part: Part) -> Iterator[Part]:
        error = {"message": self.message, "type": "server_error", "param": None, "code": "server_error"}
        yield replace(part, data=encode_event({"error": error}), end="corrupt")


@dataclass(frozen=True)
class Stall(StreamFault):
    """Silence in mid-stream; the connection stays open.

    Attributes:
        for_ms: real milliseconds; None: for ever, that is until the client leaves or the server stops.
    """

    kind = "stall"
    rank = 40
    for_ms: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.for_ms is not None:
            check_int("for_ms", self.for_ms, 0, 600_000)

    def strike(self, part: Part) -> Iterator[Part]:
        pause_ms = math.inf if self.for_ms is None else float(self.for_ms)
        yield replace(part, pause_ms=part.pause_ms + pause_ms)


@dataclass(frozen=True)
class Trickle(Effect):
    """Every chunk comes late, but no single wait is long: a timeout per read never fires.

    Attributes:
        delay_ms: real milliseconds before each chunk.
    """

    kind = "trickle"
    wants = "stream"
    rank = 50
    delay_ms: int = 200

    def __post_init__(self) -> None:
        check_int("delay_ms", self.delay_ms, 0, 600_000)

    def stream(self, parts: Iterable[Part]) -> Iterator[Part]:
        for part in parts:
            yield replace(part, pause_ms=part.pause_ms + self.delay_ms)


@dataclass(frozen=True)
class TruncateStream(StreamFault):
    """The stream ends cleanly but too early: no finish reason, no end mark. Most clients notice nothing."""

    kind = "truncate_stream"
    rank = 60

    def strike(self, part: Part) -> Iterator[Part]:
        yield replace(part, data=b"", end="short")


@dataclass(frozen=True)
class BreakStream(StreamFault):
    """The connection breaks in the middle of a chunk.

    Attributes:
        how: "close" ends it with a FIN, "reset" with a RST.
    """

    kind = "break_stream"
    rank = 70
    how: End = "close"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("how", self.how, ("close", "reset"))

    def strike(self, part: Part) -> Iterator[Part]:
        yield replace(part, data=part.data[: len(part.data) // 2], end=self.how)

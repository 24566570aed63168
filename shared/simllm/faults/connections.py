"""Faults of the connection: late, cut, or not accepted at all."""

from __future__ import annotations

from dataclasses import dataclass

from simllm.faults.base import Cut, Effect, check_int


@dataclass(frozen=True)
class Slow(Effect):
    """The first byte comes late.

    Attributes:
        delay_ms: real milliseconds before the first byte, headers included.
    """

    kind = "slow"
    delay_ms: int = 1_000

    def __post_init__(self) -> None:
        check_int("delay_ms", self.delay_ms, 0, 600_000)

    def wait_ms(self) -> float:
        return float(self.delay_ms)


@dataclass(frozen=True)
class Reset(Effect):
    """The connection is reset (TCP RST) after the request was read, before any byte of a response."""

    kind = "reset"

    def cut(self) -> Cut | None:
        return Cut()


@dataclass(frozen=True)
class Refuse(Effect):
    """The server stops listening for a while: new connections are refused.

    A server cannot know whose connection it refuses, so this fault hits every client, not only the scripted one.
    The request that meets it is reset; connections that are already open stay open.

    Attributes:
        for_ms: real milliseconds until the server listens again.
    """

    kind = "refuse"
    for_ms: int = 1_000

    def __post_init__(self) -> None:
        check_int("for_ms", self.for_ms, 1, 60_000)

    def cut(self) -> Cut | None:
        return Cut(self.for_ms)

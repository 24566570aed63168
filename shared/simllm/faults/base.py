"""What a fault is made of: the record of one kind, and the shapes it works on.

A kind is a frozen dataclass that checks its own fields and overrides the few hooks it needs. The hooks are pure:
they say how long to wait, what to answer, how to change a request, a body or a stream. Sockets belong to `app`.
The idea of composable, scripted transformations between client and server: Toxiproxy (Shopify, 2014).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

CHAT_PATH = "/v1/chat/completions"
EMBEDDINGS_PATH = "/v1/embeddings"
PATHS = (CHAT_PATH, EMBEDDINGS_PATH, "/v1/responses", "/v1/models")

End = Literal["", "whole", "short", "corrupt", "close", "reset"]


@dataclass(frozen=True)
class Cut:
    """The connection goes away; with `refuse_ms`, new ones are refused for so many real milliseconds."""

    refuse_ms: int | None = None


@dataclass(frozen=True)
class Page:
    """A response in one piece; `code` (of an error) and `end` (as for `Part`) are what the journal notes."""

    status: int
    content_type: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None
    end: End = "whole"


@dataclass(frozen=True)
class Part:
    """One piece of a stream.

    Attributes:
        data: the bytes to send.
        tokens: completion tokens that are out once this piece is.
        at_ms: when the simulated clock lets it leave, from the start of the stream.
        final: it carries a finish reason, the usage or the end mark.
        pause_ms: real milliseconds of silence before it; infinite: until the client leaves.
        end: "" goes on; else the stream ends after this piece: "whole", "short" (cleanly, without a finish reason),
            "corrupt" (cleanly, after bytes that are no JSON), or broken off by "close" (FIN) or "reset" (RST).
        corrupt: these bytes are no JSON.
    """

    data: bytes
    tokens: int
    at_ms: float
    final: bool = False
    pause_ms: float = 0.0
    end: End = ""
    corrupt: bool = False


class Effect:
    """One kind of failure; subclasses are frozen dataclasses whose fields are the fault's options.

    Attributes:
        kind: its name in scripts.
        paths: the only routes that it makes sense on; None: every route.
        wants: "stream" waits for a streaming request, "whole" for one that is not, "any" takes both.
        rank: where it acts when several effects change the same body or stream; low acts first.
    """

    kind: ClassVar[str]
    paths: ClassVar[tuple[str, ...] | None] = None
    wants: ClassVar[Literal["any", "stream", "whole"]] = "any"
    rank: ClassVar[int] = 0

    def matches(self, path: str, *, stream: bool) -> bool:
        """Whether a request can meet this effect."""
        if self.wants != "any" and stream != (self.wants == "stream"):
            return False
        return self.paths is None or path in self.paths

    def wait_ms(self) -> float:
        """Real milliseconds before the first byte."""
        return 0.0

    def cut(self) -> Cut | None:
        """Whether the connection goes away instead of a response."""
        return None

    def refusal(self, model: str | None) -> Page | None:
        """The response that takes the place of the reply."""
        return None

    def request(self, data: dict[str, Any]) -> dict[str, Any]:
        """The request as the model gets to see it."""
        return data

    def body(self, body: dict[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
        """The reply's JSON, given the client's request."""
        return body

    def page(self, page: Page) -> Page:
        """The reply on its way out, when it is not a stream."""
        return page

    def stream(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The pieces of a streamed reply."""
        yield from parts


def check_int(name: str, value: object, low: int, high: int) -> None:
    """Refuse anything but a whole number in [low, high].

    Raises:
        ValueError: names the field, its value and the range.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")


def check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse anything but one of the allowed values.

    Raises:
        ValueError: names the field, its value and the allowed ones.
    """
    if isinstance(value, bool) != any(isinstance(item, bool) for item in allowed) or value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(str, allowed))}")


def check_flag(name: str, value: object) -> None:
    """Refuse anything but true, false or nothing."""
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; it must be true, false or left out")


def check_text(name: str, value: object) -> None:
    """Refuse anything but text or nothing."""
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; it must be text")

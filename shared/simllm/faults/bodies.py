"""Faults of a body that arrives with status 200."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from simllm.faults.base import Effect, Page, Part, check_text


@dataclass(frozen=True)
class BrokenJson(Effect):
    """200 with half a JSON body; in a stream, half of the first content chunk, and then nothing more."""

    kind = "broken_json"
    rank = 60

    def page(self, page: Page) -> Page:
        return replace(page, data=page.data[: len(page.data) // 2], end="corrupt")

    def stream(self, parts: Iterable[Part]) -> Iterator[Part]:
        for part in parts:
            if part.tokens:
                yield replace(part, data=part.data[: len(part.data) // 2] + b"\n\n", end="corrupt")
                return
            yield part


@dataclass(frozen=True)
class EmptyBody(Effect):
    """200 and not one byte of body; a stream that ends before it began."""

    kind = "empty_body"
    rank = 70

    def page(self, page: Page) -> Page:
        return replace(page, data=b"", end="short")

    def stream(self, parts: Iterable[Part]) -> Iterator[Part]:
        yield Part(b"", 0, 0.0, end="short")


@dataclass(frozen=True)
class WrongContentType(Effect):
    """A good body under the wrong content type.

    Attributes:
        content_type: what the header says instead of application/json.
    """

    kind = "wrong_content_type"
    wants = "whole"
    content_type: str = "text/plain; charset=utf-8"

    def __post_init__(self) -> None:
        check_text("content_type", self.content_type)
        if not (self.content_type and self.content_type.isascii() and self.content_type.isprintable()):
            raise ValueError(f"content_type is {self.content_type!r}; it must be printable ASCII, e.g. text/plain")

    def page(self, page: Page) -> Page:
        return replace(page, content_type=self.content_type)

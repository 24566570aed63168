"""A value that a text mentions: what kind it is, where it stands, and the words around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Mention:
    """A value in a text.

    Attributes:
        kind: "quoted", "email", "url", "uuid", "ip", "path", "phone", "address", "coordinates", "identifier", "when",
            "number", "name", "phrase", "said" (all that follows a verb of saying), "labelled" or "following".
        text: the value as text.
        start, end: where it stands.
        number: its amount.
        unit: the word after the amount, "%" or an ISO currency code; "".
        day, time: of a "when".
        cue: the words right before it, lower-cased, nearest last.
        after: the words right after it.
        label: the words before the colon or equals sign that it stands behind ("Total: 5"); empty.
        next_to_label: whether nothing stands between it and its label.
    """

    kind: str
    text: str
    start: int
    end: int
    number: float | None = None
    unit: str = ""
    day: str = ""
    time: str = ""
    cue: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    next_to_label: bool = False

    def overlaps(self, other: Mention) -> bool:
        """Whether both cover some of the same characters."""
        return self.start < other.end and other.start < self.end

    def inside(self, spans: Sequence[tuple[int, int]]) -> bool:
        """Whether it shares characters with any of the stretches."""
        return any(self.start < end and start < self.end for start, end in spans)

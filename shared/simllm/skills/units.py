"""Cut context into the smallest pieces that can be said as an answer: sentences, list items, table rows, code lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simllm.skills.layout import Passage

_BREAK = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[`*]*[A-ZÀ-Þ0-9`])")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|approx|no|nr|fig|dr|mr|mrs|ms|st|z\.B|d\.h|bzw|ca)\.$", re.I)
_LIST_ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])\s+(.*)$")
_HEADING = re.compile(r"^\s*#{1,6}\s+(.*?)\s*#*$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_RULE = re.compile(r"^[\s|:=-]*$")
_COMMENT = re.compile(r"\s(?:#|//|--)\s+(.*)$")


@dataclass(frozen=True)
class Unit:
    """One sayable piece.

    Attributes:
        text: as it would be said.
        about: heading and lead-in that give it its meaning, for scoring only.
        passage: index of its passage.
        order: position among all units of the prompt.
        kind: "sentence", "item", "row" or "code".
    """

    text: str
    about: str
    passage: int
    order: int
    kind: str


def cut(passages: Sequence[Passage]) -> list[Unit]:
    """All units of all passages, in prompt order."""
    units: list[Unit] = []
    for index, passage in enumerate(passages):
        for text, about, kind in _Reader().read(passage.text):
            if re.search(r"\w", text):
                units.append(Unit(text, about, index, len(units), kind))
    return units


class _Reader:
    """Reads one passage line by line."""

    def __init__(self) -> None:
        self.out: list[tuple[str, str, str]] = []
        self.heading = ""
        self.lead = ""
        self.prose: list[str] = []
        self.columns: list[str] = []

    def read(self, text: str) -> list[tuple[str, str, str]]:
        """(text, about, kind) of every unit."""
        fenced = False
        for line in text.split("\n"):
            if _FENCE.match(line):
                self.flush()
                fenced = not fenced
            elif fenced:
                self.code(line)
            elif line.count("|") >= 2 and line.strip().startswith("|"):
                self.flush()
                self.row(line)
            else:
                self.columns = []
                self.text_line(line)
        self.flush()
        return self.out

    def text_line(self, line: str) -> None:
        heading, item = _HEADING.match(line), _LIST_ITEM.match(line)
        if heading:
            self.flush()
            self.heading, self.lead = heading.group(1), ""
        elif item:
            self.flush()
            self.add(item.group(1).strip(), f"{self.heading} {self.lead}", "item")
        elif line.strip() and not _RULE.match(line):
            self.prose.append(line.strip())
        else:
            self.flush()

    def flush(self) -> None:
        """End a paragraph: unwrap it and cut it into sentences."""
        if not self.prose:
            return
        for sentence in sentences(" ".join(self.prose)):
            self.add(sentence, self.heading, "sentence")
            self.lead = sentence
        self.prose = []

    def row(self, line: str) -> None:
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if _RULE.match(line):
            return
        if not self.columns:
            self.columns = cells
            return
        named = [f"{name}: {cell}" for name, cell in zip(self.columns[1:], cells[1:], strict=False) if cell and name]
        self.add(
            f"{cells[0]}: {'; '.join(named)}" if named else cells[0],
            f"{self.heading} {self.columns[0]} {self.lead}",
            "row",
        )

    def code(self, line: str) -> None:
        comment = _COMMENT.search(line)
        about = f"{self.heading} {self.lead} {comment.group(1) if comment else ''}"
        self.add(line.strip(), about, "code")

    def add(self, text: str, about: str, kind: str) -> None:
        if text:
            self.out.append((text, about.strip(), kind))


def sentences(text: str) -> list[str]:
    """Split prose into sentences; common abbreviations do not end one."""
    parts: list[str] = []
    start = 0
    for match in _BREAK.finditer(text):
        if _ABBREVIATION.search(text[start : match.start()]):
            continue
        parts.append(text[start : match.end()].strip())
        start = match.end()
    return [part for part in [*parts, text[start:].strip()] if part]

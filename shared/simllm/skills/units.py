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
_AMOUNT = re.compile(r"\d[\d.,]*(?:$|\s?(?:[^\w\s]|[^\W\d_]{1,3}\b))")
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
        span: where it stands in its passage's text: first character and the one after the last.
    """

    text: str
    about: str
    passage: int
    order: int
    kind: str
    span: tuple[int, int]


def cut(passages: Sequence[Passage]) -> list[Unit]:
    """All units of all passages, in prompt order."""
    units: list[Unit] = []
    for index, passage in enumerate(passages):
        for text, about, kind, span in _Reader(passage.text).read():
            if re.search(r"\w", text):
                units.append(Unit(text, about, index, len(units), kind, span))
    return units


class _Reader:
    """Reads one passage line by line; a first line "Guide > Setup > Ports" is the path of headings that it stands under."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.out: list[tuple[str, str, str, tuple[int, int]]] = []
        self.heading = ""
        self.lead = ""
        self.prose: list[str] = []
        self.columns: list[str] = []

    def read(self) -> list[tuple[str, str, str, tuple[int, int]]]:
        """(text, about, kind, span) of every unit."""
        fenced = False
        for line in self.body().split("\n"):
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

    def body(self) -> str:
        """The text below a first line of headings, which becomes the heading; all of it where there is no such line."""
        first, _, rest = self.text.lstrip().partition("\n")
        crumbs = _crumbs(first)
        if not crumbs or not rest.strip():
            return self.text
        self.heading = " ".join(crumbs)
        self.find(first)
        return rest

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
        if _RULE.match(line) or not self.columns:
            self.find(line)
            self.columns = self.columns or cells
            return
        named = [f"{name}: {cell}" for name, cell in zip(self.columns[1:], cells[1:], strict=False) if cell and name]
        self.add(
            f"{cells[0]}: {'; '.join(named)}" if named else cells[0],
            f"{self.heading} {self.columns[0]} {self.lead}",
            "row",
            line,
        )

    def code(self, line: str) -> None:
        comment = _COMMENT.search(line)
        about = f"{self.heading} {self.lead} {comment.group(1) if comment else ''}"
        self.add(line.strip(), about, "code")

    def add(self, text: str, about: str, kind: str, source: str = "") -> None:
        """Note a unit; `source` is how it stands in the passage where that is not its text."""
        if text:
            self.out.append((text, about.strip(), kind, self.find(source or text)))

    def find(self, source: str) -> tuple[int, int]:
        """Where words stand, after everything that was found before, whatever the white space between them."""
        start = end = -1
        at = self.position
        for word in source.split():
            found = self.text.find(word, at)
            if found < 0:
                return self.position, self.position
            start, end = (found if start < 0 else start), found + len(word)
            at = end
        self.position = max(end, self.position)
        return max(start, 0), self.position


def _crumbs(line: str) -> list[str]:
    """The headings of "Guide > Setup > Ports"; none in a sentence, a quotation or a comparison such as "load > 80 %"."""
    parts = line.strip().split(" > ")
    heading = len(parts) > 1 and all(re.match(r"[^\W_]|[(\"'`“#]", part) and len(part) <= 80 for part in parts)
    if not heading or line.rstrip()[-1] in ".!?:;," or any(_AMOUNT.match(part.strip()) for part in parts[1:]):
        return []
    return parts


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

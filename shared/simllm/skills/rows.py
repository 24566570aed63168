"""Lists of objects in a text: rows (lines, clauses or sentences) that each fill most of an item's fields.

The text is cut in several ways, from lines to commas; the way that fills most items is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from simllm.embeddings import Embedder
from simllm.plain_schema import VARIANTS
from simllm.skills.arguments import build, fill
from simllm.skills.conforming import invented
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Field, Path, Schema, leaves, split_name
from simllm.skills.filling import Filling
from simllm.skills.goods import goods
from simllm.skills.measures import MEASURES
from simllm.skills.variants import settle

_SPLITS = (
    re.compile(r"\n+"),
    re.compile(r"(?<=[.!?])\s+|\n+"),
    re.compile(r"\s*;\s*|(?<=[.!?])\s+|\n+|:\s(?=\d[^,;\n]*[,;]\s*\d)"),
    re.compile(
        r",\s+(?!\d{4}\b)|\s*;\s*|(?<=[.!?])\s+|\n+|:\s(?=\d[^,;\n]*[,;]\s*\d)|\s+and\s+(?=\d|(?:an?|one|two|three|four|five|six|seven|eight|nine|ten)\b|[A-Z])"
    ),
)
_DOING = re.compile(
    r"\W*[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*(?: will | is to | must | should | shall | has to | needs to | to |\s*[:–-] )"
)
_EDGES = re.compile(
    r"^(?:[\s\W]|(?:x|of|at|for|the|a|an|and|each|apiece|per|sku|item|article)\b)+|(?:[\s\W]|\b(?:at|for|of|each|apiece|with|by|per|and|in|on|costs?|is|was)\b)+$",
    re.I,
)
MOST_GAP = 60  # characters of a free text in a row
MOST_ROWS = 60


def fill_rows(
    schema: Schema,
    text: str,
    today: date | None,
    embedder: Embedder | None,
    *,
    eager: bool = True,
    known: Mapping[Path, Any] | None = None,
) -> tuple[dict[Path, Any], str]:
    """(the arrays of objects by path, the text without what they took).

    Args:
        eager: give an array without rows as an empty one (or with `minItems` empty objects) instead of leaving it out.
        known: arrays that are filled already.
    """
    values = dict(known or {})
    left = text
    for field in leaves(schema):
        items = field.schema.get("items", {})
        if field.path in values or field.kind != "array" or not items.get("properties"):
            continue
        rows, spans = _rows(items, left, today, embedder, field.name)
        least, most = int(field.schema.get("minItems", 0)), int(field.schema.get("maxItems", MOST_ROWS))
        if not rows and not eager:
            continue
        while len(rows) < least:
            rows.append(invented(items, text, empty=True))
        values[field.path] = rows[:most]
        for start, end in spans:
            left = left[:start] + re.sub(r"[^\n]", " ", left[start:end]) + left[end:]
    return values, left


def nothing(field: Field, seed: str) -> Any:
    """What stands for a value that the text does not hold."""
    return None if field.nullable else invented(field.schema, f"{seed}\0{'.'.join(field.path)}", empty=True)


def _rows(
    items: Schema, text: str, today: date | None, embedder: Embedder | None, title: str
) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
    """The objects of a list, and where they stand: by the way of cutting that fills most items."""
    best: tuple[float, list[dict[str, Any]], list[tuple[int, int]]] = (0.0, [], [])
    for pattern in _SPLITS:
        rows, spans, total = [], [], 0.0
        for start, segment in _segments(text, pattern):
            own = settle(items, Evidence(segment, today, None)) if VARIANTS in items else items
            fields = list(leaves(own))
            hard = [f for f in fields if _hard(f)]
            made = _fill_row(own, fields, segment, today, title)
            if not any(f.required and not f.nullable for f in hard) and not _DOING.match(segment):
                continue
            held = [f for f in hard if f.path in made.values and (f.kind != "enum" or made.scores[f.path] >= 0.75)]
            if (
                len(held) < len([f for f in hard if f.required and not f.nullable])
                or not (held or not hard)
                or len(made.spans) < max(1, min(2, len([f for f in fields if f.kind not in ("boolean", "const")])))
            ):
                continue
            for f in fields:
                if f.path not in made.values:
                    made.values[f.path] = nothing(f, segment)
            rows.append(build(own, made.values, segment, empty=True))
            used = list(made.spans.values())
            spans.append((start + min(s for s, _ in used), start + max(e for _, e in used)))
            total += len(made.spans) + 0.2 * len(held) + _covered(segment, made)
            if len(rows) == MOST_ROWS:
                break
        if total > best[0] + 0.5:
            best = (total, rows, spans)
    rows, spans = best[1], best[2]
    numbers = [v for v in rows[0].values() if isinstance(v, int | float) and not isinstance(v, bool)] if rows else []
    announced = len(rows) > 2 and numbers == [len(rows) - 1]  # "two bags, one of 23 kg and one of 18 kg"
    return (rows[1:], spans[1:]) if announced else (rows, spans)


def _fill_row(items: Schema, fields: list[Field], segment: str, today: date | None, title: str) -> Filling:
    """One row: what is recognised by form first; then a single free text takes the longest stretch that is left."""
    made = fill(items, Evidence(segment, today, None), topic=title, eager=True)
    free = [f for f in fields if f.kind == "string" and f.wants in ("open", "text") and "unit" not in f.own]
    if len(free) == 1 and any(_hard(f) for f in fields):
        field = free[0]
        rest = fill(
            {**items, "properties": {k: v for k, v in items["properties"].items() if k != field.name}},
            Evidence(segment, today, None),
            topic=title,
            eager=True,
        )
        units = [
            (m.start, m.end + len(m.unit) + 1)
            for path, m in rest.mentions.items()
            if m.kind == "number" and _is_unit(m.unit, items, path)
        ]
        gap = _longest_gap(segment, [*rest.spans.values(), *units])
        named = next((m.text for m in Evidence(gap, today, None).mentions if m.kind == "name" and " " in m.text), "")
        gap = named if named and gap.startswith(named) else gap
        counted = [t.text for t in goods(segment) if " of " in t.text and "unit" not in items["properties"]]
        gap = counted[0] if counted else gap  # "an order from Ada for 3 crates of tea"
        if gap:
            rest.put(field, gap, 0.6, (segment.find(gap), segment.find(gap) + len(gap)))
            return rest
    return made


def _is_unit(word: str, items: Schema, path: Path) -> bool:
    """Whether the word after an amount is its unit, not the thing that is counted."""
    single = word.lower().removesuffix("s")
    known = "/" in word or any(word.lower() in m or single in m for m in MEASURES)
    return bool(word) and (
        known or "unit" in items["properties"] or single in [part.removesuffix("s") for part in split_name(path[-1])]
    )


def _longest_gap(segment: str, spans: list[tuple[int, int]]) -> str:
    kept, start = [], 0
    for left, right in [*sorted(spans), (len(segment), len(segment))]:
        text = re.sub(r"^[^:]{1,30}:\s+(?=\S)", "", re.sub(r"\([^()]*\)", "", segment[start:left]).lstrip())
        kept.append(_EDGES.sub("", text))
        start = max(start, right)
    kept = [
        text
        for text in kept
        if len(text) <= MOST_GAP and re.search(r"[^\W\d_]", text) and not re.search(r"[.!?]\s", text)
    ]
    return max(kept, key=len, default="")


def _covered(segment: str, made: Filling) -> float:
    """Share of a segment that its fields take."""
    return sum(end - start for start, end in made.spans.values()) / max(len(segment), 1)


def _hard(field: Field) -> bool:
    """Whether a field's value is recognised by its form, not only by its place."""
    if field.kind in ("number", "integer", "enum"):
        return True
    return field.kind == "string" and field.wants not in ("open", "text")


def _segments(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    start = 0
    for match in [*pattern.finditer(text), None]:
        end = match.start() if match else len(text)
        if text[start:end].strip():
            yield start, text[start:end]
        start = match.end() if match else end

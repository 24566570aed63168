"""Fill the fields of an object schema from a text.

Options first, then the assignment of mentions to scalar fields, then lists, then yes or no. What nothing fits stays
empty: the caller decides between asking, leaving out and inventing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from simllm.skills import options
from simllm.skills.amounts import CURRENCIES
from simllm.skills.assignment import OPTIONAL_FROM, REQUIRED_FROM, fill_scalars
from simllm.skills.conforming import invented
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Field, Path, Schema, leaves, split_name
from simllm.skills.filling import Filling
from simllm.skills.lists import fill_array
from simllm.skills.name_parts import joined_names, split_names
from simllm.skills.words import stem

ENUM_FROM = 0.62
_PAIRS = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("low", "high"),
    ("lower", "upper"),
    ("from", "to"),
    ("start", "end"),
    ("begin", "end"),
    ("in", "out"),
    ("open", "close"),
    ("opens", "closes"),
    ("departs", "arrives"),
    ("admitted", "discharged"),
    ("first", "last"),
    ("departure", "return"),
    ("outbound", "return"),
)


def fill(
    schema: Schema, evidence: Evidence, known: Mapping[Path, Any] | None = None, *, topic: str = "", eager: bool = False
) -> Filling:
    """Fill an object schema.

    Args:
        schema: an object schema without references and unions.
        evidence: the text.
        known: values that are settled already.
        topic: what the object is about, e.g. a tool's name.
        eager: fill optional fields as readily as required ones (extraction wants every field).
    """
    made = Filling()
    targets = list(leaves(schema, topic=frozenset(stem(word) for word in split_name(topic))))
    for target in targets:
        if known and target.path in known:
            made.put(target, known[target.path], 2.0)
        elif target.kind == "const":
            made.put(target, target.schema["const"], 1.0)
    open_fields = [
        t
        for t in targets
        if t.path not in made.values and not (eager and t.nullable and t.kind != "boolean" and denied(t, evidence))
    ]
    _fill_enums([t for t in open_fields if t.kind == "enum"], evidence, made, eager)
    scalars, names = joined_names([t for t in open_fields if t.kind in ("string", "number", "integer")])
    fill_scalars(scalars, evidence, made, eager=eager)
    split_names(names, made)
    for target in sorted(open_fields, key=lambda t: not t.required):
        if target.kind == "array":
            floor = REQUIRED_FROM if target.required or eager else OPTIONAL_FROM
            fill_array(target, evidence, made, targets, eager=eager, floor=floor)
    for target in open_fields:
        if target.kind == "boolean":
            chosen = options.decide(target, evidence)
            if chosen and chosen.score == options.ASSUMED and eager:
                continue
            if chosen and not (chosen.value is False and target.schema.get("default") is False and not eager):
                made.put(target, chosen.value, chosen.score)
    _order_pairs(targets, made)
    made.missing = [t for t in targets if t.required and t.path not in made.values and not t.nullable]
    return made


def denied(target: Field, evidence: Evidence) -> bool:
    """Whether the text says that there is none: "no seat has been assigned", "without an allergy"."""
    return any(
        re.search(
            rf"\b(?:no|not|without|never|nor)\s+(?:(?:an?|any|the|known|further)\s+)?{re.escape(word)}",
            evidence.text,
            re.I,
        )
        for word in split_name(target.name)
        if len(word) > 3
    )


def build(
    schema: Schema, values: Mapping[Path, Any], seed: str, *, empty: bool = False, path: Path = ()
) -> dict[str, Any]:
    """An object from leaf values; required leaves without one are invented (`empty`: null, "" or 0 where allowed)."""
    made: dict[str, Any] = {}
    wanted = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        here = (*path, name)
        inner = [key for key in values if key[: len(here)] == here]
        if here in values:
            made[name] = values[here]
        elif name in wanted or inner:
            if child.get("properties") and "enum" not in child and (inner or "null" not in child.get("type", ())):
                made[name] = build(child, values, seed, empty=empty, path=here)
            else:
                made[name] = invented(child, f"{seed}\0{'.'.join(here)}", empty=empty)
    return made


def _order_pairs(targets: Sequence[Field], made: Filling) -> None:
    """Swap what stands in "from" and "to", "min" and "max", "low" and "high" when the first is the larger one."""
    for low in targets:
        for high in targets:
            pair = any(a in low.own and b in high.own for a, b in _PAIRS) or _is_bound(low, high)
            if not pair or low.path[:-1] != high.path[:-1] or low.kind != high.kind:
                continue
            first, second = made.values.get(low.path), made.values.get(high.path)
            ordered = (
                isinstance(first, int | float)
                and isinstance(second, int | float)
                or low.wants in ("date", "time", "date-time")
                and low.kind == "string"
            )
            if ordered and first is not None and second is not None and first > second:
                made.values[low.path], made.values[high.path] = second, first


def _is_bound(part: Field, whole: Field) -> bool:
    """Whether one field is the most that the other can be: "points" and "max_points"."""
    more = whole.own - part.own
    return bool(more) and part.own < whole.own and more <= {"max", "maximum", "total", "possible", "out", "of"}


def _fill_enums(targets: Sequence[Field], evidence: Evidence, made: Filling, eager: bool) -> None:
    pending = [(choice, target) for target in targets for choice in options.choose(target, evidence)]
    pending.sort(key=lambda pair: -pair[0].score)
    taken: list[tuple[tuple[int, int], Any]] = []
    for choice, target in pending:
        if target.path in made.values:
            continue
        if choice.span and any(choice.span[0] < e and s < choice.span[1] for (s, e), _ in taken):
            continue
        if target.required or choice.score >= (options.CLEAR if eager else ENUM_FROM):
            money = (
                choice.value in CURRENCIES.values() and choice.span is not None and _amount_unit(choice.span, evidence)
            )
            timed = choice.span is not None and any(
                m.kind == "when" and m.start < choice.span[1] and choice.span[0] < m.end for m in evidence.mentions
            )
            strong = choice.span is not None and choice.score >= 0.78 and not money and not timed
            if choice.span:
                taken.append((choice.span, target.schema["enum"]))
            made.put(target, choice.value, choice.score, choice.span if strong else None)


def _amount_unit(span: tuple[int, int], evidence: Evidence) -> bool:
    """Whether a stretch belongs to an amount, which other fields may still use."""
    return any(m.kind in ("number", "when") and m.start <= span[1] and span[0] <= m.end + 1 for m in evidence.mentions)

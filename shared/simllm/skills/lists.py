"""Lists in a text: mentions side by side, joined by commas or "and", as the values of an array."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from simllm.skills import options
from simllm.skills.affinity import Affinity
from simllm.skills.conforming import invented
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Field, shape
from simllm.skills.filling import Filling, value_of
from simllm.skills.goods import goods, takes_goods
from simllm.skills.mention import Mention
from simllm.skills.words import stem

LISTED = 0.25  # what standing in a list adds for a field that wants several
_LIST = re.compile(
    r"\s*(?:\([^()]*\)\s*)?(?:,|;|/|and|&|or|plus|,\s*(?:and|or)|as well as)\s*(?:the|a|an|my|also|both|for|in|to|of|at|on|from|with)?\s*(?:the\s+)?",
    re.I,
)


def fill_array(
    target: Field, evidence: Evidence, made: Filling, rivals: Sequence[Field], *, eager: bool, floor: float
) -> None:
    """Fill an array of plain values from the list in the text that suits it best; `floor` is the lowest score."""
    items: Mapping[str, Any] = target.schema.get("items", {"type": "string"})
    one = Field(
        (*target.path[:-1], target.name.removesuffix("s") if not target.name.endswith("ss") else target.name),
        {"description": target.description, **items},
        target.required,
        target.topic,
    )
    most = int(target.schema.get("maxItems", 50))
    if one.kind == "enum":
        chosen = [c for c in options.choose(one, evidence) if c.score >= 0.75]
        chosen.sort(key=lambda c: c.span or (10**6, 0))
        if not chosen and target.required:
            chosen = options.choose(one, evidence)[:1]
        if chosen:
            made.put(target, [c.value for c in chosen][:most], chosen[0].score)
        return
    if one.kind not in ("string", "number", "integer"):
        return
    dates = [mention for mention in evidence.mentions if mention.kind == "when"]
    counted = [t for t in goods(evidence.text, dates) if not made.used(t)] if takes_goods(target) else []
    if len(counted) >= max(1, target.schema.get("minItems", 0)):
        made.put(target, [thing.text for thing in counted][:most], LISTED, (counted[0].start, counted[-1].end))
        return
    others = [rival for rival in rivals if rival.path != target.path]
    run = coordinated(one, evidence, made, rivals=others)
    if eager:
        whole = coordinated(one, evidence, Filling(), near=run, rivals=others)
        run = whole if len(whole) > len(run) else run
    if not run or run[0][0] + LISTED * (len(run) > 1) < floor:
        return
    values = [value for _, value, _ in run]
    if target.schema.get("uniqueItems"):
        values = list(dict.fromkeys(values))
    least = int(target.schema.get("minItems", 0))
    if eager and len(values) < least:
        values += _further(one, evidence, made, values)[: least - len(values)]
        values += [invented(items, f"{evidence.text}\0{i}", empty=True) for i in range(len(values), least)]
    if len(values) >= least:
        made.put(target, values[:most], run[0][0], (run[0][2].start, run[-1][2].end))


def _further(one: Field, evidence: Evidence, made: Filling, known: Sequence[Any]) -> list[Any]:
    """Other values of the text that fit a field, best first: for a list that must not be so short."""
    affinity = Affinity([one], evidence)
    found: dict[Any, float] = {}
    for mention in evidence.mentions:
        value, base = value_of(one, mention)
        inside = any(str(value) in str(other) or str(other) in str(value) for other in (*known, *found))
        if value is not None and not made.used(mention) and not inside:
            found[value] = base + affinity.score(one, mention)
    return sorted(found, key=lambda value: -found[value])


def coordinated(
    one: Field,
    evidence: Evidence,
    made: Filling,
    near: Sequence[tuple[float, Any, Mention]] = (),
    rivals: Sequence[Field] = (),
) -> list[tuple[float, Any, Mention]]:
    """The mentions that stand side by side in a list and fit a field, in text order; the first carries the best score."""
    scored = []
    affinity = Affinity([one, *rivals], evidence)
    for mention in evidence.mentions:
        if (
            made.used(mention)
            or mention.kind == "phrase"
            and all(w in one.topic for w in map(stem, mention.text.lower().split()))
        ):
            continue
        value, base = value_of(one, mention)
        if value is not None:
            scored.append((base + affinity.score(one, mention), value, mention))
    if not scored:
        return []
    runs = [
        run_of(item, [other for other in scored if other[2].kind == item[2].kind], evidence)
        for item in scored
        if not near or item[2] == near[0][2]
    ]
    return max(runs, key=lambda run: run[0][0] + LISTED * (len(run) > 1), default=[])


def run_of(
    best: tuple[float, Any, Mention], alike: Sequence[tuple[float, Any, Mention]], evidence: Evidence
) -> list[tuple[float, Any, Mention]]:
    """The members of the list that `best` stands in."""
    alike = sorted(alike, key=lambda item: item[2].start)
    at = next(i for i, item in enumerate(alike) if item[2] == best[2])
    low = high = at
    while low > 0 and _joined(alike[low - 1][2], alike[low][2], evidence):
        low -= 1
    while high + 1 < len(alike) and _joined(alike[high][2], alike[high + 1][2], evidence):
        high += 1
    members = list(alike[low : high + 1])
    if members:
        members[0] = (best[0], *members[0][1:])
    return members


def _joined(left: Mention, right: Mention, evidence: Evidence) -> bool:
    if right.start < left.end:
        return False
    between = evidence.text[left.end : right.start]
    if _LIST.fullmatch(between):
        return True
    if left.unit and left.unit == right.unit and _LIST.fullmatch(between.removeprefix(" " + left.unit)):
        return True
    same = left.kind == "identifier" and shape(left.text) == shape(right.text)
    return same and re.fullmatch(r"\s*(?:,|and|or|&|,\s*and)(?:\s+[a-z]+){0,3}\s*", between, re.I) is not None

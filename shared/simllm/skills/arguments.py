"""Fill the fields of an object schema from a text.

Slot filling as an assignment: every mention gets a score for every field (kind of value, words around it,
prepositions, units, shape of an example, order), and the best pairs are taken first; a stretch of text fills one
field only. What no mention fits stays empty: the caller decides between asking, leaving out and inventing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from simllm.skills import options
from simllm.skills.conforming import fits_text, invented, within
from simllm.skills.evidence import Evidence
from simllm.skills.fields import PERSON_WORDS, Field, Path, Schema, leaves, shape, split_name
from simllm.skills.mentions import CURRENCIES, Mention
from simllm.skills.values import number_for, text_for
from simllm.skills.words import stem

REQUIRED_FROM = 0.3  # score from which a mention fills a required field ...
OPTIONAL_FROM = 0.62  # ... and an optional one
ONLY_OPTIONAL_FROM = 0.56  # where nothing is required, some field must be meant
ENUM_FROM = 0.62
LISTED = 0.25  # what standing in a list adds for a field that wants several
NULLABLE_FROM = 0.45  # where null is an honest answer
LEFTOVER = 0.4
_PAIRS = (
    ("min", "max"),
    ("minimum", "maximum"),
    ("low", "high"),
    ("lower", "upper"),
    ("from", "to"),
    ("start", "end"),
    ("begin", "end"),
    ("in", "out"),
    ("first", "last"),
    ("departure", "return"),
    ("outbound", "return"),
)
_GREETING = frozenset(["hello", "hi", "dear", "mr", "mrs", "ms", "miss"])
_SIGNING = frozenset(
    ["regards", "best", "sincerely", "thanks", "cheers", "greetings", "yours", "wishes", "faithfully", "truly"]
)
SAID_AS = {
    "no": "number",
    "nr": "number",
    "ref": "reference",
    "born": "birth",
    "leave": "departure",
    "leaves": "departure",
    "departs": "departure",
    "lands": "arrival",
    "land": "arrival",
    "arrives": "arrival",
    "arrive": "arrival",
    "costs": "price",
    "costing": "price",
    "worth": "amount",
    "called": "name",
    "named": "name",
}
_LIST = re.compile(
    r"\s*(?:\([^()]*\)\s*)?(?:,|;|/|and|&|or|plus|,\s*(?:and|or)|as well as)\s*(?:the|a|an|my|also|both|for|in|to|of|at|on|from|with)?\s*(?:the\s+)?",
    re.I,
)


@dataclass
class Filling:
    """Values by path, the stretches of text they came from, and the required fields that stayed empty."""

    values: dict[Path, Any] = field(default_factory=dict)
    spans: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mentions: dict[Path, Mention] = field(default_factory=dict)
    scores: dict[Path, float] = field(default_factory=dict)
    missing: list[Field] = field(default_factory=list)

    def put(self, target: Field, value: Any, score: float, span: tuple[int, int] | None = None) -> None:
        """Fill one field."""
        self.values[target.path] = value
        self.scores[target.path] = score
        if span:
            self.spans[target.path] = span

    def used(self, mention: Mention) -> bool:
        """Whether a field has taken any of this stretch."""
        return any(mention.start < end and start < mention.end for start, end in self.spans.values())


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
    open_fields = [t for t in targets if t.path not in made.values]
    _fill_enums([t for t in open_fields if t.kind == "enum"], evidence, made, eager)
    _fill_scalars([t for t in open_fields if t.kind in ("string", "number", "integer")], evidence, made, eager)
    for target in sorted(open_fields, key=lambda t: not t.required):
        if target.kind == "array":
            _fill_array(target, evidence, made, eager)
    for target in open_fields:
        if target.kind == "boolean":
            chosen = options.decide(target, evidence)
            if chosen and not (chosen.value is False and target.schema.get("default") is False and not eager):
                made.put(target, chosen.value, chosen.score)
    _order_pairs(targets, made)
    made.missing = [t for t in targets if t.required and t.path not in made.values and not t.nullable]
    return made


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
            pair = any(a in low.own and b in high.own for a, b in _PAIRS)
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
            strong = choice.span is not None and choice.score >= 0.78 and not money
            if choice.span:
                taken.append((choice.span, target.schema["enum"]))
            made.put(target, choice.value, choice.score, choice.span if strong else None)


def _amount_unit(span: tuple[int, int], evidence: Evidence) -> bool:
    """Whether a stretch belongs to an amount, which other fields may still use."""
    return any(m.kind in ("number", "when") and m.start <= span[1] and span[0] <= m.end + 1 for m in evidence.mentions)


def _fill_scalars(targets: Sequence[Field], evidence: Evidence, made: Filling, eager: bool) -> None:
    mentions = [m for m in evidence.mentions if not made.used(m) or m.kind in ("number", "when")]
    labelled = {t.path: _labelled(t, evidence) for t in targets}
    generic = frozenset(word for target in targets for word in target.stems | target.parents | target.topic)
    kin = evidence.kinship([m.text for m in mentions], [t.label for t in targets])
    pairs: list[tuple[float, int, Field, Any, Mention]] = []
    for j, target in enumerate(targets):
        candidates = [(m, float(kin[i, j])) for i, m in enumerate(mentions)] + [(m, 0.0) for m in labelled[target.path]]
        for mention, kinship in candidates:
            value, base = value_of(target, mention)
            if value is None:
                continue
            if mention.kind in ("phrase", "name") and all(
                w in generic | target.about for w in map(stem, mention.text.lower().split())
            ):
                continue
            if target.nullable and eager:
                base -= 0.15
            if eager and mention.kind in ("phrase", "name"):
                blanks = mention.text.count(" ")
                base += 0.03 * min(3, blanks) - 0.1 * max(0, blanks - 3)
            if mention.kind == "name" and mention.cue[-1:] and mention.cue[-1] in _GREETING:
                base -= 0.15
            if (
                target.own & PERSON_WORDS
                and mention.kind == "name"
                and mention.cue[-1:]
                and mention.cue[-1] in _SIGNING
            ):
                base += 0.3
            score = (
                base
                + surroundings(target, mention, targets)
                + (0.1 if target.kind != "string" else 0.55 if eager else 0.35) * kinship
                - 0.08 * mention.start / (len(evidence.text) + 1) * (mention.kind in ("phrase", "name"))
                - _disorder(j, len(targets), mention, evidence)
            )
            pairs.append((score, -mention.start, target, value, mention))
    pairs.sort(key=lambda pair: (-pair[0], -pair[1]))
    optional_from = (
        OPTIONAL_FROM if any(target.required for target in targets) or len(targets) > 4 else ONLY_OPTIONAL_FROM
    )
    for score, _, target, value, mention in (*pairs, *leftover(pairs)):
        if target.path in made.values:
            continue
        if mention.kind == "number" and target.kind == "string" and "unit" in target.own:
            made.put(target, value, score)  # the unit of an amount that another field may hold
            continue
        if made.used(mention):
            rest = remainder(mention, made) if eager and mention.kind in ("phrase", "name") else None
            value, _ = value_of(target, rest) if rest else (None, 0.0)
            if rest is None or value is None or made.used(rest):
                continue
            mention = rest
        if target.nullable and eager and score < NULLABLE_FROM:
            continue
        if score >= (REQUIRED_FROM if target.required or eager else optional_from):
            made.put(target, value, score, (mention.start, mention.end))
            made.mentions[target.path] = mention


def remainder(mention: Mention, made: Filling) -> Mention | None:
    """What of a phrase no field has taken, at its end: "g carrots" after the unit is "carrots"."""
    cut = max((end for start, end in made.spans.values() if start <= mention.start < end), default=0)
    text = mention.text[cut - mention.start :].lstrip(" -,") if cut else ""
    return replace(mention, text=text, start=mention.end - len(text)) if len(text) > 2 else None


def leftover(pairs: Sequence[tuple[float, int, Field, Any, Mention]]) -> list[tuple[float, int, Field, Any, Mention]]:
    """Amounts for optional fields, less strictly: a number that nothing else wants was said for some reason."""
    return [
        (score + LEFTOVER, at, t, value, m)
        for score, at, t, value, m in pairs
        if m.kind == "number" and t.kind != "string"
    ]


def _disorder(rank: int, count: int, mention: Mention, evidence: Evidence) -> float:
    """A small cost for standing elsewhere in the text than the field stands in the schema."""
    return 0.06 * abs(mention.start / (len(evidence.text) + 1) - rank / max(count - 1, 1))


def _labelled(target: Field, evidence: Evidence) -> list[Mention]:
    """What stands behind the field's own name: "subject: lunch" or "with the note call me"."""
    if target.kind != "string" or target.wants in ("date", "time", "date-time", "email", "url", "phone"):
        return []
    found = []
    names = {re.escape(target.label), *(re.escape(word) for word in target.own if len(word) > 3)}
    for name in names:
        for match in re.finditer(
            rf"\b{name}s?\b(\s*:\s*|\s*=\s*|\s+(?:is|of|saying|that says)\s+|\s+)((?<==)[^\s,;]+|[^\n.;,!?/]+)",
            evidence.text,
            re.I,
        ):
            strong = match.group(1).strip() in (":", "=")
            found.append(
                Mention(
                    "labelled" if strong else "following", match.group(2).strip(" \"'“”"), match.start(2), match.end(2)
                )
            )
    return found


def value_of(target: Field, mention: Mention) -> tuple[Any, float]:
    """The mention as a value of the field's type, and how well its kind suits; (None, 0) when it cannot be one."""
    if target.kind in ("number", "integer"):
        amount, score = number_for(target, mention)
        if amount is None or not within(amount, target.schema) or target.kind == "integer" and amount != int(amount):
            return None, 0.0
        return (int(amount) if float(amount).is_integer() else amount), score
    text, score = text_for(target, mention)
    if not text or not fits_text(text, target.schema):
        return None, 0.0
    if "pattern" in target.schema:
        score += 0.7
    return text, score


def surroundings(target: Field, mention: Mention, rivals: Sequence[Field]) -> float:
    """How much the words around a mention speak for a field (and against it, when they speak for another)."""
    score = 0.0
    cue = [stem(SAID_AS.get(word, word)) for word in mention.cue]
    names, about = target.stems, target.about
    for distance, word in enumerate(reversed(cue)):
        if distance < 4 and (word in names or any(_same_root(word, name) for name in names)):
            score += 0.5 - 0.08 * distance
            break
    else:
        score += 0.15 * any(word in about for word in cue[-3:]) + 0.4 * any(word in target.parents for word in cue)
    after = [stem(word) for word in mention.after[:2]]
    if any(word in names for word in after[: 2 if mention.kind in ("number", "name", "when") else 1]) or any(
        word in target.parents for word in after[:1]
    ):
        score += 0.4
    elif any(word in about for word in after[:1]):
        score += 0.12
    last = [word for word in mention.cue[-3:] if word not in ("the", "a", "an", "my", "our", "least", "most", "up")]
    nearest = last[-1] if last else ""
    if nearest in target.leads or set(mention.cue[-2:]) & target.leads & {
        "least",
        "most",
        "up",
        "max",
        "min",
        "maximum",
        "minimum",
    }:
        score += 0.4
    elif nearest and any(
        nearest in rival.leads
        for rival in rivals
        if rival.path != target.path and rival.kind == target.kind and rival.wants == target.wants
    ):
        score -= 0.25
    return score


def _same_root(word: str, other: str) -> bool:
    return len(word) > 3 and len(other) > 3 and word[:4] == other[:4] and abs(len(word) - len(other)) <= 3


def _fill_array(target: Field, evidence: Evidence, made: Filling, eager: bool) -> None:
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
    run = coordinated(one, evidence, made)
    if eager:
        whole = coordinated(one, evidence, Filling(), near=run)
        run = whole if len(whole) > len(run) else run
    if not run or run[0][0] + LISTED * (len(run) > 1) < (REQUIRED_FROM if target.required or eager else OPTIONAL_FROM):
        return
    values = [value for _, value, _ in run]
    if target.schema.get("uniqueItems"):
        values = list(dict.fromkeys(values))
    if len(values) >= target.schema.get("minItems", 0):
        made.put(target, values[:most], run[0][0], (run[0][2].start, run[-1][2].end))


def coordinated(
    one: Field, evidence: Evidence, made: Filling, near: Sequence[tuple[float, Any, Mention]] = ()
) -> list[tuple[float, Any, Mention]]:
    """The mentions that stand side by side in a list and fit a field, in text order; the first carries the best score."""
    scored = []
    for mention in evidence.mentions:
        if (
            made.used(mention)
            or mention.kind == "phrase"
            and all(w in one.topic for w in map(stem, mention.text.lower().split()))
        ):
            continue
        value, base = value_of(one, mention)
        if value is not None:
            scored.append((base + surroundings(one, mention, ()), value, mention))
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

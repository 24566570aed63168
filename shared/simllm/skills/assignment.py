"""Give mentions to the fields of a schema so that the whole is most plausible.

An assignment problem: every pair of mention and field has a score (form, surroundings, kinship in meaning, place in
the text), a stretch of text serves one field only, and a beam search looks for the assignment with the highest sum.
A field that nothing suits stays empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from simllm.skills.affinity import Affinity
from simllm.skills.bearing import bearing
from simllm.skills.currency_pair import take_currencies
from simllm.skills.evidence import Evidence
from simllm.skills.field_words import PERSON_WORDS
from simllm.skills.fields import Field
from simllm.skills.filling import Filling, value_of
from simllm.skills.labelled import labelled
from simllm.skills.mention import Mention
from simllm.skills.words import stem

REQUIRED_FROM = 0.3  # score from which a mention fills a required field ...
OPTIONAL_FROM = 0.62  # ... and an optional one
ONLY_OPTIONAL_FROM = 0.56  # where nothing is required, some field must be meant
NULLABLE_FROM = 0.45  # where null is an honest answer
LEFTOVER = 0.4  # what an amount that no other field wants gains for an optional field
NEEDED = 0.3  # what filling a required field is worth in itself
BARELY = 0.06  # by which a mention may miss its bar for a required field, when the whole is better for it
BEAM = 24
CHOICES = 7  # mentions looked at per field
TOLD = 0.2  # for all that is to be said, against a phrase inside it
IN_ORDER = 0.03  # for two fields of a kind whose mentions stand in the schema's order
_TIMED = ("date", "time", "date-time", "month")
_GREETING = frozenset(["hello", "hi", "dear", "mr", "mrs", "ms", "miss"])
_NOUNS = frozenset(map(stem, ["number", "name", "code", "id", "date", "time", "value", "none", "nothing"]))
_ADVERBS = frozenset(
    map(stem, ["today", "tonight", "tomorrow", "yesterday", "now", "currently", "current", "outside", "please"])
)
_INTRODUCING = (("name", "is"), ("this", "is"), ("name", ":"))
_SIGNING = frozenset(
    ["regards", "best", "sincerely", "thanks", "cheers", "greetings", "yours", "wishes", "faithfully", "truly"]
)


@dataclass(frozen=True)
class Pair:
    """One mention as the value of one field."""

    target: Field
    mention: Mention
    value: Any
    score: float
    gain: float

    @property
    def span(self) -> tuple[int, int]:
        return self.mention.start, self.mention.end


@dataclass(frozen=True)
class _State:
    gain: float
    taken: tuple[Pair, ...]


def fill_scalars(targets: Sequence[Field], evidence: Evidence, made: Filling, *, eager: bool) -> None:
    """Fill fields of type string, number and integer; `made` tells what is taken already and receives the result."""
    take_currencies(targets, evidence, made)
    targets = [t for t in targets if t.path not in made.values]
    pairs = _pairs(targets, evidence, made, eager)
    _take_units(pairs, made)
    for pair in _best([t for t in targets if t.path not in made.values], pairs, made):
        _put(pair, made)
    if eager:
        _take_remainders(pairs, made)
    _take_leftovers(pairs, made)


def _put(pair: Pair, made: Filling) -> None:
    made.put(pair.target, pair.value, pair.score, pair.span)
    made.mentions[pair.target.path] = pair.mention


def _pairs(targets: Sequence[Field], evidence: Evidence, made: Filling, eager: bool) -> list[Pair]:
    mentions = [m for m in evidence.mentions if not made.used(m) or m.kind in ("number", "when")]
    if not any(
        target.wants in _TIMED for target in targets
    ):  # nothing takes the time that was said: it stays in the words
        longest = {m.start: m.end for m in sorted(mentions, key=lambda m: m.end) if m.kind == "said"}
        mentions = [m for m in mentions if m.kind != "said" or m.end == longest[m.start]]
    generic = frozenset(word for target in targets for word in target.stems | target.parents | target.topic)
    kin = evidence.kinship([m.text for m in mentions], [t.label for t in targets])
    affinity = Affinity(targets, evidence)
    optional_from = (
        OPTIONAL_FROM if any(target.required for target in targets) or len(targets) > 4 else ONLY_OPTIONAL_FROM
    )
    found = []
    for j, target in enumerate(targets):
        floor = REQUIRED_FROM if target.required or eager else optional_from
        if target.nullable and eager:
            floor = NULLABLE_FROM
        beside = [(m, 0.0) for m in labelled(target, evidence)]
        for mention, kinship in [(m, float(kin[i, j])) for i, m in enumerate(mentions)] + beside:
            value, base = value_of(target, mention)
            if value is None or _only_names(target, mention, generic):
                continue
            score = (
                base
                + _manner(target, mention, eager)
                + bearing(target, mention, targets)
                + affinity.score(target, mention)
                + (0.1 if target.kind != "string" else 0.55 if eager else 0.35) * kinship
                - 0.08 * mention.start / (len(evidence.text) + 1) * (mention.kind in ("phrase", "name"))
                - _disorder(j, len(targets), mention, evidence)
            )
            doubt = 0.15 * (target.nullable and eager and mention.kind in ("phrase", "identifier", "number"))
            found.append(Pair(target, mention, value, score, score - floor - doubt))
    return sorted(found, key=lambda pair: (-pair.score, pair.mention.start))


def _only_names(target: Field, mention: Mention, generic: frozenset[str]) -> bool:
    """Whether a phrase merely repeats what the fields are called."""
    return mention.kind in ("phrase", "name") and all(
        word in generic | target.about | _NOUNS | _ADVERBS for word in map(stem, mention.text.lower().split())
    )


def _manner(target: Field, mention: Mention, eager: bool) -> float:
    """Adjustments for names and phrases: length, salutations, signatures."""
    told = mention.kind == "said" and target.wants == "text" and not mention.text.lower().startswith(("about ", "on "))
    score = TOLD if told else 0.0
    if eager and mention.kind in ("phrase", "name"):
        blanks = mention.text.count(" ")
        score += 0.03 * min(3, blanks) - 0.1 * max(0, blanks - 3)
    if mention.kind == "phrase" and set(map(stem, mention.text.lower().split())) & (target.stems | target.parents):
        score -= 0.2
    if eager and mention.kind == "name" and target.own & PERSON_WORDS and " " in mention.text:
        score += 0.15 + 0.3 * (mention.cue[-1:] in (("i'm",), ("am",)) or mention.cue[-2:] in _INTRODUCING)
    if mention.kind == "name" and mention.cue[-1:]:
        if mention.cue[-1] in _GREETING:
            score -= 0.15
        elif mention.cue[-1] in _SIGNING and target.own & PERSON_WORDS:
            score += 0.3
    return score


def _disorder(rank: int, count: int, mention: Mention, evidence: Evidence) -> float:
    """A small cost for standing elsewhere in the text than the field stands in the schema."""
    return 0.06 * abs(mention.start / (len(evidence.text) + 1) - rank / max(count - 1, 1))


def _best(targets: Sequence[Field], pairs: Sequence[Pair], made: Filling) -> tuple[Pair, ...]:
    """The assignment with the highest sum of gains that a beam search finds."""
    options = {
        t.path: [p for p in pairs if p.target.path == t.path and p.gain >= (-BARELY if t.required else 0)][:CHOICES]
        for t in targets
    }
    order = sorted(
        (t for t in targets if options[t.path]), key=lambda t: -options[t.path][0].gain - NEEDED * t.required
    )
    states = [_State(0.0, ())]
    for target in order:
        grown = list(states)
        for state in states:
            for pair in options[target.path]:
                if made.used(pair.mention) and pair.mention.kind != "when":
                    continue
                if any(pair.mention.start < end and start < pair.mention.end for start, end in map(_span, state.taken)):
                    continue
                gain = pair.gain + NEEDED * target.required + _ordered(pair, state.taken, targets)
                grown.append(_State(state.gain + gain, (*state.taken, pair)))
        states = sorted(grown, key=lambda state: -state.gain)[:BEAM]
    return states[0].taken


def _span(pair: Pair) -> tuple[int, int]:
    return pair.span


def _ordered(pair: Pair, taken: Sequence[Pair], targets: Sequence[Field]) -> float:
    """For fields of one kind, whether text and schema have them in the same order."""
    places = {target.path: i for i, target in enumerate(targets)}
    score = 0.0
    for other in taken:
        if other.target.kind == pair.target.kind and other.mention.kind == pair.mention.kind:
            same = (places[other.target.path] < places[pair.target.path]) == (other.mention.start < pair.mention.start)
            score += IN_ORDER if same else -IN_ORDER
    return score


def _is_unit(pair: Pair) -> bool:
    """Whether the field takes the unit of an amount, which another field may hold."""
    return (
        pair.mention.kind == "number" and pair.target.kind == "string" and bool(pair.target.own & {"unit", "currency"})
    )


def _take_units(pairs: Sequence[Pair], made: Filling) -> None:
    """The unit of an amount that another field may hold."""
    for pair in pairs:
        if pair.target.path not in made.values and _is_unit(pair):
            made.put(pair.target, pair.value, pair.score)


def _take_remainders(pairs: Sequence[Pair], made: Filling) -> None:
    """What of a phrase no field has taken, at its end: "g carrots" after the unit is "carrots"."""
    for pair in pairs:
        mention = pair.mention
        if pair.target.path in made.values or pair.gain < 0 or mention.kind not in ("phrase", "name"):
            continue
        cut = max((end for start, end in made.spans.values() if start <= mention.start < end), default=0)
        text = mention.text[cut - mention.start :].lstrip(" -,") if cut else ""
        rest = replace(mention, text=text, start=mention.end - len(text))
        value = value_of(pair.target, rest)[0] if len(text) > 2 and not made.used(rest) else None
        if value is not None:
            _put(Pair(pair.target, rest, value, pair.score, pair.gain), made)


def _take_leftovers(pairs: Sequence[Pair], made: Filling) -> None:
    """Amounts for optional fields, less strictly: a number that nothing else wants was said for some reason."""
    for pair in pairs:
        wanted = pair.mention.kind == "number" and pair.target.kind != "string" and pair.gain + LEFTOVER >= 0
        if wanted and pair.target.path not in made.values and not made.used(pair.mention):
            _put(pair, made)

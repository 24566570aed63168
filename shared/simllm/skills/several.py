"""Several calls for one need: one per clause, one per member of a list, or the same call again for the next thing."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simllm.skills.candidates import Call
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Path, leaves
from simllm.skills.lists import coordinated
from simllm.skills.mention import Mention
from simllm.skills.toolchoice import PRECISE, Ranked, rank, read_arguments

if TYPE_CHECKING:
    from simllm.skills.turn import Turn

SEVERAL_FROM = 0.42  # score from which a clause of its own calls a tool of its own ...
WHOLE_FROM = 0.28  # ... where the clause has all that the tool needs, in precise words
WORDS_FROM = 0.55  # ... where it has only words for it
MOST_AGAIN = 8
_WORDED = ("phrase", "name", "identifier", "quoted")
_LINK = re.compile(
    r"\W*(?:[\w'’°%/.-]+\W+){0,7}?(?:and|or|also|then|plus|versus|vs|with|,|;|&|/)\W*(?:[\w'’-]+\W+){0,6}", re.I
)


def several_tools(turn: Turn, ranked: Sequence[Ranked]) -> list[Call]:
    """One call per clause, where clauses want different tools or the same one for different things."""
    if len(turn.evidence.clauses) < 2:
        return []
    calls: list[Call] = []
    for _, clause in turn.evidence.clauses:
        if len(clause.split()) < 3:
            continue
        own = Evidence(clause, turn.evidence.today, turn.evidence.embedder)
        best = rank(turn.offered, own, turn.semantic, turn.noise)[0]
        if best.filling.missing or best.score < _needed(best):
            continue
        calls.append(turn.call(best.tool, best.filling.values))
    distinct = list(dict.fromkeys(calls))
    if len(distinct) < 2:
        return []
    whole = turn.call(ranked[0].tool, ranked[0].filling.values)
    if len({call.name for call in distinct}) == 1:
        keys = [set(json.loads(call.arguments)) for call in distinct]
        if distinct[0].name != whole.name or keys[0] != keys[1] or not keys[0] >= set(json.loads(whole.arguments)):
            return []
        return distinct if turn.parallel else distinct[:1]
    precise = len(ranked[0].filling.spans)
    if sum(len(json.loads(call.arguments)) for call in distinct) <= precise:
        return []
    return distinct if turn.parallel else distinct[:1]


def _needed(best: Ranked) -> float:
    """The score that a clause needs to call a tool of its own."""
    kinds = [mention.kind for mention in best.filling.mentions.values()]
    if not kinds or all(kind == "phrase" for kind in kinds):
        return WORDS_FROM
    required = [best.filling.mentions.get(f.path) for f in leaves(best.tool.parameters) if f.required]
    return WHOLE_FROM if required and all(m and m.kind in (*PRECISE, "name") for m in required) else SEVERAL_FROM


def per_object(turn: Turn, best: Ranked) -> list[Call]:
    """One call per member of a list of things where the tool takes a single one; none where there is no list."""
    filling = best.filling
    for field in leaves(best.tool.parameters):
        mention = filling.mentions.get(field.path)
        if mention is None or field.kind not in ("string", "number", "integer"):
            continue
        if field.kind != "string" and _numbers(best) > 1:
            continue  # "7 times 8 and 9": which of the two is listed?
        span = filling.spans.pop(field.path)
        run = coordinated(field, turn.evidence, filling, near=[(0.0, None, mention)])
        filling.spans[field.path] = span
        values = list(dict.fromkeys(value for _, value, m in run))
        wanted = field.wants not in ("text", "date", "time") and _enumerated([m for _, _, m in run], turn.need)
        if len(values) > 1 and filling.values[field.path] in values and wanted:
            made = [turn.call(best.tool, {**filling.values, field.path: value}) for value in values]
            return made if turn.parallel else made[:1]
    return []


def _numbers(best: Ranked) -> int:
    """How many amounts the tool needs."""
    return sum(field.required and field.kind in ("number", "integer") for field in leaves(best.tool.parameters))


def _enumerated(run: Sequence[Mention], text: str) -> bool:
    """Whether mentions side by side are several things: "Oslo and Bergen", but not "Oslo, Norway"."""
    between = text[run[0].end : run[-1].start] if run else ""
    return len(run) > 2 or re.search(r"\b(?:and|or|plus)\b|[&/]", between) is not None


def repeated(turn: Turn, best: Ranked) -> list[Call]:
    """The call, and the same call again for what the rest of the text says in the same way ("a to 4 and b to 2")."""
    filling = best.filling
    leading = _leading(best)
    rounds: list[dict[Path, Any]] = [filling.values]
    text, last = turn.need, filling
    places = [min((filling.mentions[path].start for path in leading), default=0)]
    while leading and len(rounds) < MOST_AGAIN:
        for path, (start, end) in last.spans.items():
            if path in leading:
                text = text[:start] + " " * (end - start) + text[end:]
        next_one = read_arguments(best.tool, Evidence(text, turn.evidence.today, turn.evidence.embedder))
        pairs = [(last.mentions[path], next_one.mentions.get(path)) for path in leading]
        if not all(new and _same_kind(old, new) for old, new in pairs):
            break
        if not any(new and _said_alike(old, new, turn.need) for old, new in pairs):
            break
        if any(next_one.scores[path] < 0.75 * filling.scores[path] for path in leading):
            break
        rounds.append({**filling.values, **{path: next_one.values[path] for path in leading}})
        last = next_one
        places.append(min(last.mentions[path].start for path in leading))
    ordered = sorted(range(len(rounds)), key=lambda i: places[i])
    made = list(dict.fromkeys(turn.call(best.tool, rounds[i]) for i in ordered))
    return made if turn.parallel else made[:1]


def _leading(best: Ranked) -> list[Path]:
    """The fields whose mentions tell one call from the next: required text and numbers, else the optional ones."""
    found = [
        (field.required, field.path)
        for field in leaves(best.tool.parameters)
        if field.path in best.filling.mentions
        and field.kind in ("string", "number", "integer")
        and field.wants not in ("text", "date", "time", "date-time")
    ]
    return [path for required, path in found if required] or [path for _, path in found]


def _same_kind(old: Mention, new: Mention) -> bool:
    return old.kind == new.kind or old.kind in _WORDED and new.kind in _WORDED


def _said_alike(old: Mention, new: Mention, text: str) -> bool:
    """Whether two mentions are joined, and led by the same word."""
    first, second = sorted((old, new), key=lambda m: m.start)
    joined = _LINK.fullmatch(text[first.end : second.start]) is not None
    return joined and _lead(text, first) == _lead(text, second)


def _lead(text: str, mention: Mention) -> str:
    """The last word before a mention that is no article."""
    words = re.findall(r"[\w'’]+", text[: mention.start].lower())
    return next((word for word in reversed(words) if word not in ("the", "a", "an", "my", "our")), "")

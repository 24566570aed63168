"""What to do after results: correct a refused call, make the calls that results have made possible, or tell."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from simllm.skills.arguments import fill
from simllm.skills.candidates import Call, Candidate, Plan
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Path, leaves
from simllm.skills.filling import Filling
from simllm.skills.record import plan_record
from simllm.skills.results import Answered, corrected, from_results, nothing_found
from simllm.skills.statements import statement
from simllm.skills.toolchoice import USED_SHARE, Ranked, rank, used
from simllm.skills.toolwords import overlaps, reads
from simllm.skills.turn import Turn, calls_plan

MOST_CALLS = 12  # in one dialogue; then the model states what it has
ENOUGH = 0.7  # share of the relevance of what was called, under which a tool is not called any more
SETTLED_FROM = 1.0  # fit of a result from which it settles an argument
FURTHER_FROM = 0.22  # relevance from which a tool is called that a result has made callable
_PRECISE = ("when", "identifier", "quoted", "number", "address", "email")


def after_results(turn: Turn) -> Plan | None:
    """The next calls after results, or what to tell the user."""
    last = turn.answered[-1]
    tool = next((tool for tool in turn.offered if tool.name == last.name), None)
    if last.error and tool is not None and len(turn.answered) < MOST_CALLS:
        arguments = corrected(last, tool)
        if arguments is not None and not made(turn, tool.name, arguments):
            return calls_plan([Call(tool.name, json.dumps(arguments, ensure_ascii=False))])
    if len(turn.answered) == 1 and not last.error and tool is not None and turn.slips("repeats", 0.15):
        return calls_plan([Call(last.name, json.dumps(dict(last.arguments), ensure_ascii=False))])
    if len(turn.answered) < MOST_CALLS:
        more = further(turn)
        if more:
            return calls_plan(more)
    if turn.must:
        done = plan_record(
            turn.request,
            turn.need,
            [call.text for call in turn.answered],
            {call.name for call in turn.answered},
            turn.tools,
        )
        return done or turn.first()
    return Plan((Candidate(statement(turn.need, turn.answered), 1.0),), wander=0.0)


def further(turn: Turn) -> list[Call]:
    """Calls that results have made possible and the need still wants."""
    good = [call for call in turn.answered if not call.error and not nothing_found(call)]
    ranked = rank(turn.offered, turn.evidence, turn.semantic, turn.noise)
    overlap = dict(zip((tool.name for tool in turn.offered), overlaps(turn.offered, turn.evidence), strict=True))
    called = {call.name for call in turn.answered}
    bar = max((other.relevance for other in ranked if other.tool.name in called), default=0.0)
    top = max(other.relevance for other in ranked)
    options: list[tuple[float, Call]] = []
    for other in ranked:
        if other.tool.name in called and not any(call.error for call in turn.answered if call.name == other.tool.name):
            continue
        filling = refilled(turn, other, good)
        values, taken = dict(filling.values), 0
        for field in leaves(other.tool.parameters):
            if not (field.required or field.path in values):
                continue
            weak = (
                field.path not in values
                or told_otherwise(turn, field.name, values[field.path])
                or field.kind == "enum"
                and filling.scores[field.path] < 0.9
            )
            fit, value = from_results(field, good, turn.need)
            weak = weak or fit >= SETTLED_FROM and field.path not in filling.mentions
            if value is not None and (weak or fit >= 1.2 and field.wants == "identity"):
                values[field.path] = value
                taken += field.required
        missing = [f for f in filling.missing if f.path not in values]
        if not reads(other.tool) and other.relevance < top:
            continue
        enabled = (
            taken > 0 and not missing and other.relevance >= max(FURTHER_FROM * min(1.0, bar / 0.4 + 0.3), ENOUGH * bar)
        )
        fresh = any(
            m.kind in _PRECISE and not told(turn, value)
            for m, value in ((m, filling.values[p]) for p, m in filling.mentions.items())
        )
        wanted = (
            overlap[other.tool.name] > 0.2
            and other.relevance >= max(0.9 * bar, FURTHER_FROM)
            or fresh
            and other.relevance >= 0.6 * bar
        )
        second = wanted and not missing and not filling.missing
        if enabled or second and filling.spans:
            call = turn.call(other.tool, values)
            if not made(turn, call.name, json.loads(call.arguments)):
                options.append((other.relevance + 0.3 * enabled + USED_SHARE * used(turn.evidence, filling), call))
    return [max(options, key=lambda pair: pair[0])[1]] if options else []


def refilled(turn: Turn, other: Ranked, good: Sequence[Answered]) -> Filling:
    """The arguments once results are known: what they hold is settled, and what served another call is spent."""
    known: dict[Path, Any] = {}
    for field in leaves(other.tool.parameters):
        fit, value = from_results(field, good, turn.need) if field.required else (0.0, None)
        if value is not None and fit >= SETTLED_FROM:
            known[field.path] = value
    names = {field.name for field in leaves(other.tool.parameters)}
    text = turn.need
    for call in turn.answered:
        for key, value in call.arguments.items():
            if isinstance(value, str) and len(value) > 2 and key not in names:
                text = re.sub(re.escape(value), lambda found: " " * len(found.group()), text, flags=re.I)
    if not known:
        return other.filling
    rest = Evidence(text, turn.evidence.today, turn.evidence.embedder)
    again = fill(other.tool.parameters, rest, known, topic=other.tool.name)
    return other.filling if again.missing and not other.filling.missing else again


def told_otherwise(turn: Turn, name: str, value: Any) -> bool:
    """Whether an earlier call had this text under another name, so that it names something else."""
    return isinstance(value, str) and any(
        value == old and key != name for call in turn.answered for key, old in call.arguments.items()
    )


def told(turn: Turn, value: Any) -> bool:
    """Whether an earlier call had this value."""
    return any(value in call.arguments.values() for call in turn.answered if not isinstance(value, list))


def made(turn: Turn, name: str, arguments: Any) -> bool:
    """Whether the same call was made before."""
    return any(call.name == name and dict(call.arguments) == arguments for call in turn.answered)

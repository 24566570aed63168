"""Tool calls: which functions to call with which arguments, when to ask back, and when to stop.

One turn of the loop known as ReAct (Yao et al. 2023): read the need and what tools have answered so far, then call,
ask or state the result. Everything is computed from the request. A careless model (low `tool_care`) takes a near
tool, drops an argument, invents instead of asking or repeats a call; its errors are stable per prompt.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from simllm.chat import ChatRequest
from simllm.messages import Message
from simllm.skills.arguments import build, coordinated
from simllm.skills.candidates import Call, Candidate, Plan
from simllm.skills.dates import find_today
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Field, Path, leaves
from simllm.skills.prompt import Prompt
from simllm.skills.record import plan_record
from simllm.skills.results import Answered, corrected, from_results, nothing_found
from simllm.skills.statements import statement
from simllm.skills.toolchoice import CALLED_FROM, Ranked, overlaps, rank, reads, tool_stems
from simllm.tools import Tool

if TYPE_CHECKING:
    from simllm.skills import Toolbox

MOST_CALLS = 12  # in one dialogue; then the model states what it has
SEVERAL_FROM = 0.42  # score from which a clause of its own calls a tool of its own
FOUND_FIRST = 0.1  # what a missing argument costs less when it can be looked up
FURTHER_FROM = 0.22  # relevance from which a tool is called that a result has made callable
_PRECISE = ("when", "identifier", "quoted", "number", "address", "email")
_NAMING = ("name", "quoted", "email", "identifier", "uuid", "phone")
_FINDS = frozenset(["find", "search", "lookup", "look", "list", "get", "resolve", "query", "fetch", "locate"])


def plan_calls(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan | None:
    """The calls to make, a question back, or the statement of results; None where the model answers without tools."""
    turn = Turn(request, tools)
    if turn.must and len(turn.offered) == 1 and prompt.passages and not turn.answered:
        made = plan_record(
            request, turn.need, (), set(), tools
        )  # one demanded tool over a text: it is the reply's shape
        if made is not None:
            return made
    if (
        not turn.must
        and not turn.answered
        and any(passage.label for passage in prompt.passages)
        and not turn.asks_for_a_tool(prompt.question)
    ):
        return None
    return turn.after_results() if turn.answered else turn.first()


class Turn:
    """One decision about tools."""

    def __init__(self, request: ChatRequest, tools: Toolbox) -> None:
        skill = request.model.skill
        assert skill is not None
        self.care = skill.tool_care
        self.semantic = min(skill.semantic_weight, 0.6)
        self.noise = skill.noise
        self.offered = request.callable_tools
        self.must = request.tool_choice.mode == "required"
        self.named = request.tool_choice.named
        self.parallel = request.parallel
        self.need, history = _need(request.messages)
        self.answered = _answered(history)
        today = find_today("\n".join(message.text for message in request.messages))
        self.request, self.tools = request, tools
        embedder = tools.embedder if skill.semantic_weight > 0 else None
        self.evidence = Evidence(self.need, today, embedder)

    def asks_for_a_tool(self, question: str) -> bool:
        """Whether the question alone wants a tool: what stands in its context may look like arguments."""
        own = Evidence(question, self.evidence.today, self.evidence._embedder)
        return rank(self.offered, own, self.semantic, self.noise)[0].score >= CALLED_FROM

    def slips(self, kind: str, share: float) -> bool:
        """Whether a careless model makes an error here; `share` of all cases for one without any care."""
        digest = hashlib.sha256(f"{kind}\0{self.need}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 < share * (1 - self.care)

    def first(self) -> Plan | None:
        """The first calls for a need."""
        ranked = rank(self.offered, self.evidence, self.semantic, self.noise)
        if len(ranked) > 1 and self.slips("near tool", 0.35) and not self.named:
            ranked[0], ranked[1] = ranked[1], ranked[0]
        best = self.attainable(ranked)
        if not self.must and best.score < CALLED_FROM:
            return None
        listed = [] if best.filling.missing else self.per_object(best)
        several = self.several_tools(ranked) if len(listed) < 2 else []
        if several:
            return _calls(several)
        if best.filling.missing:
            provider = self.provider(best, ranked)
            if provider is not None:
                best = provider
            elif not self.must and not self.slips("invents", 0.9):
                return _ask(best.tool, best.filling.missing)
        return _calls(self.per_object(best))

    def attainable(self, ranked: Sequence[Ranked]) -> Ranked:
        """The best tool, where a lack that another tool can make good counts less."""
        if self.care < 0.8 or self.named:
            return ranked[0]
        return max(
            ranked,
            key=lambda r: (
                r.score
                + (FOUND_FIRST * len(r.filling.missing) if r.filling.missing and self.provider(r, ranked) else 0.0)
            ),
        )

    def provider(self, best: Ranked, ranked: Sequence[Ranked]) -> Ranked | None:
        """Another tool that can find what the best one lacks."""
        wanted = {word for field in best.filling.missing for word in (*field.stems, *field.about)}
        found: list[tuple[float, Ranked]] = []
        own = {mention.text for mention in best.filling.mentions.values()}
        for other in ranked:
            values = [
                path
                for path, mention in other.filling.mentions.items()
                if mention.kind != "phrase" or other.filling.scores[path] > 0.4
            ]
            if other is best or other.filling.missing or not reads(other.tool):
                continue
            lists = not any(field.required for field in leaves(other.tool.parameters))
            if not values and not lists:
                continue
            if any(
                field.required and field.kind == "string" and field.path not in values
                for field in leaves(other.tool.parameters)
            ):
                continue
            words = tool_stems(other.tool)
            hit = max((weight for word, weight in words.items() if word in wanted), default=0.0)
            finds = bool(
                _FINDS & set(re.findall(r"[a-z]+", other.tool.name.lower() + " " + other.tool.description.lower()))
            )
            named = any(m.kind in _NAMING and m.text not in own for m in other.filling.mentions.values())
            if named or values and hit >= 0.6 or hit > 0.3 and finds and (values or hit >= 0.6):
                found.append((hit + 0.3 * finds + 0.4 * named + other.score, other))
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def several_tools(self, ranked: Sequence[Ranked]) -> list[Call]:
        """One call per clause, where clauses want different tools or the same one for different things."""
        if not self.parallel or len(self.evidence.clauses) < 2:
            return []
        calls: list[Call] = []
        for _, clause in self.evidence.clauses:
            if len(clause.split()) < 3:
                continue
            own = Evidence(clause, self.evidence.today, self.evidence._embedder)
            best = rank(self.offered, own, self.semantic, self.noise)[0]
            if (
                best.score < SEVERAL_FROM
                or best.filling.missing
                or all(m.kind == "phrase" for m in best.filling.mentions.values())
            ):
                continue
            calls.append(self.call(best.tool, best.filling.values))
        distinct = list(dict.fromkeys(calls))
        if len(distinct) < 2:
            return []
        whole = self.call(ranked[0].tool, ranked[0].filling.values)
        if len({call.name for call in distinct}) == 1:
            keys = [set(json.loads(call.arguments)) for call in distinct]
            if distinct[0].name != whole.name or keys[0] != keys[1] or not keys[0] >= set(json.loads(whole.arguments)):
                return []
            return distinct
        precise = len(ranked[0].filling.spans)
        return distinct if sum(len(json.loads(call.arguments)) for call in distinct) > precise + 1 else []

    def per_object(self, best: Ranked) -> list[Call]:
        """One call, or one per member of a list of things where the tool takes a single one."""
        filling = best.filling
        for field in leaves(best.tool.parameters):
            mention = filling.mentions.get(field.path)
            if mention is None or field.kind not in ("string", "number", "integer"):
                continue
            span = filling.spans.pop(field.path)
            run = coordinated(field, self.evidence, filling, near=[(0.0, None, mention)])
            filling.spans[field.path] = span
            values = list(dict.fromkeys(value for _, value, m in run))
            if len(values) > 1 and filling.values[field.path] in values and field.wants not in ("text", "date", "time"):
                made = [self.call(best.tool, {**filling.values, field.path: value}) for value in values]
                return made if self.parallel else made[:1]
        return [self.call(best.tool, filling.values)]

    def call(self, tool: Tool, values: dict[Path, Any]) -> Call:
        """A call with valid arguments; a careless model may drop an optional one."""
        kept = dict(values)
        optional = [field.path for field in leaves(tool.parameters) if not field.required and field.path in kept]
        if optional and self.slips("drops", 0.4):
            del kept[optional[-1]]
        arguments = build(tool.parameters, kept, self.need)
        return Call(tool.name, json.dumps(arguments, ensure_ascii=False))

    def after_results(self) -> Plan | None:
        """The next calls after results, or what to tell the user."""
        last = self.answered[-1]
        tool = next((tool for tool in self.offered if tool.name == last.name), None)
        if last.error and tool is not None and len(self.answered) < MOST_CALLS:
            arguments = corrected(last, tool)
            if arguments is not None and not self.made(tool.name, arguments):
                return _calls([Call(tool.name, json.dumps(arguments, ensure_ascii=False))])
        if len(self.answered) == 1 and not last.error and tool is not None and self.slips("repeats", 0.15):
            return _calls([Call(last.name, json.dumps(dict(last.arguments), ensure_ascii=False))])
        if len(self.answered) < MOST_CALLS:
            further = self.further()
            if further:
                return _calls(further)
        if self.must:
            done = plan_record(
                self.request,
                self.need,
                [call.text for call in self.answered],
                {call.name for call in self.answered},
                self.tools,
            )
            return done or self.first()
        return Plan((Candidate(statement(self.need, self.answered), 1.0),), wander=0.0)

    def further(self) -> list[Call]:
        """Calls that results have made possible and the need still wants."""
        good = [call for call in self.answered if not call.error and not nothing_found(call)]
        ranked = rank(self.offered, self.evidence, self.semantic, self.noise)
        overlap = dict(zip((tool.name for tool in self.offered), overlaps(self.offered, self.evidence), strict=True))
        called = {call.name for call in self.answered}
        bar = max((other.relevance for other in ranked if other.tool.name in called), default=0.0)
        top = max(other.relevance for other in ranked)
        options: list[tuple[float, Call]] = []
        for other in ranked:
            if other.tool.name in called and not any(
                call.error for call in self.answered if call.name == other.tool.name
            ):
                continue
            values, taken = dict(other.filling.values), 0
            for field in leaves(other.tool.parameters):
                if not (field.required or field.path in values):
                    continue
                weak = (
                    field.path not in values
                    or self.told_otherwise(field.name, values[field.path])
                    or field.kind == "enum"
                    and other.filling.scores[field.path] < 0.9
                )
                fit, value = from_results(field, good, self.need)
                if value is not None and (weak or fit >= 1.2 and field.wants == "identity"):
                    values[field.path] = value
                    taken += field.required
            missing = [f for f in other.filling.missing if f.path not in values]
            if not reads(other.tool) and other.relevance < top:
                continue
            enabled = taken > 0 and not missing and other.relevance >= FURTHER_FROM * min(1.0, bar / 0.4 + 0.3)
            fresh = any(
                m.kind in _PRECISE and not self.told(value)
                for m, value in ((m, other.filling.values[p]) for p, m in other.filling.mentions.items())
            )
            wanted = (
                overlap[other.tool.name] > 0.2
                and other.relevance >= max(0.9 * bar, FURTHER_FROM)
                or fresh
                and other.relevance >= 0.6 * bar
            )
            second = wanted and not missing and not other.filling.missing
            if enabled or second and other.filling.spans:
                call = self.call(other.tool, values)
                if not self.made(call.name, json.loads(call.arguments)):
                    options.append((other.relevance + 0.3 * enabled, call))
        return [max(options, key=lambda pair: pair[0])[1]] if options else []

    def told_otherwise(self, name: str, value: Any) -> bool:
        """Whether an earlier call had this text under another name, so that it names something else."""
        return isinstance(value, str) and any(
            value == old and key != name for call in self.answered for key, old in call.arguments.items()
        )

    def told(self, value: Any) -> bool:
        """Whether an earlier call had this value."""
        return any(value in call.arguments.values() for call in self.answered if not isinstance(value, list))

    def made(self, name: str, arguments: Any) -> bool:
        """Whether the same call was made before."""
        return any(call.name == name and dict(call.arguments) == arguments for call in self.answered)


def _need(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """What the user wants, and the messages since: the last user turn, with the one before it where it only adds to it."""
    users = [i for i, message in enumerate(messages) if message.role == "user"]
    if not users:
        return "", messages
    last = users[-1]
    need = messages[last].text
    before = messages[last - 1] if last else None
    if (
        len(users) > 1
        and before
        and before.role == "assistant"
        and not before.tool_calls
        and before.text.rstrip().endswith("?")
    ):
        need = f"{messages[users[-2]].text}\n{need}"
    return need, messages[last + 1 :]


def _answered(history: Sequence[Message]) -> list[Answered]:
    calls = {call.id: call for message in history for call in message.tool_calls}
    found = []
    for message in history:
        call = calls.get(message.tool_call_id or "")
        if message.role == "tool" and call is not None:
            try:
                arguments = json.loads(call.arguments)
            except ValueError:
                arguments = {}
            found.append(Answered(call.name, arguments if isinstance(arguments, dict) else {}, message.text))
    return found


def _calls(calls: Sequence[Call]) -> Plan:
    return Plan((Candidate("", 1.0, calls=tuple(calls)),), wander=0.0)


def _ask(tool: Tool, missing: Sequence[Field]) -> Plan:
    """A question for what the tool needs and nobody said."""
    names = []
    for field in missing:
        described = field.description.split(";")[0].strip().rstrip(".")
        names.append(f"{field.label} ({described})" if described else field.label)
    wanted = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    deed = " ".join(re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", tool.name).lower()))
    text = f"To {deed}, I need some more information: what is the {wanted}?"
    return Plan((Candidate(text, 1.0),), wander=0.0)

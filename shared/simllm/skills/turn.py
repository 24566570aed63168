"""One decision about tools: which one serves the need, what it lacks, and who can find that.

A careless model (low `tool_care`) takes a near tool, drops an argument, invents instead of asking or repeats a call;
its errors are stable per prompt.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simllm.chat import ChatRequest
from simllm.skills.arguments import build
from simllm.skills.asking import asking
from simllm.skills.candidates import Call, Candidate, Plan
from simllm.skills.dates import find_today
from simllm.skills.dialogue import answered_calls, current_need, said_before
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Path, leaves
from simllm.skills.recollection import with_earlier
from simllm.skills.several import per_object, repeated, several_tools
from simllm.skills.toolchoice import CALLED_FROM, Ranked, rank, recalled
from simllm.skills.toolwords import EMPTY_STEMS, OWN_WORD, reads, tool_stems
from simllm.skills.variants import settle
from simllm.skills.words import stem
from simllm.tools import Tool

if TYPE_CHECKING:
    from simllm.skills import Toolbox

PHRASED_FROM = 0.46  # score of a mere phrase that a lookup may start from
FOUND_FIRST = 0.2  # what a missing argument costs less when it can be looked up
_DEFINES = re.compile(r"\W*(?:what (?:is|are)|what's|explain|define)\s+(?:an?\s|[a-z]+s\W*$)|\W*(?:why|who)\b", re.I)
_SPOKEN = ("name", "phrase", "quoted")
_NAMING = ("name", "quoted", "email", "identifier", "uuid", "phone")
_FINDS = frozenset(["find", "search", "lookup", "look", "list", "get", "resolve", "query", "fetch", "locate"])


class Turn:
    """One decision about tools."""

    def __init__(self, request: ChatRequest, tools: Toolbox) -> None:
        skill = request.model.skill
        assert skill is not None
        self.care = skill.tool_care
        self.semantic = min(1.25 * skill.semantic_weight, 0.75)
        self.noise = skill.noise
        self.offered = request.callable_tools
        self.must = request.tool_choice.mode == "required"
        self.named = request.tool_choice.named
        self.parallel = request.parallel
        self.need, history = current_need(request.messages)
        self.answered = answered_calls(history)
        self.earlier = answered_calls(request.messages[: len(request.messages) - len(history)])
        today = find_today("\n".join(message.text for message in request.messages))
        self.request, self.tools = request, tools
        embedder = tools.embedder if skill.semantic_weight > 0 else None
        self.evidence = Evidence(self.need, today, embedder)
        self.offered = tuple(replace(t, parameters=settle(t.parameters, self.evidence)) for t in self.offered)
        self.before = Evidence(said_before(request.messages, self.need), today, embedder)

    def asks_for_a_tool(self, question: str) -> bool:
        """Whether the question alone wants a tool: what stands in its context may look like arguments."""
        own = Evidence(question, self.evidence.today, self.evidence.embedder)
        return rank(self.offered, own, self.semantic, self.noise)[0].score >= CALLED_FROM

    def slips(self, kind: str, share: float) -> bool:
        """Whether a careless model makes an error here; `share` of all cases for one without any care."""
        digest = hashlib.sha256(f"{kind}\0{self.need}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 < share * (1 - self.care)

    def ranking(self) -> list[Ranked]:
        """The offered tools for this need; what an argument lacks may have been said in earlier turns."""
        ranked = rank(self.offered, self.evidence, self.semantic, self.noise)
        ranked = sorted((with_earlier(r, self.need, self.earlier) for r in ranked), key=lambda r: -r.score)
        if not self.before.text:
            return ranked
        return sorted((recalled(r, self.before) for r in ranked), key=lambda r: -r.score)

    def first(self) -> Plan | None:
        """The first calls for a need."""
        ranked = self.ranking()
        if len(ranked) > 1 and self.slips("near tool", 0.35) and not self.named:
            ranked[0], ranked[1] = ranked[1], ranked[0]
        best = self.attainable(ranked)
        if not self.must and best.score < CALLED_FROM:
            return self.asked_for(ranked)
        best = self.supplied(best, ranked)
        several = [] if best.filling.missing else per_object(self, best)
        several = several or several_tools(self, ranked)
        if several:
            return calls_plan(several)
        if best.filling.missing:
            provider = self.provider(best, ranked)
            if provider is not None:
                best = provider
            elif not self.must and not self.slips("invents", 0.9):
                return asking(best.tool, best.filling.missing)
        return calls_plan(per_object(self, best) or repeated(self, best))

    def asked_for(self, ranked: Sequence[Ranked]) -> Plan | None:
        """A question back where the need is a tool's own words and nothing else ("What's the weather?"); or None."""
        said = {word for word in self.evidence.stems if word not in EMPTY_STEMS}
        if not said or _DEFINES.match(self.need) or self.slips("overlooks", 0.5):
            return None
        for each in ranked:
            own = {word for word, weight in tool_stems(each.tool, parameters=False).items() if weight >= OWN_WORD}
            if each.filling.missing and reads(each.tool) and said <= own:
                return asking(each.tool, each.filling.missing)
        return None

    def attainable(self, ranked: Sequence[Ranked]) -> Ranked:
        """The best tool, where a lack that another tool can make good counts less."""
        if self.care < 0.8 or self.named:
            return ranked[0]
        return max(
            ranked,
            key=lambda r: r.score + (FOUND_FIRST if r.filling.missing and self.provider(r, ranked) else 0.0),
        )

    def supplied(self, best: Ranked, ranked: Sequence[Ranked]) -> Ranked:
        """A tool that looks up what the best one would otherwise be given in its place ("the symbol" for a company)."""
        if self.care < 0.8 or self.named or self.answered:
            return best
        for field in leaves(best.tool.parameters):
            mention = best.filling.mentions.get(field.path)
            if mention is None or not field.required or field.kind != "string" or mention.kind not in _SPOKEN:
                continue
            for other in ranked:
                if other is best or other.filling.missing or not reads(other.tool):
                    continue
                tells = tool_stems(other.tool, parameters=False)
                takes = {f.name: other.filling.mentions.get(f.path) for f in leaves(other.tool.parameters)}
                shared = [name for name, m in takes.items() if m and m.overlaps(mention)]
                if shared and field.name not in takes and any(stem(word) in tells for word in field.words):
                    return other
        return best

    def provider(self, best: Ranked, ranked: Sequence[Ranked]) -> Ranked | None:
        """Another tool that can find what the best one lacks."""
        wanted = {word for field in best.filling.missing for word in (*field.stems, *field.about)}
        found: list[tuple[float, Ranked]] = []
        own = {mention.text for mention in best.filling.mentions.values()}
        for other in ranked:
            values = [
                path
                for path, mention in other.filling.mentions.items()
                if mention.kind != "phrase" or other.filling.scores[path] > PHRASED_FROM
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

    def call(self, tool: Tool, values: dict[Path, Any]) -> Call:
        """A call with valid arguments; a careless model may drop an optional one."""
        kept = dict(values)
        optional = [field.path for field in leaves(tool.parameters) if not field.required and field.path in kept]
        if optional and self.slips("drops", 0.4):
            del kept[optional[-1]]
        arguments = build(tool.parameters, kept, self.need)
        return Call(tool.name, json.dumps(arguments, ensure_ascii=False))


def calls_plan(calls: Sequence[Call]) -> Plan:
    """A reply that makes these calls."""
    return Plan((Candidate("", 1.0, calls=tuple(calls)),), wander=0.0)

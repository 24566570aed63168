"""Which of the offered tools serves a need.

Word overlap weighted by rarity among the tools, similarity between the need and "name: description", and whether the
need holds what the tool requires. A tool that none of these speaks for is not called. Errors of a careless model are
its own: a stable misjudgement per need and tool.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simllm.skills.arguments import Filling, fill
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Path, split_name
from simllm.skills.mentions import Mention
from simllm.skills.words import STOP_WORDS, stem
from simllm.tools import Tool

MEANING_SHARE = 0.6
FIT_SHARE = 0.22  # of the score, for what the tool requires and the text holds
USED_SHARE = 0.12  # of the score, for the part of what the need names that becomes an argument
CALLED_FROM = 0.19  # score under which no tool fits


_READS = frozenset(
    [
        "get",
        "find",
        "search",
        "lookup",
        "look",
        "list",
        "show",
        "check",
        "fetch",
        "query",
        "read",
        "track",
        "convert",
        "calculate",
        "compute",
        "estimate",
        "current",
        "past",
        "report",
        "tell",
        "say",
        "describe",
        "count",
        "compare",
        "view",
        "see",
    ]
)
_ACTS = frozenset(
    [
        "book",
        "create",
        "cancel",
        "add",
        "set",
        "start",
        "stop",
        "send",
        "schedule",
        "reschedule",
        "restart",
        "scale",
        "delete",
        "remove",
        "update",
        "block",
        "pay",
        "transfer",
        "place",
        "renew",
        "record",
        "log",
        "plan",
        "order",
        "message",
        "post",
        "put",
        "make",
        "move",
        "open",
        "close",
        "issue",
        "file",
        "submit",
        "roll",
        "rollback",
        "reserve",
        "play",
        "register",
        "enable",
        "disable",
        "reset",
        "change",
        "edit",
        "assign",
        "write",
        "upload",
        "approve",
        "reject",
    ]
)
ACTING_COST = 0.08  # of a tool that changes something, when the need only asks
_ASKS = re.compile(r"\W*(?:what|when|which|where|who|how|is|are|was|were|does|do|did|has|have)\b", re.I)
GENERAL_COST = 0.08  # of a question about the world that names nothing
_GENERAL = re.compile(
    r"\W*(?:why|do|does|did|who (?:invented|wrote|was|is)|what (?:is|are|does|makes)\b|what's (?:a|an|the (?:difference|best))|how (?:do|does|can) (?:i|you|one|we)|explain|write|thanks|thank)\b",
    re.I,
)
_PRECISE = ("when", "identifier", "quoted", "email", "url", "uuid", "number", "address", "phone")


@dataclass(frozen=True)
class Ranked:
    """A tool, how well it serves the need, and what the text fills of its parameters."""

    tool: Tool
    score: float
    filling: Filling
    relevance: float


def tool_stems(tool: Tool) -> dict[str, float]:
    """Stems of a tool's words with their weight: its name says most, its parameters least."""
    found: dict[str, float] = {}
    for name, child in tool.parameters.get("properties", {}).items():
        options = [str(option) for option in child.get("enum", ())]
        for word in [
            *split_name(name),
            *(part for option in options for part in split_name(option)),
            *_words(str(child.get("description", ""))),
        ]:
            found[stem(word)] = 0.35
    for word in _words(tool.description):
        found[stem(word)] = 0.7
    for word in split_name(tool.name):
        found[stem(word)] = 1.0
    return {word: weight for word, weight in found.items() if word not in STOP_WORDS and len(word) > 1}


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z]+", text.lower()) if word not in STOP_WORDS]


def rank(
    tools: Sequence[Tool],
    evidence: Evidence,
    semantic: float,
    noise: float,
    known: Mapping[str, Mapping[Path, Any]] | None = None,
) -> list[Ranked]:
    """All tools, best first.

    Args:
        tools: the tools on offer.
        evidence: the need.
        semantic: share of similarity in meaning; the rest is word overlap.
        noise: amplitude of the model's own misjudgement.
        known: per tool name, arguments that are settled already.
    """
    overlap = overlaps(tools, evidence)
    meaning = np.zeros(len(tools))
    if semantic > 0:
        texts = [f"{' '.join(split_name(tool.name))}: {tool.description}" for tool in tools]
        cosines, _ = evidence.similarity(
            [*texts, *(" ".join(split_name(tool.name)) for tool in tools)], parts="clauses"
        )
        whole, _ = Evidence(
            evidence.text.replace("\n", " ").replace(",", " ").replace(". ", " "), None, evidence._embedder
        ).similarity(texts, parts="clauses")
        near = np.maximum(cosines[: len(tools)], 0.9 * cosines[len(tools) :]).max(axis=1)
        meaning = 0.5 * near + 0.5 * whole.max(axis=1)
    asks = _ASKS.match(evidence.text) is not None and evidence.text.rstrip().endswith("?")
    general = _GENERAL.match(evidence.text) is not None and not precise(evidence)
    ranked = []
    for i, tool in enumerate(tools):
        filling = fill(tool.parameters, evidence, (known or {}).get(tool.name), topic=tool.name)
        relevance = semantic * float(meaning[i]) + (1 - semantic) * overlap[i]
        if general:
            relevance -= GENERAL_COST
        if asks and not reads(tool):
            relevance -= ACTING_COST
        score = (
            relevance
            + FIT_SHARE * fitness(filling)
            + USED_SHARE * used(evidence, filling)
            + noise * _misjudgement(evidence.text, tool)
        )
        ranked.append(Ranked(tool, score, filling, relevance))
    return sorted(ranked, key=lambda r: -r.score)


def overlaps(tools: Sequence[Tool], evidence: Evidence) -> list[float]:
    """Word overlap per tool in [0, 1], rare words weighing more."""
    stems = [tool_stems(tool) for tool in tools]
    spread = Counter(word for words in stems for word in words)
    need = {word for word in evidence.stems if len(word) > 1 and not word.isdigit()}
    scores = []
    for words in stems:
        hit = 0.0
        for word in need:
            weight = words.get(word) or 0.8 * max(
                (w for other, w in words.items() if _same_root(word, other)), default=0.0
            )
            hit += weight * math.log(1 + (len(tools) + 1) / (spread[word] + 0.5))
        scores.append(hit)
    most = math.log(1 + (len(tools) + 1) / 1.5)
    return [min(1.0, score / (2.2 * most)) for score in scores]


def _same_root(word: str, other: str) -> bool:
    return len(word) > 4 and len(other) > 4 and word[:5] == other[:5] and abs(len(word) - len(other)) < 5


def fitness(filling: Filling) -> float:
    """How well the text holds what a tool wants: about -1 (all missing) to 1."""
    needed = len(filling.missing) + sum(1 for path in filling.values)
    if not needed:
        return 0.0
    sure = sum(min(1.2, 1.4 * max(0.0, score - 0.28)) for score in filling.scores.values())
    return (sure - 1.2 * len(filling.missing)) / max(needed, 1)


def reads(tool: Tool) -> bool:
    """Whether a tool only looks something up, by the first word of its name or description."""
    first = {*split_name(tool.name)[:1], *re.findall(r"[a-z]+", tool.description.lower())[:1]}
    return bool(_READS & first) or not _ACTS & set(split_name(tool.name)[:1])


def used(evidence: Evidence, filling: Filling) -> float:
    """Share of the need's precise mentions (dates, identifiers, amounts, quotations) that the arguments use."""
    named = precise(evidence)
    return sum(filling.used(m) for m in named) / len(named) if named else 0.0


def precise(evidence: Evidence) -> list[Mention]:
    """Mentions that name one thing exactly."""
    return [m for m in evidence.mentions if m.kind in _PRECISE]


def _misjudgement(text: str, tool: Tool) -> float:
    """A number in [-1, 1] that depends on need and tool only."""
    digest = hashlib.sha256(f"{text}\0{tool.name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") / 2**31 - 1

"""Which of the offered tools serves a need.

Word overlap weighted by rarity among the tools, similarity between the need and "name: description", and whether the
need holds what the tool requires. A tool that none of these speaks for is not called. Errors of a careless model are
its own: a stable misjudgement per need and tool.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simllm.skills.arguments import fill
from simllm.skills.evidence import Evidence
from simllm.skills.field_words import ADDRESSEES, PERSON_WORDS
from simllm.skills.fields import Field, leaves, split_name
from simllm.skills.filling import Filling
from simllm.skills.mention import Mention
from simllm.skills.rows import fill_rows
from simllm.skills.toolwords import EMPTY_STEMS, OWN_WORD, overlaps, reads, searches, tool_stems
from simllm.skills.words import stem
from simllm.tools import Tool

FIT_SHARE = 0.2  # of the score, for what the tool requires and the text holds
USED_SHARE = 0.12  # of the score, for the part of what the need names that becomes an argument
LACKING_COST = 0.12  # of a tool that the need does not say enough for
SURE = 0.75  # score from which a value is settled before rows of objects are looked for
SEARCH_GAIN = 0.12  # of a search for anything, when the need is about something particular
MOST_COMPARED = 24  # tools that are read in full
MOST_TOLD = 300  # characters of a tool with its options
CALLED_FROM = 0.19  # score under which no tool fits


ACTING_COST = 0.08  # of a tool that changes something, when the need only asks
_ASKS = re.compile(r"\W*(?:what|when|which|where|who|how|is|are|was|were|does|do|did|has|have)\b", re.I)
TOLD_GAIN = 0.2  # of a tool that takes the addressee and the words, when the need is to tell somebody something
_TELLS = re.compile(
    r"\W*(?:please |now |also |then |(?:could|can|would) you (?:please )?)*(?:tell|let|inform|notify|text|message|ping|write|remind|e-?mail)\s+(?!me\b|us\b|an?\b)",
    re.I,
)
GENERAL_COST = 0.24  # of a question about the world that names nothing
_GENERAL = re.compile(
    r"\W*(?:(?:could|can|would) you (?:please )?)?(?:why|do|does|did|who (?:invented|wrote|was|is)|what (?:is|are|does|makes)\b|what's (?:a|an|the (?:difference|best))|how (?:do|does|can) (?:i|you|one|we)|explain|write|thanks|thank)\b",
    re.I,
)
PRECISE = ("when", "identifier", "quoted", "email", "url", "uuid", "number", "address", "phone")


@dataclass(frozen=True)
class Ranked:
    """A tool, how well it serves the need, and what the text fills of its parameters."""

    tool: Tool
    score: float
    filling: Filling
    relevance: float


def rank(
    tools: Sequence[Tool],
    evidence: Evidence,
    semantic: float,
    noise: float,
) -> list[Ranked]:
    """All tools, best first.

    Args:
        tools: the tools on offer.
        evidence: the need.
        semantic: share of similarity in meaning; the rest is word overlap.
        noise: amplitude of the model's own misjudgement.
    """
    overlap = overlaps(tools, evidence)
    tools, overlap = _shortlist(tools, overlap, evidence)
    meaning = meanings(tools, evidence) if semantic > 0 else np.zeros(len(tools))
    asks = _ASKS.match(evidence.text) is not None and evidence.text.rstrip().endswith("?")
    general = _GENERAL.match(evidence.text) is not None and not particular(evidence)
    tells = _TELLS.match(evidence.text) is not None
    ranked = []
    for i, tool in enumerate(tools):
        filling = read_arguments(tool, evidence)
        relevance = semantic * float(meaning[i]) + (1 - semantic) * overlap[i]
        if general:
            relevance -= GENERAL_COST
        elif searches(tool) and not tells:
            relevance += SEARCH_GAIN
        elif tells and _delivers(filling):
            relevance += TOLD_GAIN
        if asks and not reads(tool):
            relevance -= ACTING_COST
        score = (
            relevance
            + FIT_SHARE * fitness(filling)
            + USED_SHARE * used(evidence, filling)
            - LACKING_COST * bool(filling.missing)
            + noise * _misjudgement(evidence.text, tool)
        )
        ranked.append(Ranked(tool, score, filling, relevance))
    return sorted(ranked, key=lambda r: -r.score)


def _delivers(filling: Filling) -> bool:
    """Whether the arguments are what somebody is told."""
    return any(m.kind in ("said", "quoted") for m in filling.mentions.values()) and any(
        set(split_name(path[-1])) & (ADDRESSEES | PERSON_WORDS) for path in filling.mentions
    )


def _shortlist(tools: Sequence[Tool], overlap: list[float], evidence: Evidence) -> tuple[Sequence[Tool], list[float]]:
    """Of very many tools, those that word overlap and static vectors find near, in their order; with their overlaps."""
    if len(tools) <= MOST_COMPARED:
        return tools, overlap
    told = [f"{' '.join(split_name(tool.name))} {tool.description}" for tool in tools]
    near = evidence.kinship([evidence.text], told)[0]
    order = sorted(range(len(tools)), key=lambda i: (-float(near[i]) - overlap[i], i))
    kept = sorted(order[:MOST_COMPARED])
    return [tools[i] for i in kept], [overlap[i] for i in kept]


def meanings(tools: Sequence[Tool], evidence: Evidence) -> NDArray[np.float64]:
    """Similarity in meaning per tool: of the need as a whole and by clause, with the tool's words, parameters and options."""
    names = [" ".join(split_name(tool.name)) for tool in tools]
    told = [f"{name}: {tool.description}" for name, tool in zip(names, tools, strict=True)]
    fields = [list(leaves(tool.parameters)) for tool in tools]
    taking = [
        f"{text} ({', '.join(' '.join(split_name(f.name)) for f in own)})"
        for text, own in zip(told, fields, strict=True)
    ]
    choosing = [f"{text} {_options(own)}"[:MOST_TOLD] for text, own in zip(told, fields, strict=True)]
    count = len(tools)
    by_clause, _ = evidence.similarity([*told, *taking, *names], parts="clauses")
    plain = re.sub(r"[\n,]|\.(?=\s)", " ", evidence.text)
    at_once, _ = Evidence(plain, None, evidence.embedder).similarity([*told, *taking, *choosing], parts="clauses")
    clause, whole = by_clause.max(axis=1), at_once.max(axis=1)
    near = np.maximum(clause[:count], 0.9 * clause[2 * count :])
    found: NDArray[np.float64] = (
        near + clause[count : 2 * count] + whole[:count] + whole[count : 2 * count] + whole[2 * count :]
    ) / 5
    return found


def _options(fields: Sequence[Field]) -> str:
    return " ".join(str(option).replace("_", " ") for field in fields for option in field.schema.get("enum", ())[:20])


def read_arguments(tool: Tool, evidence: Evidence) -> Filling:
    """What the text holds for the parameters of a tool; words that only name what the tool is about are no argument."""
    filling = _read(tool, evidence)
    about = {word for word, weight in tool_stems(tool, parameters=False).items() if weight >= OWN_WORD} | EMPTY_STEMS
    for target in leaves(tool.parameters):
        mention = filling.mentions.get(target.path)
        if mention is None or mention.kind != "phrase" or target.wants != "open" or target.kind != "string":
            continue
        if {stem(word) for word in re.findall(r"[a-z]+", mention.text.lower())} <= about:
            filling.drop(target)
    return filling


def _read(tool: Tool, evidence: Evidence) -> Filling:
    if not any(f.kind == "array" and f.schema.get("items", {}).get("properties") for f in leaves(tool.parameters)):
        return fill(tool.parameters, evidence, topic=tool.name)
    text = evidence.text
    single = fill(tool.parameters, evidence, topic=tool.name)
    for path, (start, end) in single.spans.items():
        if single.scores[path] >= SURE:
            text = text[:start] + " " * (end - start) + text[end:]
    rows, left = fill_rows(tool.parameters, text, evidence.today, evidence.embedder, eager=False)
    sure = {p: single.values[p] for p in single.spans if single.scores[p] >= SURE}
    if not rows:
        return single
    rest = Evidence(left, evidence.today, evidence.embedder)
    return fill(tool.parameters, rest, {**rows, **sure}, topic=tool.name)


def recalled(ranked: Ranked, before: Evidence) -> Ranked:
    """The same tool with arguments that the need lacks and earlier turns hold in precise words."""
    filling = ranked.filling
    if not filling.missing:
        return ranked
    known = fill(ranked.tool.parameters, before, dict(filling.values), topic=ranked.tool.name)
    lacking = {field.path for field in filling.missing}
    found = {p for p, m in known.mentions.items() if p in lacking and m.kind in (*PRECISE, "name", "path", "ip")}
    if not found:
        return ranked
    values = {**filling.values, **{path: known.values[path] for path in found}}
    scores = {**filling.scores, **{path: known.scores[path] for path in found}}
    missing = [field for field in filling.missing if field.path not in found]
    whole = replace(filling, values=values, scores=scores, missing=missing)
    gain = FIT_SHARE * (fitness(whole) - fitness(filling))
    return replace(ranked, filling=whole, score=ranked.score + gain)


def fitness(filling: Filling) -> float:
    """How well the text holds what a tool wants: about -1 (all missing) to 1."""
    needed = len(filling.missing) + sum(1 for path in filling.values)
    if not needed:
        return 0.0
    sure = sum(min(1.2, 1.4 * max(0.0, score - 0.28)) for score in filling.scores.values())
    return (sure - 1.2 * len(filling.missing)) / max(needed, 1)


def used(evidence: Evidence, filling: Filling) -> float:
    """Share of the need's precise mentions (dates, identifiers, amounts, quotations) that the arguments use."""
    named = precise(evidence)
    return sum(filling.used(m) for m in named) / len(named) if named else 0.0


def particular(evidence: Evidence) -> bool:
    """Whether the need is about something of its own: a name, a number, "our policy"."""
    named = any(m.kind == "name" and m.start > 0 for m in evidence.mentions)
    return named or bool(precise(evidence)) or re.search(r"\b(?:my|our)\b", evidence.text, re.I) is not None


def precise(evidence: Evidence) -> list[Mention]:
    """Mentions that name one thing exactly."""
    return [m for m in evidence.mentions if m.kind in PRECISE]


def _misjudgement(text: str, tool: Tool) -> float:
    """A number in [-1, 1] that depends on need and tool only."""
    digest = hashlib.sha256(f"{text}\0{tool.name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") / 2**31 - 1

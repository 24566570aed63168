"""Put numbered passages in the order of their relevance to a query: the reranking step of a search.

Every passage is judged as a judge of relevance would judge it alone; ties keep the order of the prompt.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from simllm.chat import ChatRequest
from simllm.skills import verdicts
from simllm.skills.alignment import Reader
from simllm.skills.candidates import Candidate, Plan
from simllm.skills.layout import Passage, labelled_passages, tagged_passages
from simllm.skills.outcome import Outcome, write

if TYPE_CHECKING:
    from simllm.skills import Toolbox

_TASK = re.compile(
    r"\b(?:re-?rank|rank|order|sort|arrange)\b[^.\n]{0,60}\b(?:passages?|documents?|results?|texts?|snippets?|chunks?|paragraphs?|candidates?)\b"
    r"[^\n]{0,100}?\b(?:relevan\w+|quer(?:y|ies)|questions?|useful\w*|help\w*)\b",
    re.I,
)
_QUERY = re.compile(r"^[ \t#*_]*(?:the )?(?:user |search )?(?:query|question)[ \t*_]*:[ \t*_]*(\S[^\n]*)$", re.I | re.M)
_QUOTED = re.compile(r"\b(?:query|question)\b\W{0,3}[:\s]*[\"'“‘`]([^\"”\n]{3,300}?)[\"'”’`](?=[\s.,;:)]|$)", re.I)
_TOP = re.compile(r"\b(?:top|best|first|most relevant)[ -](\d{1,2})\b|\b(\d{1,2}) (?:best|most relevant)\b", re.I)
_LIST = re.compile(r"\bjson\b|\barray\b|\[\s*\d", re.I)
_LINES = re.compile(r"\b(?:one|each) per line\b|\bseparate lines\b", re.I)
_COUNTED = re.compile(r"^[ \t]*\(?(\d{1,3})[.):][ \t]+(\S[^\n]*)$", re.M)
MOST_RANKED = 64


def plan_ranking(request: ChatRequest, tools: Toolbox) -> Plan | None:
    """The labels of the passages, best first; None when the request asks for something else."""
    skill = request.model.skill
    text = "\n\n".join(message.text for message in request.messages if message.role != "assistant")
    task = _TASK.search(text)
    asked = _QUERY.search(text) or _QUOTED.search(text)
    if skill is None or task is None or asked is None:
        return None
    passages, rest = read_passages(text)
    if not 1 < len(passages) <= MOST_RANKED or task.group() not in rest:
        return None
    reader = Reader(skill, tools.embedder)
    scores = [verdicts.relevance(asked.group(1), passage.text, reader).score for passage in passages]
    order = sorted(range(len(passages)), key=lambda i: -scores[i])
    top = _TOP.search(rest)
    kept = order[: int(top.group(1) or top.group(2)) or None] if top else order
    labels = [passages[i].label for i in kept]
    return Plan((Candidate(_said(labels, request, rest), 1.0),), wander=0.0)


def read_passages(text: str) -> tuple[list[Passage], str]:
    """The labelled passages of a text, without a query that stands below them, and what is left."""
    passages, rest = tagged_passages(text)
    if not any(passage.label for passage in passages):
        passages, rest = labelled_passages(text)
    if len(passages) < 2:
        found = _COUNTED.findall(text)
        passages, rest = [Passage(label, line) for label, line in found], _COUNTED.sub("", text)
    cut = []
    for passage in passages:
        own, *behind = re.split(r"\n[ \t]*\n", _QUERY.sub("", passage.text).strip())
        asks = [part for part in behind if _TASK.search(part)]
        rest = "\n\n".join([rest, *asks])
        cut.append(Passage(passage.label, "\n\n".join([own, *(part for part in behind if part not in asks)]).strip()))
    return [p for p in cut if p.label and p.text], rest


def _said(labels: list[str], request: ChatRequest, instructions: str) -> str:
    if request.format.kind == "text":
        if _LIST.search(instructions) and "{" not in instructions:
            return json.dumps([int(label) if label.isdigit() else label for label in labels])
        if "{" not in instructions:
            return ("\n" if _LINES.search(instructions) else ", ").join(labels)
    outcome = Outcome(labels[0], items=tuple(labels), children=tuple(Outcome(label) for label in labels))
    return write(outcome, request.format, instructions)

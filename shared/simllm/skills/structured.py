"""JSON replies: fill an object's fields from what the answer skill finds.

The object comes from a JSON schema, or for plain JSON mode from the keys that the prompt shows. A field's name and
description decide what goes in: the answer, its sources, a confidence, a flag, or a value looked up in the context.
Decoding is constrained: every candidate is valid JSON, and the language model has no share.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simllm.catalogue import Skill
from simllm.chat import ChatRequest
from simllm.embeddings import Embedder
from simllm.messages import Message
from simllm.skills.answer_object import Filler
from simllm.skills.candidates import Candidate, Plan, weigh
from simllm.skills.conforming import invented
from simllm.skills.dates import find_today
from simllm.skills.extraction import extract, wants_extraction
from simllm.skills.json_wish import schema_from_prompt, shown_object, without_wish
from simllm.skills.prompt import Prompt

if TYPE_CHECKING:
    from simllm.skills import Toolbox

ANSWERING = frozenset(
    [
        "answer",
        "response",
        "reply",
        "citations",
        "citation",
        "sources",
        "source",
        "evidence",
        "quote",
        "quotes",
        "confidence",
        "rationale",
        "explanation",
    ]
)
_TAGGED = re.compile(r"<([a-z_]\w*)>\s*(.+?)\s*</\1>", re.S | re.I)
_ORDER = re.compile(
    r"\W*(?:please |now |can you |could you )*(?:extract|parse|read|fill|find|convert|turn|pull|get|return|identify|take|list)\b[^\n]{0,300}?(?::\s*\n+|:\s+(?=[\"“A-Z])|\n\s*\n)",
    re.I,
)


def plan_object(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan:
    """A JSON reply: an answer with its sources where the schema has such fields, else the values of a text."""
    skill = request.model.skill
    assert skill is not None  # embedding models never get here: the request was checked
    wanted = request.format
    schema = wanted.schema if wanted.schema is not None else wished(request.messages, prompt)
    if not wants_extraction(schema, ANSWERING):
        return Plan(objects(prompt, schema, skill, tools.embedder), wander=0.0)
    told = [message for message in request.messages if message.role in ("user", "tool")]
    text = source_text(told, plain=wanted.schema is not None)
    today = find_today("\n".join(message.text for message in request.messages))
    embedder = tools.embedder if skill.semantic_weight > 0 else None
    made = extract(schema, text, today, embedder, title=wanted.name)
    if skill.tool_care < 0.8:
        made = overlook(made, schema, text, 0.5 * (1 - skill.tool_care))
    return Plan((Candidate(json.dumps(made, ensure_ascii=False), 1.0),), wander=0.0)


def wished(messages: Sequence[Message], prompt: Prompt) -> dict[str, Any]:
    """The object that the instructions show, or a paragraph that looked like a part of the context."""
    schema = schema_from_prompt(f"{prompt.instructions}\n{prompt.question}")
    if list(schema["properties"]) != ["answer"]:
        return schema
    return next((made for m in messages[::-1] if (made := shown_object(m.text)) is not None), schema)


def source_text(messages: Sequence[Message], *, plain: bool = True) -> str:
    """What to read: the last message without a leading or trailing order such as "Extract the order:".

    Args:
        messages: what user and tools said.
        plain: whether no message shows an object to fill.
    """
    text = messages[-1].text if messages else ""
    text = text if plain else without_wish(text)
    tagged = _TAGGED.search(text)
    if tagged:
        return tagged.group(2).strip()
    led = _ORDER.match(text)
    return text[led.end() :].strip() if led and len(text) - led.end() > 20 else text


def overlook(made: dict[str, Any], schema: Mapping[str, Any], text: str, share: float) -> dict[str, Any]:
    """The object as a careless reader would fill it: a stable `share` of its own fields is left empty."""
    for name, child in schema.get("properties", {}).items():
        digest = hashlib.sha256(f"{text}\0{name}".encode("utf-8", "surrogatepass")).digest()
        if name in made and int.from_bytes(digest[:4], "big") / 2**32 < share:
            made[name] = invented(child, name, empty=True)
    return made


def objects(prompt: Prompt, schema: Mapping[str, Any], skill: Skill, embedder: Embedder) -> tuple[Candidate, ...]:
    """Candidate JSON texts."""
    filler = Filler(prompt, skill, embedder)
    texts, scores = [], []
    for reply, score in filler.replies():
        texts.append(json.dumps(filler.fill("", schema, reply), ensure_ascii=False))
        scores.append(score)
    return weigh(texts, scores, skill.sharpness)

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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simllm.catalogue import Skill
from simllm.chat import ChatRequest
from simllm.embeddings import Embedder
from simllm.messages import Message
from simllm.schema import ReplyFormat, schema_types
from simllm.skills.answer import Finding, choose_units, find, full_query
from simllm.skills.candidates import Candidate, Plan, weigh
from simllm.skills.conforming import invented
from simllm.skills.dates import find_today
from simllm.skills.extraction import extract, wants_extraction
from simllm.skills.freeform import replies
from simllm.skills.prompt import Prompt
from simllm.skills.relevance import Query
from simllm.skills.words import terms

if TYPE_CHECKING:
    from simllm.skills import Toolbox

ALTERNATIVES = 3
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
_KEY = re.compile(r"[\"'`]([A-Za-z_][\w-]{0,40})[\"'`]\s*:")
_KEY_LIST = re.compile(
    r"\b(?:keys?|fields?|propert(?:y|ies))\b[^.:\n]*?[: ]\s*((?:[\"'`]?[a-z_][\w-]*[\"'`]?(?:,? and |, ?|$|[.\n]))+)",
    re.I,
)
_SOURCES = {"citation", "cit", "sourc", "referenc", "docu", "doc", "id", "ids", "passag", "evidenceid"}
_ANSWER = {"answer", "respons", "repli", "text", "summary", "result", "content", "messag", "explanation"}
_EVIDENCE = {"quot", "evidenc", "excerpt", "reason", "rational", "snippet", "justification"}
_CONFIDENCE = {"confidenc", "scor", "probability", "certainty", "likelihood"}
_SUPPORTED = {
    "answerabl",
    "found",
    "support",
    "ground",
    "known",
    "sufficient",
    "relevant",
    "success",
    "correct",
    "valid",
}


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


@dataclass(frozen=True)
class _Reply:
    """What one candidate object is built from."""

    answer: str
    quote: str
    labels: tuple[str, ...]
    confidence: float
    supported: bool


def plan_object(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan:
    """A JSON reply: an answer with its sources where the schema has such fields, else the values of a text."""
    skill = request.model.skill
    assert skill is not None  # embedding models never get here: the request was checked
    wanted = request.format
    schema = (
        wanted.schema if wanted.schema is not None else schema_from_prompt(f"{prompt.instructions}\n{prompt.question}")
    )
    if not wants_extraction(schema, ANSWERING):
        return Plan(objects(prompt, wanted, skill, tools.embedder), wander=0.0)
    text = source_text([message for message in request.messages if message.role in ("user", "tool")])
    today = find_today("\n".join(message.text for message in request.messages))
    embedder = tools.embedder if skill.semantic_weight > 0 else None
    made = extract(schema, text, today, embedder, title=wanted.name)
    if skill.tool_care < 0.8:
        made = overlook(made, schema, text, 0.5 * (1 - skill.tool_care))
    return Plan((Candidate(json.dumps(made, ensure_ascii=False), 1.0),), wander=0.0)


def source_text(messages: Sequence[Message]) -> str:
    """What to read: the last message without a leading or trailing order such as "Extract the order:"."""
    text = messages[-1].text if messages else ""
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


def objects(prompt: Prompt, wanted: ReplyFormat, skill: Skill, embedder: Embedder) -> tuple[Candidate, ...]:
    """Candidate JSON texts."""
    schema = (
        wanted.schema if wanted.schema is not None else schema_from_prompt(prompt.instructions + "\n" + prompt.question)
    )
    filler = _Filler(prompt, skill, embedder)
    texts, scores = [], []
    for reply, score in filler.replies():
        texts.append(json.dumps(filler.fill("", schema, reply), ensure_ascii=False))
        scores.append(score)
    return weigh(texts, scores, skill.sharpness)


def schema_from_prompt(text: str) -> dict[str, Any]:
    """An object with the keys that the prompt shows; {"answer": ...} when it shows none."""
    keys = list(dict.fromkeys(_KEY.findall(text)))
    if not keys:
        listed = _KEY_LIST.search(text)
        names = re.findall(r"[A-Za-z_][\w-]*", listed.group(1)) if listed else []
        keys = [name for name in dict.fromkeys(names) if name != "and"]
    return {"type": "object", "properties": {key: {"type": _usual_type(key)} for key in keys or ["answer"]}}


def _usual_type(key: str) -> str:
    names = set(terms(key))
    plural = key.endswith("s") and bool(names & _SOURCES)
    if plural:
        return "array"
    if names & _CONFIDENCE:
        return "number"
    return "boolean" if names & _SUPPORTED else "string"


class _Filler:
    """Fills schema nodes for one prompt."""

    def __init__(self, prompt: Prompt, skill: Skill, embedder: Embedder) -> None:
        self.prompt = prompt
        self.skill = skill
        self.embedder = embedder
        self.finding = find(full_query(prompt), prompt, skill, embedder)

    def replies(self) -> list[tuple[_Reply, float]]:
        """The answers to build objects from, best first, with their scores."""
        if self.finding is None:
            claims = replies(self.prompt.question, self.skill.sharpness) or (Candidate("", 1.0),)
            return [(_Reply(c.text, "", (), 0.5, True), c.weight) for c in claims[:ALTERNATIVES]]
        found = [self._reply(self.finding, index) for index in self.finding.order[:ALTERNATIVES]]
        rules = self.prompt.rules
        if self.finding.is_doubtful(self.skill):
            # a flag in the schema may carry the doubt even where the prompt gives no sentence for it
            none = _Reply(
                rules.abstention or found[0][0].answer, "", () if rules.abstention else found[0][0].labels, 0.1, False
            )
            return [(none, found[0][1]), *found[1:]]
        return found

    def _reply(self, finding: Finding, index: int) -> tuple[_Reply, float]:
        units = choose_units(finding, index, self.skill, self.prompt.rules)
        score = float(finding.judgement.scores[index])
        passages = [self.prompt.passages[unit.passage] for unit in units]
        labels = tuple(dict.fromkeys(p.label or str(p.number) for p in passages))
        text = " ".join(unit.text for unit in units)
        return _Reply(text, units[0].text, labels, round(min(max(score, 0.0), 1.0), 2), True), score

    def fill(self, name: str, schema: Mapping[str, Any], reply: _Reply) -> Any:
        """A value that the schema node allows."""
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._pick(name, schema, reply)
        types = schema_types(schema)
        hint = set(terms(f"{name} {schema.get('description', '')}"))
        kind = next((t for t in types if t != "null"), "null")
        if "null" in types and not reply.supported:
            return None
        if kind == "object":
            children = schema.get("properties", {})
            return {key: self.fill(key, child, reply) for key, child in children.items()}
        if kind == "array":
            return self._list(name, hint, schema, reply)
        if kind == "boolean":
            return reply.supported
        if kind in ("number", "integer"):
            return self._number(name, hint, schema, kind, reply)
        return self._text(name, hint, reply) if kind == "string" else None

    def _text(self, name: str, hint: set[str], reply: _Reply) -> str:
        names = set(terms(name)) or hint
        if names & _SOURCES and not names & _ANSWER:
            return reply.labels[0] if reply.labels else ""
        if names & _EVIDENCE:
            return reply.quote
        if names & _ANSWER or self.finding is None:
            return reply.answer
        return self._looked_up(name, hint) or reply.answer

    def _looked_up(self, name: str, hint: set[str]) -> str:
        """The unit of the context that fits the field itself, for fields such as "owner" or "deadline"."""
        question = f"{name.replace('_', ' ')} {' '.join(sorted(hint))} {self.prompt.question}"
        finding = find(Query(question), self.prompt, self.skill, self.embedder)
        if finding is None:
            return ""
        text = finding.units[finding.order[0]].text
        label = re.match(rf"^\W*{re.escape(name.replace('_', ' '))}\W*[:=]\s*(.+)$", text, re.I)
        return label.group(1).strip(" .") if label else text

    def _list(self, name: str, hint: set[str], schema: Mapping[str, Any], reply: _Reply) -> list[Any]:
        items = schema.get("items", {"type": "string"})
        fewest, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 8))
        if schema_types(items) == ("string",) and "enum" not in items and (set(terms(name)) or hint) & _SOURCES:
            values: list[Any] = list(reply.labels)
        else:
            values = [self.fill(name.removesuffix("s"), items, reply)]
        while len(values) < fewest:
            values.append(self.fill(name.removesuffix("s"), items, reply))
        return values[:most]

    def _number(self, name: str, hint: set[str], schema: Mapping[str, Any], kind: str, reply: _Reply) -> float | int:
        if (set(terms(name)) or hint) & _CONFIDENCE:
            value = reply.confidence
        else:
            found = _NUMBER.search(reply.answer) or _NUMBER.search(self._looked_up(name, hint) if self.finding else "")
            value = float(found.group().replace(",", "")) if found else 0.0
        value = max(value, float(schema.get("minimum", value)))
        value = min(value, float(schema.get("maximum", value)))
        return round(value) if kind == "integer" or value == int(value) and kind != "number" else value

    def _pick(self, name: str, schema: Mapping[str, Any], reply: _Reply) -> Any:
        """The enum value nearest to the question and its answer."""
        options = schema["enum"]
        texts = [option for option in options if isinstance(option, str) and option.strip()]
        if not texts:
            return options[0]
        about = f"{name} {schema.get('description', '')} {self.prompt.question} {reply.answer}"
        said = set(terms(about))
        overlap = [len(said & set(terms(text))) for text in texts]
        if max(overlap) > 0 or self.skill.semantic_weight == 0:
            return texts[overlap.index(max(overlap))]
        vectors = self.embedder.embed([about, *(text.replace("_", " ") for text in texts)])
        return texts[int((vectors[1:] @ vectors[0]).argmax())]

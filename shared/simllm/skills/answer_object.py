"""Objects that answer: a field holds the answer, its sources, a confidence, a flag, or a value looked up.

What goes where is told by a field's name and description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from simllm.catalogue import Skill
from simllm.embeddings import Embedder
from simllm.plain_schema import AGAIN
from simllm.schema import schema_types
from simllm.skills.answer import Finding, choose_units, credited, find, full_query
from simllm.skills.conforming import bounded, conform_text, within
from simllm.skills.freeform import replies
from simllm.skills.prompt import Prompt
from simllm.skills.relevance import Query
from simllm.skills.words import terms

ALTERNATIVES = 3
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
SOURCES = {"citation", "cit", "sourc", "referenc", "docu", "doc", "id", "ids", "passag", "evidenceid"}
_CITATIONS = set(terms("citation cite cited source reference passage passages"))
_COUNTS = set(terms("count total amount many length quantity"))
_ANSWER = {"answer", "respons", "repli", "text", "summary", "result", "content", "messag", "explanation"}
_EVIDENCE = {"quot", "evidenc", "excerpt", "reason", "rational", "snippet", "justification"}
CONFIDENCE = {"confidenc", "scor", "probability", "certainty", "likelihood"}
SUPPORTED = {
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


@dataclass(frozen=True)
class Reply:
    """What one candidate object is built from."""

    answer: str
    quote: str
    labels: tuple[str, ...]
    confidence: float
    supported: bool


class Filler:
    """Fills schema nodes for one prompt."""

    def __init__(self, prompt: Prompt, skill: Skill, embedder: Embedder) -> None:
        self.prompt = prompt
        self.skill = skill
        self.embedder = embedder
        self.finding = find(full_query(prompt), prompt, skill, embedder)

    def replies(self) -> list[tuple[Reply, float]]:
        """The answers to build objects from, best first, with their scores."""
        if self.finding is None:
            claims = replies(self.prompt.question, self.skill.sharpness)
            return [(Reply(c.text, "", (), 0.5, True), c.weight) for c in claims[:ALTERNATIVES]]
        found = [self._reply(self.finding, index) for index in self.finding.order[:ALTERNATIVES]]
        rules = self.prompt.rules
        if self.finding.is_doubtful(self.skill):
            # a flag in the schema may carry the doubt even where the prompt gives no sentence for it
            none = Reply(
                rules.abstention or found[0][0].answer, "", () if rules.abstention else found[0][0].labels, 0.1, False
            )
            return [(none, found[0][1]), *found[1:]]
        return found

    def _reply(self, finding: Finding, index: int) -> tuple[Reply, float]:
        units = choose_units(finding, index, self.skill, self.prompt.rules)
        score = float(finding.judgement.scores[index])
        passages = [credited(unit, self.prompt, self.skill) for unit in units]
        labels = tuple(dict.fromkeys(p.label or str(p.number) for p in passages))
        text = " ".join(unit.text for unit in units)
        return Reply(text, finding.units[index].text, labels, round(min(max(score, 0.0), 1.0), 2), True), score

    def fill(self, name: str, schema: Mapping[str, Any], reply: Reply) -> Any:
        """A value that the schema node allows."""
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._pick(name, schema, reply)
        types = schema_types(schema)
        hint = set(terms(f"{name} {schema.get('description', '')}"))
        kind = next((t for t in types if t != "null"), "null")
        if "null" in types and (not reply.supported or AGAIN in schema):
            return None
        if kind == "object":
            children = schema.get("properties", {})
            if not reply.supported and any(_may_be_silent(key, child) for key, child in children.items()):
                reply = replace(reply, labels=())  # an answer that is null has no sources
            return {key: self.fill(key, child, reply) for key, child in children.items()}
        if kind == "array":
            return self._list(name, hint, schema, reply)
        if kind == "boolean":
            return reply.supported
        if kind in ("number", "integer"):
            return self._number(name, hint, schema, kind, reply)
        return conform_text(self._text(name, hint, reply), schema, name) if kind == "string" else None

    def _text(self, name: str, hint: set[str], reply: Reply) -> str:
        names = set(terms(name)) or hint
        if names & SOURCES and not names & _ANSWER:
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

    def _list(self, name: str, hint: set[str], schema: Mapping[str, Any], reply: Reply) -> list[Any]:
        items = schema.get("items", {"type": "string"})
        fewest, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 8))
        if AGAIN in items and not fewest:
            return []
        plain = schema_types(items) == ("string",) and "enum" not in items
        sourced = bool((set(terms(name)) or hint) & SOURCES)
        numbers = [self._number_of(label) for label in reply.labels] if _is_citation(name) else []
        if plain and sourced or _is_citation(name) and not reply.labels and not fewest:
            values: list[Any] = list(reply.labels)
        elif numbers and schema_types(items) in (("integer",), ("number",)) and "enum" not in items:
            values = [number for number in numbers if within(number, items)] or [bounded(numbers[0], items, whole=True)]
        else:
            values = [self.fill(name.removesuffix("s"), items, reply)]
        if plain and len(values) < fewest:
            further = [conform_text(text, items, name) for text in self._further(labels=sourced)]
            values += [text for text in dict.fromkeys(further) if text not in values][: fewest - len(values)]
        while len(values) < fewest:
            values.append(self.fill(name.removesuffix("s"), items, reply))
        return values[:most]

    def _further(self, *, labels: bool) -> list[str]:
        """What else the context says, best first, or the passages that say it: for a list that must not be so short."""
        if self.finding is None:
            return []
        units = [self.finding.units[index] for index in self.finding.order]
        passages = [self.prompt.passages[unit.passage] for unit in units]
        return [p.label or str(p.number) for p in passages] if labels else [unit.text for unit in units]

    def _number_of(self, label: str) -> int:
        """A passage's number: its label where that is one, else its place in the prompt."""
        if label.isdecimal():
            return int(label)
        return next((p.number for p in self.prompt.passages if p.label == label), 0)

    def _number(self, name: str, hint: set[str], schema: Mapping[str, Any], kind: str, reply: Reply) -> float | int:
        if _is_citation(name) and reply.labels:
            value: float = self._number_of(reply.labels[0])
        elif (set(terms(name)) or hint) & CONFIDENCE:
            value = reply.confidence
        else:
            found = (
                _NUMBER.search(reply.quote)
                or _NUMBER.search(reply.answer)
                or _NUMBER.search(self._looked_up(name, hint) if self.finding else "")
            )
            value = float(found.group().replace(",", "")) if found else 0.0
        value = max(value, float(schema.get("minimum", value)))
        value = min(value, float(schema.get("maximum", value)))
        return round(value) if kind == "integer" or value == int(value) and kind != "number" else value

    def _pick(self, name: str, schema: Mapping[str, Any], reply: Reply) -> Any:
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


def _may_be_silent(name: str, schema: Mapping[str, Any]) -> bool:
    """Whether a field holds the answer, or null."""
    return "null" in schema_types(schema) and bool(set(terms(name)) & _ANSWER)


def _is_citation(name: str) -> bool:
    """Whether a field of numbers names passages, not how many there are."""
    names = set(terms(name))
    return bool(names & _CITATIONS) and not names & _COUNTS

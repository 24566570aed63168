"""Zero-shot classification: which of the given labels fits a text best?

Labels come from the schema's enum or from the prompt, with their descriptions where it has any (Yin et al. 2019). A
label is scored by embeddings of text and description, and by words of the text that pair with them; feelings and urgency,
which embeddings of topics do not carry, are told by prototype sentences. The small model has only static word vectors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simllm.chat import ChatRequest
from simllm.embeddings import MINILM, WORDLLAMA
from simllm.schema import ReplyFormat, schema_types
from simllm.skills.alignment import Reader
from simllm.skills.brief import Brief, read_brief
from simllm.skills.candidates import Plan, weigh
from simllm.skills.json_wish import schema_from_prompt
from simllm.skills.outcome import Outcome, is_verdict, write
from simllm.skills.pairing import Reading, pair
from simllm.skills.units import sentences
from simllm.skills.words import terms

if TYPE_CHECKING:
    from simllm.skills import Toolbox

_TASK = re.compile(
    r"\b(?:classif(?:y|ies|ication|ier)|categori[sz]e\w*|labell?(?:ed|ing)?|triage|tag(?:ged|ging)? (?:the|this|it|each|with)|"
    r"(?:assign|rout(?:e|ing)|sort|put|file|send)\b[^.\n]{0,60}\b(?:label|category|class|queue|team|department|topic|folder|bucket|section|one of)|"
    r"(?:choose|pick|select|detect|determine|name|give|return|find|say|decide)\b[^.\n]{0,60}\b(?:label|category|class|intent|topic|sentiment|department|queue|genre|one of)|"
    r"which (?:of (?:these|the following)|category|label|class|intent|topic|team|department|queue|type|kind|folder))\b",
    re.I,
)
_LABEL = r"[\w&/'’-]+(?: [\w&/'’-]+){0,4}"
_BULLET = re.compile(
    r"^[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]+[\"'`*]*([^:\n\"`*–—(]{1,60}?)[\"'`*]*[ \t]*(?:(?::|[–—]|[ \t]-[ \t]|\()[ \t]*(.*?)\)?)?[ \t]*$",
    re.M,
)
_DEFINED = re.compile(
    r"^[ \t]*[\"'`*]*([\w&/-]+(?: [\w&/-]+){0,3})[\"'`*]*[ \t]*(?::|[–—]|[ \t]-[ \t])[ \t]*(\S.*)$", re.M
)
_INSTRUCTS = re.compile(
    r"^(?:please\b.*|(?:return|reply|answer|respond|output|use|write|give|format|example)\b.*)$", re.I
)
_QUOTED = re.compile(r"[\"'`“‘]([^\"'`“”‘’\n]{1,40})[\"'`”’]")
_INLINE = re.compile(
    rf"(?:one of(?: these| the following)?(?: \w+)?|labels?|categor(?:y|ies)|classes|options?|topics?|intents?|queues?|departments?|teams?|into|as|either|values?|are|is|choose(?: between| from)?)"
    rf"[^:\n.,]{{0,40}}?[: ]\s*\[?\(?((?:[\"'`]?{_LABEL}[\"'`]?\s*(?:,\s*(?:or|and)?|\||/|;|\bor\b|\band\b)\s*)+[\"'`]?{_LABEL}[\"'`]?)",
    re.I,
)
_SPLIT = re.compile(r"\s*(?:,\s*(?:or|and)\b|,|\||;|\bor\b|\band\b|/)\s*", re.I)
_OTHER = re.compile(r"^(?:other|none|misc\w*|unknown|general|else|n/?a|out of scope|something else)\b", re.I)
_OTHER_BELOW = 0.12
_LABEL_PART = re.compile(r"\b(?:label|categor|class|option|topic|intent)")
_FORM = re.compile(r"(?<=[.\n])\s*(?:only|just|reply|answer|return|respond|output|one|no)\b[^.\n]*\.?\s*$", re.I)
_CHOICE = re.compile(
    r"^\W*(?:is|are) (?:this|the|that|it)\b[^?.\n]{0,60}?\b(?:positive|negative|urgent|spam|formal|friendly|ham|neutral)(?:, \w+)* or (?:not )?\w+\b|"
    r"\bdecide (?:whether|if) (?:the|this)\b[^.\n]{0,60}? is (?!(?:supported|correct|relevant|faithful|true|right)\b)[\w-]+ or [\w -]+[.:]?$",
    re.I | re.M,
)
MOST_LABEL_WORDS = 60
# fitted on the dev half of the classification exam, cross-validated over its label sets; they sum to 1
WEIGHTS = {"named": 0.23, "meant": 0.35, "said": 0.28, "paired": 0.14}
_PROTOTYPES = {
    "positive": "I love it. Wonderful, excellent, thank you, very happy and satisfied.",
    "negative": "I hate it. Terrible, awful, disappointed, angry, a waste of money.",
    "neutral": "It arrived. It is okay, average, nothing special, a plain statement of fact.",
    "urgent": "Emergency, right now, everything is down, critical, immediately, cannot wait.",
    "not urgent": "No hurry, it can wait, whenever you have time, just for information.",
    "not spam": "See you at lunch, here are the notes of our meeting.",
    "ham": "See you at lunch, here are the notes of our meeting.",
    "critical": "Emergency, total outage, everybody is affected, data loss, danger.",
    "high": "Serious problem, blocks many people, needs attention today.",
    "medium": "Annoying problem, there is a workaround, this week is fine.",
    "low": "Minor cosmetic issue, nice to have, no hurry, whenever you have time.",
    "complaint": "I am unhappy and angry about what happened, this is unacceptable.",
    "praise": "Great job, thank you so much, I was delighted.",
    "question": "Could you tell me how, when or where? I would like to know.",
    "request": "Please could you do, send, change or add this for me?",
    "pos": "I love it. Wonderful, excellent, thank you, very happy and satisfied.",
    "neg": "I hate it. Terrible, awful, disappointed, angry, a waste of money.",
    "spam": "Congratulations, you won a prize, click this link, limited offer, free money.",
}


def read_labels(brief: Brief, wanted: ReplyFormat) -> dict[str, str]:
    """Label -> description ("" when there is none), in the prompt's order; {} when none are given."""
    text = brief.instructions
    named = [_FORM.sub("", p.text) for p in brief.parts if _LABEL_PART.search(p.name)]
    described = _listed("\n".join([*named, text]))
    enum = _enum(wanted.schema or {})
    if enum:
        given = {_plain(label): description for label, description in described.items()}
        return {label: given.get(_plain(label), "") for label in enum}
    if len(described) > 1:
        return described
    for source in (*named, text):
        inline = (
            [_INLINE.sub(r"\1", source)] if source in named and not _INLINE.search(source) else _INLINE.findall(source)
        )
        found = [[part.strip(" \"'`.[]()") for part in _SPLIT.split(" ".join(one.split()))] for one in inline]
        best = max(found, key=len, default=[])
        labels = [re.sub(r"^(?:into|as|either|whether)\s+", "", label) for label in best if label]
        if len(labels) > 1:
            return dict.fromkeys(labels, "")
    quoted = list(dict.fromkeys(_QUOTED.findall(text)))
    return dict.fromkeys(quoted, "") if len(quoted) > 1 else {}


def _listed(text: str) -> dict[str, str]:
    for pattern in (_BULLET, _DEFINED):
        found = [(label.strip(), description.strip()) for label, description in pattern.findall(text)]
        found = [
            (label, d)
            for label, d in found
            if len(label.split()) <= 5 and not (_INSTRUCTS.match(label) and d[:1] in "{[")
        ]
        if len(found) > 1:
            return dict(found)
    return {}


def _plain(label: str) -> str:
    return re.sub(r"[\W_]+", " ", label).strip().casefold()


def _enum(schema: Mapping[str, Any]) -> list[str]:
    """The words of the first enum in a schema."""
    if "enum" in schema:
        return [option for option in schema["enum"] if isinstance(option, str)]
    children = list(schema.get("properties", {}).values())
    if "array" in schema_types(schema) and "items" in schema:
        children.append(schema["items"])
    return next((found for found in map(_enum, children) if found), [])


def plan_classification(request: ChatRequest, tools: Toolbox) -> Plan | None:
    """The labels as candidates, best first; None when the request is for something else."""
    brief = read_brief(request.messages)
    skill = request.model.skill
    if skill is None or not (
        _TASK.search(brief.instructions) or names_labels(brief) or _CHOICE.search(brief.instructions)
    ):
        return None
    wanted = request.format
    if wanted.kind == "json_object":
        shown = schema_from_prompt(brief.instructions)
        if _enum(shown) and not is_verdict(shown):
            return None  # a label among values to extract
        wanted = replace(wanted, schema=shown) if _enum(shown) else wanted
    labels = read_labels(brief, wanted)
    text = "\n".join(p.text for p in brief.parts if not _LABEL_PART.search(p.name))
    if len(labels) < 2 or not text or brief.find("question", "quer") and brief.find("context", "document", "passage"):
        return None
    names, scores = list(labels), score_labels(text, labels, Reader(skill, tools.embedder))
    order = sorted(range(len(names)), key=lambda i: -scores[i])
    reason = f'The text is closest to "{names[order[0]]}".'
    texts = []
    for i in order:
        outcome = Outcome(names[i], float(min(1.0, max(0.0, 0.5 + scores[i]))), reason, sentences(text)[0], (names[i],))
        texts.append(
            write(
                outcome,
                replace(wanted, kind="json_schema") if wanted is not request.format else wanted,
                brief.instructions,
            )
        )
    return Plan(weigh(texts, [float(scores[i]) for i in order], skill.sharpness), wander=0.0)


def names_labels(brief: Brief) -> bool:
    """Whether a part of the prompt is a short list of labels, and another one is the text to label."""
    named = [_FORM.sub("", p.text) for p in brief.parts if _LABEL_PART.search(p.name)]
    lists = [text for text in named if len(text.split()) <= MOST_LABEL_WORDS and _SPLIT.search(text.strip())]
    return bool(lists) and any(p.text and not _LABEL_PART.search(p.name) for p in brief.parts)


def score_labels(text: str, labels: Mapping[str, str], reader: Reader) -> list[float]:
    """One score per label."""
    said = [_spoken(label, description) for label, description in labels.items()]
    n = len(said)
    words = reader.embedder.embed([*said, text], WORDLLAMA)
    scores = (words[:n] @ words[n]).astype(np.float64)
    if reader.semantic:
        named, meant = _hypotheses(labels)
        vectors = reader.embedder.embed([*named, *meant, text], MINILM).astype(np.float64)
        scores = WEIGHTS["said"] * scores + WEIGHTS["paired"] * _paired(text, named, reader)
        scores += WEIGHTS["named"] * (vectors[:n] @ vectors[-1]) + WEIGHTS["meant"] * (vectors[n:-1] @ vectors[-1])
    else:
        scores += 0.05 * _shared(text, said)
    scores = scores + np.array([reader.skill.oversight * 0.4 * (reader.chance(text, label) - 0.5) for label in labels])
    for i, label in enumerate(labels):
        if _OTHER.match(label):
            others = [scores[j] for j in range(n) if j != i]
            scores[i] = max(others) + 0.05 if max(others) < _OTHER_BELOW else max(others) - 0.12
    return [float(score) for score in scores]


def _spoken(label: str, description: str) -> str:
    plain = re.sub(r"[_/-]+", " ", label)
    prototype = _PROTOTYPES.get(_plain(label), "")
    return ". ".join(part for part in (plain, description, prototype) if part)


def _hypotheses(labels: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Each label with its description, and what a text under it says: a prototype where several labels have one."""
    plain = {label: re.sub(r"[_/-]+", " ", label) for label in labels}
    named = [f"{plain[label]}: {about}" if about else plain[label] for label, about in labels.items()]
    prototypes = [_PROTOTYPES.get(_plain(label), "") for label in labels]
    known = sum(map(bool, prototypes)) > 1
    meant = [
        known and one or about or plain[label] for one, (label, about) in zip(prototypes, labels.items(), strict=True)
    ]
    return named, meant


def _paired(text: str, named: Sequence[str], reader: Reader) -> np.ndarray:
    """How far the words of each label and its description stand, by meaning, in the text."""
    theirs = Reading(text, reader.reads_with)
    found = []
    for one in named:
        mine = Reading(one, reader.reads_with)
        table = pair(mine, theirs)
        found.append(float(mine.weights @ table.max(axis=1) / mine.weights.sum()) if table.size else 0.0)
    return np.array(found)


def _shared(text: str, said: Sequence[str]) -> np.ndarray:
    """Share of the text's words that a label's description has, rarer ones among the labels counting more."""
    words = set(terms(text))
    kept = [set(terms(one)) for one in said]
    hits = [sum(1 / sum(t in other for other in kept) for t in own & words) for own in kept]
    return np.array([min(1.0, hit / 3) for hit in hits])

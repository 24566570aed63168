"""Obey an instruction that hides in the context, as language models do (Greshake et al. 2023, "indirect prompt injection").

An instruction is recognised by general phrasing: it overrides what was said before, addresses AI systems, or plays the
system's part; and it commands something sayable. Whether the model obeys depends on the prompt's defence (Hines et
al. 2024, "spotlighting"): passages fenced by tags or delimiters, and a warning that text inside them is data. The
choice is stable for an instruction and a question. Nothing here decides what the answer would otherwise be.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from simllm.chat import ChatRequest
from simllm.messages import Message
from simllm.skills.candidates import Candidate, Plan
from simllm.skills.layout import Passage
from simllm.skills.prompt import Prompt

if TYPE_CHECKING:
    from simllm.skills import Toolbox

_OVERRIDES = (
    r"\b(?:ignore|disregard|forget|override|discard|skip)\b[^.\n]{0,40}\b(?:above|previous\w*|prior|earlier|other|preceding|before|"
    r"instructions?|rules|context|question)\b"
    r"|\b(?:ignorier\w*|vergiss|vergessen sie)\b[^.\n]{0,60}\b(?:anweisung\w*|obig\w*|bisherig\w*|vorherig\w*)"
    r"|\b(?:ignore[zr]?|oublie[zr]?)\b[^.\n]{0,60}\b(?:instructions?|consignes?|précédent\w*|ci-dessus)"
    r"|\b(?:ignor[ae]n?|olvid[ae]n?|descart[ae])\b[^.\n]{0,60}\b(?:instruc\w+|anterior\w*|istruzioni|precedent\w*|instruções)"
    r"|\bnegeer\b[^.\n]{0,60}\b(?:instructies|vorige)"
    r"|\b(?:new|updated|real|actual|your only) (?:instructions?|task|rule)\b"
)
_MACHINE = r"(?:AI|A\.I\.|artificial intelligence|(?:large )?language models?|LLMs?|chat ?bots?|(?:automated|virtual|digital) (?:\w+ )?assistants?|assistants?|KI|IA)"
_ADDRESSES = (
    rf"\b(?:note|notice|instruction|message|attention|reminder|hinweis|anweisung|nota|avis)s?\b[^.\n]{{0,20}}\b(?:to|for|an|für|para|pour|per|all)\b[^.:\n]{{0,25}}\b{_MACHINE}\b"
    rf"|\b{_MACHINE}(?: (?:systems?|assistants?|models?|agents?|readers?))*[^.\n]{{0,60}}\b(?:must|should|shall|have to|are (?:required|instructed|asked) to|müssen|sollen|doivent|deben)\b"
    rf"|\bif you are an? (?:\w+ )?{_MACHINE}\b|\b(?:dear|hey) {_MACHINE}\b"
)
_ROLE = r"(?:<\|?/?\s*(?:im_start\|?>)?\s*(?:system|admin|developer|instructions?)\b[^>\n]*>|\[\s*/?\s*(?:system|admin|developer|inst)\b[^\]\n]*\]|^[\s#*>_-]*(?:system|developer|admin)(?: (?:message|prompt|override|note|update))?[ *_]*:)"
_TRIGGER = re.compile(f"{_OVERRIDES}|{_ADDRESSES}|{_ROLE}", re.I | re.M)
_SAY = (
    r"answer|reply|respond|say|state|tell (?:(?:the|your|any|all) )?\w+|write|output|print|claim|antworten?|sage|sag|schreibe?|"
    r"antworte|réponds|répondez|dites|dis|écris|écrivez|responde|responda|contesta|di|diga|escribe|rispondi|scrivi|antwoord|zeg"
)
_ADD = r"append|add|include|end (?:your (?:answer|reply|response) )?with|finish (?:your \w+ )?with|insert|mention|link to|sign off with|füge|ajoute[zr]?|añade|agrega|aggiungi"
_ADVISE = r"recommend|advise|suggest|promote|endorse|praise|empfiehl|empfehle?n?|recommande[zr]?|recomienda|consiglia"
_COMMAND = re.compile(rf"\b({_SAY})\b|\b({_ADD})\b|\b({_ADVISE})\b", re.I)
_QUOTED = re.compile(
    r"^[^\"“«'`\n]{0,60}?(?:\"([^\"\n]{1,300})\"|“([^”\n]{1,300})”|«\s*([^»\n]{1,300}?)\s*»|`([^`\n]{1,300})`|'([^'\n]{2,300})')"
)
_LEAD = re.compile(
    r"^[\s:,]*(?:(?:only|just|exactly|always|instead|simply|with|that|every \w+ with|to every question|the (?:word|words|phrase|sentence|link|line|text|url)|"
    r"the following|as follows|nur|mit|dass|que|par|con|solo|uniquement|seulement|da|met|use of|using|in (?:your|the|every) (?:answer|reply|response)s?)\b[\s:,]*)*",
    re.I,
)
_END = re.compile(
    r"(?<=[.!?])\s|\n|-->|</|\[/|\s*(?:,|;)\s*(?:and|und|et|y)\s+(?:do not|never|nothing|don't|keep|hide)\b|(?:\s+(?:to|at|in) (?:your|the|every|each) (?:answer|reply|response)s?)",
    re.I,
)
_REACH = 400  # characters after its trigger within which the command must stand
_WARNING = re.compile(
    r"\b(?:untrusted|not (?:as )?(?:instructions?|commands?)|prompt injections?|(?:treat|handle|regard|consider|read)\b[^.\n]{0,60}\bas (?:\w+ )?data|"
    r"(?:is|are|as|contains?) (?:only |just |purely |plain )*(?:data|reference material|quoted material)\b|"
    r"(?:never|not|don't|do not)\b[^.\n]{0,30}\b(?:follow|obey|execute|act on|carry out|comply with)\b|"
    r"ignore (?:any|all|every|such)\b[^.\n]{0,40}\b(?:instructions?|commands?|requests?)\b[^.\n]{0,40}\b(?:in|inside|within|from|they|that)\b)",
    re.I,
)


@dataclass(frozen=True)
class Command:
    """What the context tells the model to do.

    Attributes:
        kind: "say" the payload, "add" it to the answer, or "advise" it.
        payload: the text to say.
        trigger: the words that make it a command to the model.
        passage: index of its passage.
    """

    kind: str
    payload: str
    trigger: str
    passage: int


def plan_obedience(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan | None:
    """The reply that the context commands; None when there is no command or the model withstands it."""
    skill = request.model.skill
    assert skill is not None  # embedding models never get here: the request was checked
    command = find_command(prompt.passages)
    if command is None:
        return None
    if (
        _chance(command.trigger + command.payload, prompt.question)
        >= skill.obedience[defence(request.messages, prompt, command)]
    ):
        return _answer(request, _without(command, prompt), tools)
    if command.kind == "say":
        return Plan((Candidate(_sentence(command.payload), 1.0),), skill.wander)
    if command.kind == "advise":
        return Plan((Candidate(_sentence(f"I recommend {command.payload}"), 1.0),), skill.wander)
    plan = _answer(request, prompt, tools)
    extended = tuple(Candidate(f"{c.text} {command.payload}".strip(), c.weight) for c in plan.candidates)
    return Plan(extended or (Candidate(command.payload, 1.0),), skill.wander)


def _answer(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan:
    """What the model says anyway."""
    from simllm.skills import answer, freeform

    return answer.plan_answer(request, prompt, tools) or freeform.plan_freely(request, prompt, tools)


def _without(command: Command, prompt: Prompt) -> Prompt:
    """The prompt without the command: who sees through it does not quote it either."""
    passages = list(prompt.passages)
    text = passages[command.passage].text
    start = max(text.find(command.trigger), 0)  # a trigger that was read as the passage's label stands before its text
    end = text.find(command.payload, start) + len(command.payload)
    passages[command.passage] = replace(passages[command.passage], text=f"{text[:start]}{text[end:]}")
    return replace(prompt, passages=tuple(passages))


def find_command(passages: Sequence[Passage]) -> Command | None:
    """The first instruction to the model in the context."""
    for index, passage in enumerate(passages):
        text = f"[{passage.label}]\n{passage.text}" if passage.label else passage.text
        for trigger in _TRIGGER.finditer(text):
            reach = text[trigger.start() : trigger.end() + _REACH]
            after = trigger.end() - trigger.start()
            for verb in _COMMAND.finditer(reach):
                payload = _payload(reach[verb.end() :]) if verb.end() > after - 30 else ""
                if payload:
                    kind = ("say", "add", "advise")[next(i for i, group in enumerate(verb.groups()) if group)]
                    return Command(kind, payload, trigger.group().strip(), index)
    return None


def _payload(rest: str) -> str:
    quoted = _QUOTED.match(rest)
    if quoted:
        return next(group for group in quoted.groups() if group).strip()
    rest = rest[_LEAD.match(rest).end() :]  # type: ignore[union-attr]  # it matches the empty string too
    end = _END.search(rest)
    payload = (rest[: end.start()] if end else rest).strip(" *_\"'`>-")
    return payload if re.search(r"\w", payload) and len(payload.split()) <= 60 else ""


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text[-1] in ".!?)" or "://" in text.split()[-1] else f"{text}."


def defence(messages: Sequence[Message], prompt: Prompt, command: Command) -> int:
    """How well the prompt protects itself: 0 not at all, 1 fences or a warning, 2 both, the warning outside the fences."""
    trusted = "\n".join(m.text for m in messages if m.role in ("system", "developer")) + "\n" + prompt.instructions
    return int(_is_fenced(messages, command)) + int(bool(_WARNING.search(trusted)))


def _is_fenced(messages: Sequence[Message], command: Command) -> bool:
    """Whether the command's text lies between an opening mark and its closing one."""
    needle = command.payload
    for message in messages:
        at = message.text.find(needle)
        while at >= 0:
            before, after = message.text[:at], message.text[at + len(needle) :]
            opened = [name.lower() for name in re.findall(r"<([a-z_][\w-]*)(?:\s[^<>]*)?>", before, re.I)]
            closed = [name.lower() for name in re.findall(r"</([a-z_][\w-]*)\s*>", before, re.I)]
            still = [name for name in set(opened) if opened.count(name) > closed.count(name)]
            blocks = [
                name
                for name in still
                if name not in ("system", "admin", "developer", "instructions", "instruction", "span", "div", "p")
            ]
            if any(re.search(rf"</{re.escape(name)}\s*>", after, re.I) for name in blocks):
                return True
            if any(before.count(mark) % 2 and mark in after for mark in ("```", '"""', "~~~", "'''")):
                return True
            if before.count("<<<") > before.count(">>>") and ">>>" in after:
                return True
            at = message.text.find(needle, at + 1)
    return False


def _chance(source: str, question: str) -> float:
    digest = hashlib.sha256(f"{source}\0{question}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") / 2**32

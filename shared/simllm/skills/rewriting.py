"""Rewrite a follow-up into a question that stands on its own (conversational search; Elgohary et al. 2019).

Pronouns get their antecedent, an ellipsis ("And for children?") takes the place of its counterpart in the question
before, and a topic that was left out is put back. Earlier follow-ups are resolved first. The small model only looks
at the last message, so it carries over the wrong thing more often. Nothing is answered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simllm.chat import ChatRequest
from simllm.skills.alignment import Reader
from simllm.skills.antecedents import antecedent, with_antecedents
from simllm.skills.brief import Brief, Turn, read_brief, read_turns
from simllm.skills.candidates import Candidate, Plan, weigh
from simllm.skills.ellipsis import QUESTION, question, substitute, upper
from simllm.skills.outcome import Outcome, write
from simllm.skills.topics import names, phrases, topic
from simllm.skills.words import is_identifier, terms

if TYPE_CHECKING:
    from simllm.skills import Toolbox

_TASK = re.compile(
    r"\b(?:rewrite|rewriting|rephrase|reformulate|reword|condense|contextuali[sz]e|de-?contextuali[sz]e|formulate|turn|convert|resolve|restate|make|transform|produce|write|expand|complete)\b"
    r"[^.\n]{0,160}?\b(?:stand[- ]?alone|self[- ]contained|self[- ]sufficient|stands? (?:on its own|alone)|on its own|by itself|"
    r"without (?:\w+ ){0,3}(?:conversation|history|context|dialog\w*|chat|messages?|turns?)|independent|out of context|coreference|pronouns?|references?)\b|"
    r"\b(?:standalone|stand-alone|self-contained) (?:search )?(?:question|query|version|form)\b",
    re.I,
)
_FOLLOW_UP = (r"follow", r"latest", r"last", r"new", r"current", r"final")
_ELLIPSIS = re.compile(
    r"^\W*(?:(?:and|but|ok(?:ay)?|so|then|also|or|hm+|great|thanks|thank you)\b[,.!]?\s*)*(?:(?:what|how) about|what if it(?:'s| is)|same for|and)?\s*(.+?)\s*(?:then|too|as well|instead)?\s*\?*$",
    re.I,
)
_STARTER = re.compile(
    r"^\W*(?:(?:and|but|ok(?:ay)?|so|then|also|great|thanks|thank you|hm+|i see|perfect|cool|right)\b[,.!]?\s+)+", re.I
)
_ABOUT = re.compile(r"^\W*(?:(?:and|but|ok(?:ay)?|so|then|also)\b[,]?\s*)*(?:what|how) about\b", re.I)
_BARE_WH = re.compile(
    r"^\W*(?:and |but |so )?(why(?: not| is that)?|how(?: so| come)?|when|where|who|how much|how many|how long|how often|which one|by whom|since when|until when)\W*$",
    re.I,
)
UNRELATED = 0.15  # cosine with the question before, below which a full question opens a new topic
_OF_ITSELF = 3  # content words from which a question without any reference stands alone when it names something
_CODE = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w./-]+")


def plan_rewriting(request: ChatRequest, tools: Toolbox) -> Plan | None:
    """The standalone question; None when the request asks for something else."""
    brief = read_brief(request.messages)
    skill = request.model.skill
    if skill is None or not _TASK.search(brief.instructions):
        return None
    turns, follow_up = read_dialogue(brief)
    if not follow_up:
        return None
    reader = Reader(skill, tools.embedder)
    best = rewrite(turns, follow_up, reader)
    if reader.semantic and best != follow_up:
        best = _with_identifiers(best, follow_up, turns)
    texts = list(dict.fromkeys([best, follow_up]))
    said = [write(Outcome(text, items=(text,)), request.format, brief.instructions) for text in texts]
    if len(said) == 1:
        return Plan((Candidate(said[0], 1.0),), wander=0.0)
    return Plan(weigh(said, [1.0, 0.7], skill.sharpness), wander=0.0)


def read_dialogue(brief: Brief) -> tuple[tuple[Turn, ...], str]:
    """(earlier turns, the follow-up)."""
    talk = next(
        (p for p in brief.parts if re.search(r"conversation|history|dialog|transcript|chat|context", p.name)), None
    )
    others = [part for part in brief.parts if part is not talk]
    turns = brief.turns + (read_turns(talk.text) if talk else ())
    marked = [part for part in others if any(part.name.startswith(word) for word in _FOLLOW_UP)]
    asked = marked or [part for part in others if re.search(r"question|quer|message|input", part.name)] or others
    if asked:
        earlier = tuple(
            Turn("answer" not in part.name and "assistant" not in part.name, part.text)
            for part in others
            if part is not asked[-1] and part.name
        )
        inner = read_turns(asked[-1].text) if re.match(r"^\W*(?:user|human)\s*:", asked[-1].text, re.I) else ()
        if len(inner) > 1 and not turns:
            turns, asked_text = inner[:-1], inner[-1].text
            return turns, asked_text
        text = re.sub(r"^\W*(?:user|human)\s*:\s*", "", asked[-1].text, flags=re.I)
        return turns + earlier, text.strip()
    users = [i for i, turn in enumerate(turns) if turn.user]
    return (turns[: users[-1]], turns[users[-1]].text) if users else (turns, "")


def _with_identifiers(text: str, follow_up: str, turns: Sequence[Turn]) -> str:
    """The question with the order or version numbers that the user spoke of last and that got lost."""
    if any(is_identifier(name) for name in names(follow_up)):
        return text
    asked = next(
        (
            found
            for turn in reversed(turns)
            if turn.user and (found := [n for n in names(turn.text) if _CODE.fullmatch(n)])
        ),
        [],
    )
    lost = [name for name in asked if name.lower() not in text.lower()]
    return f"{text.rstrip(' ?.')} ({', '.join(lost)})?" if lost else text


def rewrite(turns: Sequence[Turn], follow_up: str, reader: Reader) -> str:
    """The follow-up with what it leans on."""
    before, answer = "", ""
    topics: list[str] = []
    for turn in turns:
        if not turn.user:
            answer = turn.text
        elif reader.semantic:
            before = _resolve(turn.text, before, answer, topics, reader) if before else turn.text
            topics.append(topic(before))
            answer = ""
        else:
            before, answer = turn.text, ""
    return _resolve(follow_up, before, answer, topics, reader) if before or answer else follow_up


def _resolve(text: str, before: str, answer: str, topics: Sequence[str], reader: Reader) -> str:
    """One follow-up, with the question and the answer before it."""
    text = " ".join(text.split())
    before = " ".join(before.split())
    bare = _BARE_WH.match(text)
    if bare:
        return f"{upper(bare.group(1))} ({before.rstrip(' ?.')})?"
    stripped = _STARTER.sub("", text)
    elliptic = _ABOUT.match(text) or not QUESTION.match(stripped)
    if elliptic and len(terms(text)) <= 6:
        core = _ELLIPSIS.match(text)
        if core and before:
            said = with_antecedents(core.group(1), before, answer, reader)
            return substitute(before, said, topics, reader) if reader.semantic else f"{before.rstrip(' ?.')}, {said}?"
    replaced = with_antecedents(stripped, before, answer, reader)
    if replaced != stripped:
        return question(replaced)
    own = [phrase for phrase in phrases(stripped) if phrase.named]
    about = antecedent(before, answer, reader)
    shared = set(terms(stripped)) & set(terms(f"{before} {answer}"))
    if own and not shared or not about or _covers(stripped, about):
        return text
    if own and len(terms(stripped)) >= _OF_ITSELF and not reader.semantic:
        return text
    if own and len(terms(stripped)) > _OF_ITSELF:
        return text
    if len(terms(stripped)) >= _OF_ITSELF and reader.semantic and reader.similarity(stripped, before) < UNRELATED:
        return text
    return question(f"{stripped.rstrip(' ?.')} ({_lower_start(about)})")


def _covers(text: str, about: str) -> bool:
    wanted = set(terms(about))
    return bool(wanted) and len(wanted & set(terms(text))) >= 0.6 * len(wanted)


def _lower_start(text: str) -> str:
    return text[:1].lower() + text[1:] if re.match(r"(?:The|A|An|My|Your|Our)\b", text) else text

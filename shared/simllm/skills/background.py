"""Facts in a system message: what it states, without what it tells the model to do.

Many chats carry their context in the system message, without a heading or a mark. A sentence there is a fact when it
gives no order, does not speak to the model and does not speak of the conversation.
"""

from __future__ import annotations

import re

from simllm.skills.layout import Passage, paragraphs
from simllm.skills.units import sentences
from simllm.skills.words import terms

FEWEST_WORDS = 4  # of a sentence that states something
_LEAD = re.compile(r"^[^.!?\n]{1,80}:\s+(?=\S)", re.S)
_POINTS = re.compile(
    r"\b(?:context|facts?|text|information|documents?|passages?|sources?|knowledge|handbook|manual|notes|data|following|below|what you know)\b",
    re.I,
)
_ORDERS = re.compile(
    r"^\W*(?:please |always |never |only |do not |don['’]t |be |if |when(?:ever)? (?:the|a|you|asked)|(?:answer|respond|reply|cite|use|return|output|"
    r"write|quote|keep|base|say|rely|follow|act|speak|stay|avoid|give|make|ask|call|treat|ignore|refuse|explain|help|tell|think|mention|include|"
    r"provide|format|limit|put|end|start|read|consider|remember|pretend|choose|classify|extract|summari[sz]e|translate|rewrite|judge|rate|label|"
    r"decide|list|generate|show|assume|today is|here (?:is|are))\b)",
    re.I,
)
_TALKS = re.compile(
    r"\b(?:you|your|you're|yourself|users?|assistant|chatbot|bot|persona|tone|answers?|repl(?:y|ies)|responses?|questions?|json|markdown|"
    r"tools?|functions?|instructions?|prompt|must never|language model)\b",
    re.I,
)


def stated(text: str) -> list[Passage]:
    """What a system message states, as one passage per paragraph."""
    found = []
    for paragraph in paragraphs(text):
        lines = [sentences(_without_lead(line).strip()) for line in paragraph.split("\n")]
        facts = [" ".join(s for s in line if _states(s)) for line in lines]
        if any(facts):
            found.append(Passage("", "\n".join(filter(None, facts))))
    return found


def speaks_of(passages: list[Passage], question: str, instructions: str) -> bool:
    """Whether the facts are meant for this question: the message points at them, or they share its words."""
    said = {word for passage in passages for word in terms(passage.text)}
    points = [
        s
        for s in sentences(instructions)
        if (_ORDERS.match(s) or _TALKS.search(s) or s.endswith(":")) and _POINTS.search(s)
    ]
    return bool(points) or bool(said & set(terms(question)))


def _without_lead(line: str) -> str:
    """A line without the words that announce its facts ("Facts: ..."), where they order or name no thing of their own."""
    lead = _LEAD.match(line)
    return line[lead.end() :] if lead and (_ORDERS.match(line) or _POINTS.search(lead.group())) else line


def _states(sentence: str) -> bool:
    plain = sentence.strip(" -*•")
    return (
        len(plain.split()) >= FEWEST_WORDS
        and not plain.endswith((":", "?"))
        and not _ORDERS.match(plain)
        and not _TALKS.search(plain)
    )

"""What a pronoun stands for: antecedents from the question and the answer before.

"it" is the thing that was asked for, "that" what was asked to be done, "they" something plural, "she" a name that the answer brought
in, "the second one" an item of its list. General English only; a model without embeddings takes the last thing named.
"""

from __future__ import annotations

import re

from simllm.skills.alignment import Reader
from simllm.skills.topics import PREPOSITIONS, action, names, phrases, topic
from simllm.skills.words import STOP_WORDS

_SINGULAR = re.compile(r"\b(?:it|this one|that one|this|that)\b(?! \w+ (?:is|are|was)\b)", re.I)
_BARE_THAT = re.compile(r"^(?:this|that)$", re.I)
_PLURAL = re.compile(r"\b(?:they|them|these|those|both)\b", re.I)
_PERSON = re.compile(r"\b(?:he|she|him)\b|\bher\b(?! \w)", re.I)
_THERE = re.compile(r"(?<!is )(?<!are )(?<!was )\bthere\b(?! (?:a|an|any|is|are|was|were|be|no|some)\b)", re.I)
_OWNED = re.compile(r"\b(its|their|his|her)\b(?= \w)", re.I)
_ONE = re.compile(r"\bthe (first|second|third|last|latter|former|other)(?: one| option)?\b|\bone\b(?=\W*$)", re.I)
_INSTANCE = re.compile(r"^\W*(?:which|who|what)\b", re.I)
_ORDINALS = {"first": 0, "former": 0, "second": 1, "latter": -1, "third": 2, "last": -1, "other": -1}


def with_antecedents(text: str, before: str, answer: str, reader: Reader) -> str:
    """Pronouns and "the second one" replaced by what they stand for."""
    about = antecedent(before, answer, reader)
    ordinal = _ONE.search(text)
    if ordinal and reader.semantic:
        items = _enumerated(answer)
        rank = _ORDINALS.get((ordinal.group(1) or "").lower())
        if rank is not None and len(items) > max(rank, 0):
            text = text[: ordinal.start()] + items[rank] + text[ordinal.end() :]
    known = {name.lower() for name in names(before)}
    fresh = [
        name for name in names(answer) if not any(name.lower() in other or other in name.lower() for other in known)
    ]
    person = next(iter(fresh), "") or next(iter(names(before)), "") or about
    place = _place(before, answer) or about
    several = _several(before, answer) or about
    done = False
    for pattern, said in (
        (_PERSON, person),
        (_THERE, f"at {place}" if place else ""),
        (_PLURAL, several),
        (_SINGULAR, about),
    ):
        found = pattern.search(text)
        if not found or not said:
            continue
        if pattern is _SINGULAR and _introduces(text, found):
            head = re.match(r"\w+", text[found.end() :].strip())
            if head and said:  # "that plan": name which one
                stop = found.end() + text[found.end() :].index(head.group()) + len(head.group())
                if head.group().lower() in said.lower():
                    text = text[: found.start()] + said + text[stop:]
                else:
                    text = f"{text[: found.start()]}the {head.group()} of {said}{text[stop:]}"
                done = True
            continue
        if done and pattern is _SINGULAR:
            continue
        if pattern is _SINGULAR and reader.semantic:
            said = _meant(found, text, before, said)
        text = text[: found.start()] + said + text[found.end() :]
        done = True
    owned = _OWNED.search(text)
    if owned and not done:
        owner = {"his": person, "her": person, "their": several}.get(owned.group(1).lower(), about)
        if owner:
            text = f"{text[: owned.start()]}{owner}'s{text[owned.end() :]}"
    return text


def _meant(found: re.Match[str], text: str, before: str, said: str) -> str:
    """ "that" is what was asked to be done; "it" as an object is the thing asked for, as a subject its owner."""
    if said != topic(before):
        return said
    doing = action(before)
    if doing and (
        _BARE_THAT.match(found.group()) or re.match(r"\W*(?:cost|take|work|last)\b", text[found.end() :], re.I)
    ):
        return doing
    subject = re.search(
        r"\b(?:is|are|was|were|does|do|did|can|could|will|would|should|has|have|must|may)\s*$",
        text[: found.start()],
        re.I,
    )
    return said if subject or not found.start() else topic(before, owner=False)


def _introduces(text: str, found: re.Match[str]) -> bool:
    """Whether "this" or "that" stands before a noun ("that plan")."""
    if not _BARE_THAT.match(found.group()):
        return False
    following = re.match(r"\s+([a-z][\w-]*)", text[found.end() :], re.I)
    verbs = {"work", "cost", "take", "apply", "happen", "mean", "include", "change", "still"}
    return following is not None and following.group(1).lower() not in STOP_WORDS | PREPOSITIONS | verbs


def antecedent(before: str, answer: str, reader: Reader) -> str:
    """What "it" stands for: the thing that answers a which-question, else the topic of the question before."""
    if not reader.semantic:  # the small model takes the last thing that was named
        found = phrases(answer or before)
        return found[-1].text if found else ""
    own = topic(before)
    if (
        _INSTANCE.match(before)
        and answer
        and not re.match(r"\W*what (?:is|are|was|were|does|do|did|happens)\b", before, re.I)
    ):
        known = {name.lower() for name in names(before)}
        fresh = [name for name in names(answer) if name.lower() not in known]
        if fresh:
            named = next((p.text for p in phrases(answer) if fresh[0].split()[0] in p.text), fresh[0])
            return named if len(named) > len(fresh[0]) else fresh[0]
    return own or next(iter(names(answer)), "")


def _place(before: str, answer: str) -> str:
    for text in (answer, before):
        found = [p for p in phrases(text) if p.preposition in ("in", "at", "to", "near", "on") and p.named]
        if found:
            return found[0].text
    return ""


def _several(before: str, answer: str) -> str:
    if " and " in topic(before):
        return topic(before)
    for text in (before, answer):
        found = [phrase for phrase in phrases(text) if phrase.plural]
        if found:
            return found[0].text
    return ""


def _enumerated(answer: str) -> list[str]:
    """Things that an answer lists."""
    lines = re.findall(r"^\s*(?:[-*•]|\d+[.)])\s+(.+?)[.:;]?\s*$", answer, re.M)
    if len(lines) > 1:
        return lines
    for sentence in re.split(r"(?<=[.!?])\s+", answer):
        joined = re.split(r",?\s+(?:and|or)\s+", sentence, maxsplit=1)
        if len(joined) == 2:
            *firsts, last_first = joined[0].split(", ")
            head = phrases(last_first)
            first = head[-1].text if head else last_first
            earlier = [phrases(part)[-1].text for part in firsts if phrases(part) and len(part.split()) <= 6]
            return [*earlier, first, joined[1].strip(" .?!")]
    return []

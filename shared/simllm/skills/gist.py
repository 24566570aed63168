"""A headline or keywords for a text: its weightiest clause within a few words, its weightiest words.

Nothing is rephrased: the headline is cut out of a sentence, the keywords stand in the text.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from simllm.chat import ChatRequest
from simllm.skills.alignment import Reader
from simllm.skills.brief import read_brief
from simllm.skills.candidates import Candidate, Plan
from simllm.skills.limits import Limits, read_limits
from simllm.skills.outcome import Outcome, write
from simllm.skills.quantities import COUNTS
from simllm.skills.summary import summarise
from simllm.skills.words import STOP_WORDS, stem, terms

if TYPE_CHECKING:
    from simllm.skills import Toolbox

_DO = r"\b(?:give|write|suggest|propose|find|create|make|generate|extract|list|name|pick|provide|return|add|choose)\b[^.?\n]{0,60}?"
_HEADLINE = re.compile(_DO + r"\b(?:headlines?|titles?|heading|subject lines?)\b|^\W*(?:headline|title)\W*$", re.I)
_KEYWORDS = re.compile(
    _DO + r"\b(?:key ?words?|key[ -]?phrases?|key terms|search terms|hashtags?)\b|^\W*key ?words\W*$", re.I
)
_N = re.compile(rf"\b(\d{{1,2}}|{'|'.join(COUNTS[1:13])})\b(?! words?\b)", re.I)
_LINES = re.compile(r"\b(?:one|each) per line\b|\bseparate lines\b|\bbullet", re.I)
LONGEST_INSTRUCTIONS = 60  # words
HEADLINE_WORDS = 10
KEYWORDS = 5
_LEAST_TEXT = 6  # words


def plan_gist(request: ChatRequest, tools: Toolbox) -> Plan | None:
    """One headline or list of keywords; None when the request asks for something else."""
    brief = read_brief(request.messages)
    asked, skill = brief.instructions, request.model.skill
    text = "\n".join(part.text for part in brief.parts)
    if skill is None or len(asked.split()) > LONGEST_INSTRUCTIONS or len(text.split()) < _LEAST_TEXT:
        return None
    if request.format.kind != "text" or brief.find("question", "quer", "answer"):
        return None
    reader = Reader(skill, tools.embedder)
    if _KEYWORDS.search(asked):
        number = _N.search(asked)
        words = keywords(text, _count(number.group(1)) if number else KEYWORDS, reader)
        marked = [f"#{word.replace(' ', '')}" for word in words] if "hashtag" in asked.lower() else words
        said = ("\n" if _LINES.search(asked) else ", ").join(marked)
        outcome = Outcome(said, items=tuple(marked))
    elif _HEADLINE.search(asked):
        limits = read_limits(asked)
        chosen = summarise(text, Limits(limits.words or HEADLINE_WORDS, 1, limits.characters, False), reader)
        outcome = Outcome(chosen[0].rstrip(" .,;:") if chosen else "", items=tuple(chosen))
    else:
        return None
    return Plan((Candidate(write(outcome, request.format, asked), 1.0),), wander=0.0) if outcome.text else None


def keywords(text: str, count: int, reader: Reader) -> list[str]:
    """The words of a text that say most of it: often, as names, near to it in meaning."""
    forms: dict[str, str] = {}
    for word in re.findall(r"[^\W\d_][\w'’-]{2,}", text):
        if word.lower() not in STOP_WORDS and terms(word):
            forms.setdefault(stem(word.lower()), word)
    counts = Counter(stem(word.lower()) for word in re.findall(r"[^\W\d_][\w'’-]{2,}", text))
    words = list(forms)
    near = [0.0] * len(words)
    if reader.semantic and words:
        vectors = reader.embedder.embed([*(forms[word] for word in words), text])
        near = [float(v @ vectors[-1]) for v in vectors[:-1]]
    named = [
        re.search(rf"(?<![.!?:] )(?<!^)(?<!\n)\b{re.escape(forms[w])}\b", text) is not None and forms[w][0].isupper()
        for w in words
    ]
    values = [0.2 * min(counts[w], 4) + 0.15 * named[i] + near[i] for i, w in enumerate(words)]
    best = sorted(sorted(range(len(words)), key=lambda i: -values[i])[:count])
    return [forms[words[i]] for i in best]


def _count(word: str) -> int:
    return int(word) if word.isdigit() else COUNTS.index(word.lower())

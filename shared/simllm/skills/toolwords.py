"""The words of a tool: what it is about, whether it only looks something up, and how far a need shares its words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from simllm.skills.evidence import Evidence
from simllm.skills.fields import leaves, split_name
from simllm.skills.sentence_words import word_set
from simllm.skills.words import STOP_WORDS, stem
from simllm.tools import Tool

_READS = word_set("""
    get find search lookup look list show check fetch query read track convert calculate compute estimate
    current past report tell say describe count compare view see
""")
_ACTS = word_set("""
    book create cancel add set start stop send schedule reschedule restart scale delete remove update block
    pay transfer place renew record log plan order message post put make move open close issue file submit
    roll rollback reserve play register enable disable reset change edit assign write upload approve reject
""")
OWN_WORD = 0.7  # weight from which a word stands in a tool's name or description
EMPTY_STEMS = frozenset(map(stem, word_set("today tonight tomorrow now currently current please tell show give")))
_QUERY = frozenset(["query", "q", "question", "keywords", "search"])


def tool_stems(tool: Tool, *, parameters: bool = True) -> dict[str, float]:
    """Stems of a tool's words with their weight: its name says most, its parameters least."""
    found: dict[str, float] = {}
    for name, child in tool.parameters.get("properties", {}).items() if parameters else ():
        options = [str(option) for option in child.get("enum", ())]
        for word in [
            *split_name(name),
            *(part for option in options for part in split_name(option)),
            *_words(str(child.get("description", ""))),
        ]:
            found[stem(word)] = 0.35
    for word in _words(tool.description):
        found[stem(word)] = 0.7
    for word in split_name(tool.name):
        found[stem(word)] = 1.0
    return {word: weight for word, weight in found.items() if word not in STOP_WORDS and len(word) > 1}


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z]+", text.lower()) if word not in STOP_WORDS]


def overlaps(tools: Sequence[Tool], evidence: Evidence) -> list[float]:
    """Word overlap per tool in [0, 1], rare words weighing more."""
    stems = [tool_stems(tool) for tool in tools]
    spread = Counter(word for words in stems for word in words)
    need = {word for word in evidence.stems if len(word) > 1 and not word.isdigit()}
    scores = []
    for words in stems:
        hit = 0.0
        for word in need:
            weight = words.get(word) or 0.8 * max(
                (w for other, w in words.items() if _same_root(word, other)), default=0.0
            )
            hit += weight * math.log(1 + (len(tools) + 1) / (spread[word] + 0.5))
        scores.append(hit)
    most = math.log(1 + (len(tools) + 1) / 1.5)
    return [min(1.0, score / (2.2 * most)) for score in scores]


def _same_root(word: str, other: str) -> bool:
    return len(word) > 4 and len(other) > 4 and word[:5] == other[:5] and abs(len(word) - len(other)) < 5


def reads(tool: Tool) -> bool:
    """Whether a tool only looks something up, by the first word of its name or description."""
    first = {*split_name(tool.name)[:1], *re.findall(r"[a-z]+", tool.description.lower())[:1]}
    return bool(_READS & first) or not _ACTS & set(split_name(tool.name)[:1])


def searches(tool: Tool) -> bool:
    """Whether a tool looks for anything: all it requires is words to search for."""
    needed = [field for field in leaves(tool.parameters) if field.required]
    return len(needed) == 1 and needed[0].kind == "string" and bool(needed[0].own & _QUERY)

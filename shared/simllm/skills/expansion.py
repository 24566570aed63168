"""Several search queries for one question (multi-query retrieval; query expansion, Carpineto and Romano 2012).

Variants come from the question alone: its key words, a noun phrase for what it asks ("how long" becomes "duration"),
words exchanged for neighbours, abbreviations that the prompt explains, another order. No thesaurus and no knowledge of
the documents: a paraphrase that needs either is out of reach.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simllm.chat import ChatRequest
from simllm.skills.alignment import Reader
from simllm.skills.brief import Brief, read_brief
from simllm.skills.candidates import Candidate, Plan
from simllm.skills.neighbours import neighbours
from simllm.skills.outcome import Outcome, write
from simllm.skills.quantities import COUNTS
from simllm.skills.topics import topic
from simllm.skills.words import STOP_WORDS, is_identifier, stem

if TYPE_CHECKING:
    from simllm.skills import Toolbox

_COUNT_WORDS = {w: i for i, w in enumerate(COUNTS)}
_COUNT = rf"(\d{{1,2}}|{'|'.join(_COUNT_WORDS)}|a few|several|multiple|some|various)"
_WHAT = (
    r"(?:quer(?:y|ies)|versions?|variants?|variations?|paraphrases?|rephrasings?|reformulations?|alternatives?|formulations?|rewrites?|"
    r"search (?:terms|phrases|strings|requests)|sub-?questions|ways)"
)
_TASK = re.compile(
    rf"\b(?:write|generate|give|create|produce|suggest|formulate|come up with|provide|list|propose|return|make|think of|offer|output|rewrite|rephrase|paraphrase|reformulate|express|expand|turn)\b"
    rf"[^.\n]{{0,80}}?\b{_COUNT}\b[^.\n]{{0,50}}?\b{_WHAT}\b",
    re.I,
)
_EXPAND = re.compile(
    rf"\b(?:query expansion|multi-?query|expand the (?:query|question))\b|\b{_COUNT}\b[^.\n]{{0,30}}\bsearch quer(?:y|ies)\b",
    re.I,
)
_DEFAULT_COUNT = 3
_MOST = 10
_ASKS = (
    (r"how (?:long) (?:does|do|did|will|is|are|can|should|may)", "duration of"),
    (r"how (?:much) (?:does|do|did|will|is|are|would)", "price of"),
    (r"how (?:much|many)", "number of"),
    (r"how often (?:do|does|is|are|should|must|can)", "frequency of"),
    (r"how (?:far|large|big|high|fast|old|heavy) (?:is|are|can|does|do)", "measure of"),
    (r"how (?:do|can|should|would|could|must) (?:i|you|we|one|someone)|how to", "steps to"),
    (
        r"(?:what|which) (?:time|date|day) (?:is|are|does|do)|when (?:is|are|does|do|did|will|was|were|can|should)",
        "time and date of",
    ),
    (r"where (?:is|are|can|do|does|did|should|would)(?: (?:i|you|we|one))?", "location of"),
    (r"who (?:is|are|was|were|can|should|does|do|must)", "person responsible for"),
    (r"why (?:is|are|does|do|did|was|were|can|has|have)", "reason for"),
    (r"(?:can|may|could|am|are|is) (?:i|you|we|one)(?: (?:allowed|able|permitted))?(?: to)?", "permission to"),
    (r"(?:do|does|must|should) (?:i|you|we|one)(?: (?:need|have))?(?: to)?", "requirement to"),
    (r"what (?:happens|should (?:i|we) do|can (?:i|we) do) (?:if|when)", "procedure when"),
    (r"(?:what|which) (?:is|are|was|were)", "information about"),
    (r"is it (?:possible|allowed|ok(?:ay)?) to", "permission to"),
)
_FORMS = ("{}", "information on {}", "guide: {}", "rules for {}")
_ABBREVIATION = re.compile(
    r"\b((?:[A-Z][\w-]* ){1,5}[A-Z][\w-]*) \(([A-Z]{2,8})\)|\b([A-Z]{2,8}) \(((?:[A-Za-z][\w-]* ){1,5}[A-Za-z][\w-]*)\)"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\w+(?:[-_./:]\w+)*")
PER_WORD = 5  # neighbours tried for each word
ADDED = 2  # neighbours of each word added to the key words
SMALL_DIFFERENCES = 1  # words that a model without embeddings changes per variant


def read_count(text: str) -> int | None:
    """How many variants a prompt wants; None when it does not ask for any."""
    found = _TASK.search(text)
    word = found.group(1) if found else None
    if word is None:
        expand = _EXPAND.search(text)
        if not expand:
            return None
        word = expand.group(1)
    if word and word.isdigit():
        count = int(word)
    else:
        count = _COUNT_WORDS.get((word or "").lower(), _DEFAULT_COUNT)
    return min(count, _MOST) if count > 1 else None


def plan_expansion(request: ChatRequest, tools: Toolbox) -> Plan | None:
    """The variants as one reply; None when the request asks for something else."""
    brief = read_brief(request.messages)
    count, skill = read_count(brief.instructions), request.model.skill
    question = read_question(brief)
    if count is None or not question or skill is None:
        return None
    found = tuple(variants(question, count, brief, Reader(skill, tools.embedder), tools))
    numbered = re.search(r"\bnumber(?:ed|ing)?\b", brief.instructions) and not re.search(
        r"(?:no|not|without) number", brief.instructions
    )
    lines = [f"{i}. {text}" for i, text in enumerate(found, 1)] if numbered else list(found)
    outcome = Outcome("\n".join(lines), items=found)
    return Plan((Candidate(write(outcome, request.format, brief.instructions), 1.0),), wander=0.0)


def read_question(brief: Brief) -> str:
    """The question to expand."""
    return brief.find("question", "quer", last=True) or (brief.parts[-1].text if brief.parts else "")


def variants(question: str, count: int, brief: Brief, reader: Reader, tools: Toolbox) -> list[str]:
    """`count` different queries, the plainest first."""
    question = " ".join(question.split()).rstrip(" ?.!")
    found: list[str] = []

    def add(text: str) -> None:
        text = " ".join(text.split())
        if text and text.casefold() not in {question.casefold(), *(other.casefold() for other in found)}:
            found.append(text)

    opened = _explained(question, brief.instructions)
    if opened != question:
        add(opened)
    near = _near(question, reader, tools)
    swapped = [_exchange(question, word, other) for _, word, other in near if word not in _protected(question, near)]
    if swapped:
        add(swapped[0])
    if reader.semantic and near:
        add(" ".join([*_keywords(question), *_added(near)]))
    for text in swapped[1:2]:
        add(_as_noun(text))
    add(_as_noun(question))
    add(" ".join(_keywords(question)))
    for i, text in enumerate(swapped[2:]):
        add(text if i % 2 else " ".join(_keywords(text)))
    keys = " ".join(_keywords(question))
    words = _keywords(question)
    for order in itertools.islice(itertools.permutations(words), 1, 40):
        if len(found) >= count:
            break
        add(" ".join(order))
    for form in _FORMS * (len(found) < count):
        add(form.format(keys))
    return found[:count]


def _keywords(text: str) -> list[str]:
    return [word for word in _WORD.findall(text) if word.lower() not in STOP_WORDS]


def _as_noun(question: str) -> str:
    """ "How long does the tour take" as "duration of the tour take": crude, and good enough for a search."""
    for pattern, noun in _ASKS:
        found = re.match(rf"\W*(?:{pattern})\b(.*)$", question, re.I)
        if found and found.group(1).strip():
            return f"{noun} {found.group(1).strip()}"
    return " ".join(_keywords(question))


def _explained(question: str, text: str) -> str:
    """The question with abbreviations that the prompt writes out."""
    for long, short, short_first, long_after in _ABBREVIATION.findall(f"{text} {question}"):
        question = re.sub(rf"\b{re.escape(short or short_first)}\b", long or long_after, question)
    return question


def _near(question: str, reader: Reader, tools: Toolbox) -> list[tuple[float, str, str]]:
    """(fit, word, its neighbour), best first: the fit is how little the exchange changes the question's meaning."""
    words = [w for w in dict.fromkeys(_keywords(question)) if w.islower() and len(w) > 2 and not is_identifier(w)]
    if not reader.semantic:
        words = words[-SMALL_DIFFERENCES:]
    own = {stem(w) for w in words}
    pairs = [
        (word, other, score)
        for word in words
        for other, score in neighbours(word, PER_WORD, tools.tokenizer, tools.embedder)
        if stem(other) not in own
    ]
    if not pairs:
        return []
    fits = [score for _, _, score in pairs]
    if reader.semantic:
        vectors = reader.embedder.embed([question, *(_exchange(question, word, other) for word, other, _ in pairs)])
        fits = [0.5 * score + 0.5 * float(v @ vectors[0]) for score, v in zip(fits, vectors[1:], strict=True)]
    found = [(fit, word, other) for fit, (word, other, _) in zip(fits, pairs, strict=True)]
    return sorted(found, key=lambda item: -item[0])


def _added(near: Sequence[tuple[float, str, str]]) -> list[str]:
    """The nearest neighbours of every word."""
    found: list[str] = []
    for word in dict.fromkeys(word for _, word, _ in near):
        found += [other for _, own, other in near if own == word][:ADDED]
    return list(dict.fromkeys(found))


def _protected(question: str, near: Sequence[tuple[float, str, str]]) -> set[str]:
    """Words that stay: the topic of the question, or at least its last word where nothing else could change."""
    about = _keywords(topic(question)) or _keywords(question)
    inside = set(about)
    return inside if any(word not in inside for _, word, _ in near) else set(about[-1:])


def _exchange(question: str, word: str, other: str) -> str:
    return re.sub(rf"\b{re.escape(word)}\b", other, question)

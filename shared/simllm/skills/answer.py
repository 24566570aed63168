"""Extractive answering: say the sentences of the context that fit the question best.

As many units as the model is used to quote, cited when the prompt asks for it. When the best one is a poor fit the skill
abstains if the prompt allows that, and otherwise does what models do by default: it answers anyway, from whatever is there.
Citations name a wrong passage at a rate that is the model's own (Liu et al. 2023, "Evaluating verifiability").
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from simllm.catalogue import Skill
from simllm.chat import ChatRequest
from simllm.embeddings import Embedder
from simllm.skills.candidates import Candidate, Plan, weigh
from simllm.skills.instructions import Rules
from simllm.skills.layout import Passage
from simllm.skills.prompt import Prompt
from simllm.skills.relevance import Judgement, Query, judge
from simllm.skills.units import Unit, cut
from simllm.skills.words import terms

if TYPE_CHECKING:
    from simllm.skills import Toolbox

ALTERNATIVES = 6
SHARE = 0.6  # of the context is the most that is said
RELEVANT = 0.25  # a further unit must score this share of the first one
RIVAL_LIKENESS = 0.5  # share of common words from which two units tell the same of two things
SHORT_QUESTION_TERMS = 4
_YES_NO = re.compile(
    r"(?:^|[.,:;?!]\s*|\b(?:so|and|but|or)\s+)(?:is|are|was|were|do|does|did|can|could|should|may|must|will|would|has|have|am)\b"
    r"[^?.]*\??\s*$|\b(?:ok|okay|right|allowed|correct)\s*\?+\s*$",
    re.I,
)
_DENIES = re.compile(
    r"\b(?:not|never|no longer|cannot|nobody|none|\w+n't|no)\b|\b(?:refused|rejected|forbidden|impossible|without)\b",
    re.I,
)


@dataclass(frozen=True)
class Finding:
    """What the context says about a question.

    Attributes:
        units: all units of the context.
        judgement: their relevance.
        order: unit indices, best first.
        asked: the question's content words.
    """

    units: tuple[Unit, ...]
    judgement: Judgement
    order: tuple[int, ...]
    asked: frozenset[str]

    @cached_property
    def words(self) -> tuple[frozenset[str], ...]:
        """Every unit's content words, without numbers and identifiers."""
        return tuple(frozenset(term for term in terms(unit.text) if term.isalpha()) for unit in self.units)

    @cached_property
    def covered(self) -> tuple[frozenset[str], ...]:
        """The question's words that every unit has, its heading and lead-in included."""
        return tuple(self.asked.intersection(terms(f"{unit.about} {unit.text}")) for unit in self.units)

    def is_doubtful(self, skill: Skill) -> bool:
        """Whether the model would rather not answer from this context."""
        return self.judgement.assurance < skill.abstain_below


def plan_answer(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan | None:
    """An answer from the context; None when there is no context."""
    skill = request.model.skill
    assert skill is not None  # embedding models never get here: the request was checked
    finding = find(full_query(prompt), prompt, skill, tools.embedder)
    return None if finding is None else Plan(answers(prompt, finding, skill), skill.wander)


def find(query: Query, prompt: Prompt, skill: Skill, embedder: Embedder) -> Finding | None:
    """Judge the context's units for a question; None when there is no context."""
    units = cut(prompt.passages)
    if not units:
        return None
    judgement = judge(query, units, prompt.passages, skill, embedder)
    order = np.argsort(-judgement.scores, kind="stable")
    return Finding(tuple(units), judgement, tuple(int(i) for i in order), frozenset(terms(query.whole)))


def full_query(prompt: Prompt) -> Query:
    """The question, with the one before it when it is short enough to lean on it."""
    leans = len(terms(prompt.question)) <= SHORT_QUESTION_TERMS
    return Query(prompt.question, prompt.earlier_question if leans else "")


def answers(prompt: Prompt, finding: Finding, skill: Skill) -> tuple[Candidate, ...]:
    """Candidate answers, best first."""
    texts, scores = [], []
    for first in finding.order[:ALTERNATIVES]:
        units = choose_units(finding, first, skill, prompt.rules)
        said = compose(units, prompt, skill)
        texts.append(f"{_verdict(finding.units[first], prompt)}{said}" if skill.verdicts else said)
        scores.append(float(finding.judgement.scores[first]))
    if prompt.rules.abstention is not None:
        # abstaining is as attractive as the best answer to a model that is just sure enough
        doubt = skill.abstain_below - finding.judgement.assurance
        position = 0 if finding.is_doubtful(skill) else len(texts)
        texts.insert(position, prompt.rules.abstention)
        scores.insert(position, max(scores) + doubt)
    return weigh(texts, scores, skill.sharpness)


def choose_units(finding: Finding, first: int, skill: Skill, rules: Rules) -> list[Unit]:
    """A unit and the best others: as much as the rules allow or the model is used to say, and not all there is.

    Passage by passage, the first unit's passage first; within a passage in text order.
    """
    units, scores = finding.units, finding.judgement.scores
    given = sum(len(unit.text.split()) for unit in units)
    most = min(skill.answer_words, SHARE * given) if rules.words is None else rules.words
    chosen = [first, *_announced(units, first)] if rules.sentences is None else [first]
    words = sum(len(units[index].text.split()) for index in chosen)
    for index in finding.order:
        length = len(units[index].text.split())
        if words >= most or len(chosen) == rules.sentences or scores[index] < RELEVANT * scores[first]:
            break
        if index not in chosen and words + length <= most and not _is_rival(finding, index, first):
            chosen.append(index)
            words += length
    rank = {units[index].passage: -place for place, index in enumerate(reversed(chosen))}
    return [units[index] for index in sorted(chosen, key=lambda index: (rank[units[index].passage], index))]


def _announced(units: Sequence[Unit], index: int) -> list[int]:
    """The items, rows or lines of code that a unit leads in, e.g. "Do this:"."""
    if not units[index].text.rstrip().endswith(":"):
        return []
    following = range(index + 1, len(units))
    return list(
        takewhile(lambda i: units[i].kind != "sentence" and units[i].passage == units[index].passage, following)
    )


def _is_rival(finding: Finding, index: int, first: int) -> bool:
    """Whether a unit says the same as the first one of something else: alike in wording, with less of the question."""
    one, other = finding.words[index], finding.words[first]
    return len(one & other) >= RIVAL_LIKENESS * len(one | other) and finding.covered[index] < finding.covered[first]


def _verdict(unit: Unit, prompt: Prompt) -> str:
    """ "No. " before the evidence for a yes/no question whose best sentence denies; "" otherwise."""
    if prompt.rules.verbatim or prompt.rules.bullets or not _YES_NO.search(prompt.question):
        return ""
    return "No. " if _DENIES.search(unit.text) and not re.match(r"\W*no\b", unit.text, re.I) else ""


def compose(units: Sequence[Unit], prompt: Prompt, skill: Skill) -> str:
    """Say units one after the other, each with its citation, in the form that the prompt asks for."""
    rules = prompt.rules
    paragraphs: dict[int, list[str]] = {}
    sources: list[str] = []
    for unit in units:
        source = _source(unit, prompt, skill)
        if rules.footnotes and source:
            sources += [] if source in sources else [source]
            mark = rules.mark.format(sources.index(source) + 1)
        else:
            mark = rules.mark.format(source) if source else ""
        paragraphs.setdefault(unit.passage, []).append(_statement(unit, mark, verbatim=rules.verbatim))
    if rules.bullets and len(units) > 1:
        text = "\n".join(f"- {statement}" for said in paragraphs.values() for statement in said)
    else:
        text = "\n\n".join(" ".join(said) for said in paragraphs.values())
    notes = [f"{rules.mark.format(i)}: {source}" for i, source in enumerate(sources, start=1)]
    return "\n\n".join([text, "\n".join(notes)]) if notes else text


def _statement(unit: Unit, mark: str, *, verbatim: bool) -> str:
    if verbatim:
        return f'"{unit.text}"{" " if mark else ""}{mark}'
    text = f"`{unit.text}`" if unit.kind == "code" else unit.text
    if mark:
        body, end = (text[:-1], text[-1]) if text[-1] in ".!?:" else (text, ".")
        return f"{body} {mark}{end}"
    return f"{text}." if text[-1].isalnum() or text[-1] in ")%`" else text


def _source(unit: Unit, prompt: Prompt, skill: Skill) -> str:
    """What the unit is attributed to; "" without citations."""
    if not prompt.rules.cite:
        return ""
    passage = credited(unit, prompt, skill)
    return str(passage.number) if prompt.rules.cite == "number" or not passage.label else passage.label


def credited(unit: Unit, prompt: Prompt, skill: Skill) -> Passage:
    """The passage that a unit is said to come from. Now and then, not when it is quoted, that is a wrong one."""
    passages, index = prompt.passages, unit.passage
    digest = hashlib.sha256(f"cite\0{prompt.question}\0{unit.text}".encode("utf-8", "surrogatepass")).digest()
    if len(passages) > 1 and not prompt.rules.verbatim and int.from_bytes(digest[:4], "big") / 2**32 < skill.miscites:
        index = (index + 1 + digest[4] % (len(passages) - 1)) % len(passages)
    return passages[index]

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
from typing import TYPE_CHECKING

import numpy as np

from simllm.catalogue import Skill
from simllm.chat import ChatRequest
from simllm.embeddings import Embedder
from simllm.skills.candidates import Candidate, Plan, weigh
from simllm.skills.prompt import Prompt
from simllm.skills.relevance import WANTS_STEPS, Judgement, Query, judge
from simllm.skills.units import Unit, cut
from simllm.skills.words import terms

if TYPE_CHECKING:
    from simllm.skills import Toolbox

ALTERNATIVES = 6
SECOND_BEST = 0.55  # a further unit must score this share of the best one ...
WORTH_ADDING = 0.30  # ... and, its neighbours' worth included, be worth this share of it
WORTH_SCALE = 0.08  # score units in which worth falls to 1/e
CLUELESS = 0.2  # a best unit that scores less is said alone
NEIGHBOUR = 0.3  # of a unit's worth, lent to the units before and after it
RIVAL_LIKENESS = 0.4  # share of common words from which two units tell the same of two things
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
    """

    units: tuple[Unit, ...]
    judgement: Judgement
    order: tuple[int, ...]

    @property
    def best(self) -> float:
        """The best unit's score."""
        return float(self.judgement.scores[self.order[0]])


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
    return Finding(tuple(units), judgement, tuple(int(i) for i in order))


def full_query(prompt: Prompt) -> Query:
    """The question, with the one before it when it is short enough to lean on it."""
    leans = len(terms(prompt.question)) <= SHORT_QUESTION_TERMS
    return Query(prompt.question, prompt.earlier_question if leans else "")


def answers(prompt: Prompt, finding: Finding, skill: Skill) -> tuple[Candidate, ...]:
    """Candidate answers, best first."""
    texts, scores = [], []
    for index in finding.order[:ALTERNATIVES]:
        whole = WANTS_STEPS.search(prompt.question) and not prompt.rules.brief
        first = _lead(finding.units, index, skill.answer_words) if whole else index
        units = choose_units(finding, first, skill, brief=prompt.rules.brief)
        said = compose(units, prompt, skill)
        texts.append(f"{_verdict(units[0], prompt)}{said}" if skill.verdicts else said)
        scores.append(float(finding.judgement.scores[index]))
    if prompt.rules.abstention is not None:
        # one score scale: abstaining is as attractive as a unit that scores exactly at the threshold
        position = 0 if finding.best < skill.abstain_below else len(texts)
        texts.insert(position, prompt.rules.abstention)
        scores.insert(position, skill.abstain_below)
    return weigh(texts, scores, skill.sharpness)


def choose_units(finding: Finding, first: int, skill: Skill, *, brief: bool) -> list[Unit]:
    """Complete a unit with others, in prompt order: what is worth most, its neighbours, the steps that it announces."""
    units = finding.units
    scores = finding.judgement.scores
    if brief or scores[first] < CLUELESS:
        return [units[first]]
    worth = np.exp((scores - scores[first]) / WORTH_SCALE)
    worth[first] = max(1.0, float(worth.max()))
    of = np.array([unit.passage for unit in units])
    lent = worth.copy()
    for step in (-1, 1):
        same = np.roll(of, step) == of
        lent += NEIGHBOUR * np.where(same, np.roll(worth, step), 0.0)
    lent *= np.bincount(of, worth)[of] ** 0.5
    lent[first] = float(lent.max()) + 1.0
    chosen, words = [first], len(units[first].text.split())
    following = first + 1
    while _announces(units, first) and following < len(units) and units[following].kind in ("item", "code"):
        chosen.append(following)
        words += len(units[following].text.split())
        following += 1
        if following < len(units) and units[following].passage != units[first].passage:
            break
    for index in np.argsort(-lent, kind="stable")[1:].tolist():
        length = len(units[index].text.split())
        if words >= skill.answer_words or lent[index] < WORTH_ADDING:
            break
        fits = scores[index] >= SECOND_BEST * scores[first] and words + length <= skill.answer_words + 8
        if fits and index not in chosen and not _is_rival(finding, index, first):
            chosen.append(index)
            words += length
    home = units[first].passage
    return [units[i] for i in sorted(chosen, key=lambda i: (units[i].passage != home, i))]


def _is_rival(finding: Finding, index: int, first: int) -> bool:
    """Whether a unit says the same as the best one of something else: alike in wording, with less of the question."""
    less = finding.judgement.covered[index] < finding.judgement.covered[first]
    one, other = ({t for t in terms(finding.units[i].text) if t.isalpha()} for i in (index, first))
    return less and len(one & other) >= RIVAL_LIKENESS * len(one | other)


def _lead(units: Sequence[Unit], index: int, most_words: int) -> int:
    """The unit that leads in the steps which a unit belongs to, when they can all be said; else the unit itself."""
    lead = index
    while lead and units[lead].kind in ("item", "code") and units[lead - 1].passage == units[index].passage:
        lead -= 1
    words = sum(len(unit.text.split()) for unit in units[lead : index + 1])
    return lead if _announces(units, lead) and words <= most_words else index


def _announces(units: Sequence[Unit], index: int) -> bool:
    """Whether a unit leads in what follows, e.g. "Do this:"."""
    follows = index + 1 < len(units) and units[index + 1].passage == units[index].passage
    return follows and units[index].text.rstrip().endswith(":")


def _verdict(unit: Unit, prompt: Prompt) -> str:
    """ "No. " before the evidence for a yes/no question whose best sentence denies; "" otherwise."""
    if prompt.rules.verbatim or prompt.rules.bullets or not _YES_NO.search(prompt.question):
        return ""
    return "No. " if _DENIES.search(unit.text) and not re.match(r"\W*no\b", unit.text, re.I) else ""


def compose(units: Sequence[Unit], prompt: Prompt, skill: Skill) -> str:
    """Say units one after the other, each with its citation, in the form that the prompt asks for."""
    rules = prompt.rules
    said, sources = [], []
    for unit in units:
        source = _source(unit, prompt, skill)
        if rules.footnotes and source:
            sources += [] if source in sources else [source]
            mark = rules.mark.format(sources.index(source) + 1)
        else:
            mark = rules.mark.format(source) if source else ""
        said.append(_statement(unit, mark, verbatim=rules.verbatim))
    text = "\n".join(f"- {part}" for part in said) if rules.bullets and len(said) > 1 else " ".join(said)
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
    """What the unit is attributed to; "" without citations. Now and then, not when it quotes, it names a wrong passage."""
    if not prompt.rules.cite:
        return ""
    passages, index = prompt.passages, unit.passage
    digest = hashlib.sha256(f"cite\0{prompt.question}\0{unit.text}".encode("utf-8", "surrogatepass")).digest()
    if len(passages) > 1 and not prompt.rules.verbatim and int.from_bytes(digest[:4], "big") / 2**32 < skill.miscites:
        index = (index + 1 + digest[4] % (len(passages) - 1)) % len(passages)
    passage = passages[index]
    return str(passage.number) if prompt.rules.cite == "number" or not passage.label else passage.label

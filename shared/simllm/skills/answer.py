"""Extractive answering: say the sentences of the context that fit the question best.

One to three units, cited when the prompt asks for it. When the best one is a poor fit the skill abstains if the
prompt allows that, and otherwise does what models do by default: it answers anyway, from whatever is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from simllm.catalogue import Skill
from simllm.embeddings import Embedder
from simllm.skills.candidates import Candidate, weigh
from simllm.skills.prompt import Prompt
from simllm.skills.relevance import Judgement, Query, judge
from simllm.skills.units import Unit, cut
from simllm.skills.words import terms

ALTERNATIVES = 6
MOST_UNITS = 3
SECOND_BEST = 0.62  # a further unit must score this share of the best one ...
NEW_WORDS = 0.18  # ... and bring this share of the question's words that are not covered yet
SHORT_QUESTION_TERMS = 4


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
        texts.append(compose(choose_units(finding, index, brief=prompt.rules.brief), prompt))
        scores.append(float(finding.judgement.scores[index]))
    if prompt.rules.abstention is not None:
        # one score scale: abstaining is as attractive as a unit that scores exactly at the threshold
        position = 0 if finding.best < skill.abstain_below else len(texts)
        texts.insert(position, prompt.rules.abstention)
        scores.insert(position, skill.abstain_below)
    return weigh(texts, scores, skill.sharpness)


def choose_units(finding: Finding, first: int, *, brief: bool) -> list[Unit]:
    """Complete a unit with others that say what it leaves open, in prompt order."""
    judgement, units = finding.judgement, finding.units
    chosen = [first]
    covered = set(judgement.covered[first])
    total = sum(judgement.weights.values()) or 1.0
    for index in () if brief else finding.order[: 4 * ALTERNATIVES]:
        if len(chosen) == MOST_UNITS or judgement.scores[index] < SECOND_BEST * judgement.scores[first]:
            break
        new = sum(judgement.weights[term] for term in judgement.covered[index] - covered)
        if index not in chosen and new / total >= NEW_WORDS:
            chosen.append(index)
            covered |= judgement.covered[index]
    following = first + 1
    if len(chosen) == 1 and not brief and _leads_in(units, first):
        while following < len(units) and len(chosen) <= MOST_UNITS and units[following].kind in ("item", "code"):
            if units[following].passage != units[first].passage:
                break
            chosen.append(following)
            following += 1
    return [units[i] for i in sorted(chosen)]


def _leads_in(units: Sequence[Unit], index: int) -> bool:
    """Whether a unit announces what follows, e.g. "Do this:"."""
    return units[index].text.rstrip().endswith(":") and index + 1 < len(units)


def compose(units: Sequence[Unit], prompt: Prompt) -> str:
    """Say units one after the other, each with its citation."""
    said = []
    for unit in units:
        text = f"`{unit.text}`" if unit.kind == "code" else unit.text
        mark = citation(unit, prompt)
        if mark:
            body, end = (text[:-1], text[-1]) if text[-1] in ".!?:" else (text, ".")
            text = f"{body} {mark}{end}"
        elif text[-1].isalnum() or text[-1] in ")%`":
            text += "."
        said.append(text)
    return " ".join(said)


def citation(unit: Unit, prompt: Prompt) -> str:
    """The mark for a unit's passage, in the form that the prompt asks for; "" when it asks for none."""
    passage = prompt.passages[unit.passage]
    if not prompt.rules.cite:
        return ""
    return f"[{passage.number if prompt.rules.cite == 'number' or not passage.label else passage.label}]"

"""LLM as a judge: is an answer supported, is a passage relevant, is a candidate correct, which of two is better?

Answers in the labels, scale or JSON that the prompt asks for, with a reason where it asks for one. See `criteria` for
what it recognises, `verdicts` for how it decides. It judges from the given texts alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simllm.chat import ChatRequest
from simllm.skills import verdicts
from simllm.skills.alignment import Reader
from simllm.skills.brief import Brief, read_brief
from simllm.skills.candidates import Plan, weigh
from simllm.skills.criteria import NO, PARTLY, YES, Case, polarity, read_case
from simllm.skills.outcome import Outcome, write
from simllm.skills.verdicts import NO_BELOW, YES_FROM, Verdict

if TYPE_CHECKING:
    from simllm.skills import Toolbox

_CENTRES = {YES: 0.9, PARTLY: 0.5, NO: 0.1}
_TIE = re.compile(r"\btie\b|\bequal(?:ly)?\b|\bboth\b", re.I)
TIE_BELOW = 0.03


def plan_judging(request: ChatRequest, tools: Toolbox) -> Plan | None:
    """Verdicts as candidates, best first; None when the request is not for a judge."""
    brief = read_brief(request.messages)
    case = read_case(brief, request.format)
    skill = request.model.skill
    if case is None or skill is None:
        return None
    outcomes = decide(case, brief, Reader(skill, tools.embedder))
    texts = [write(outcome, request.format, brief.instructions) for outcome, _ in outcomes]
    return Plan(weigh(texts, [score for _, score in outcomes], skill.sharpness), wander=0.0)


def decide(case: Case, brief: Brief, reader: Reader) -> list[tuple[Outcome, float]]:
    """(what to say, how strongly), best first."""
    if case.kind == "preference":
        return _preferred(case, brief, reader)
    verdict = _judge(case, reader)
    if case.scale is not None:
        scores = [verdict.score, min(1.0, verdict.score + 0.25), max(0.0, verdict.score - 0.25)]
        return [
            (_outcome(str(case.scale.place(score)), score, verdict, case), 1.0 - abs(score - verdict.score))
            for score in scores
        ]
    order = sorted(
        case.labels, key=lambda grade: (grade != _grade(case, verdict), abs(_CENTRES[grade] - verdict.score))
    )
    return [
        (
            _outcome(case.labels[grade], verdict.score if i == 0 else _CENTRES[grade], verdict, case),
            1.0 - abs(_CENTRES[grade] - verdict.score),
        )
        for i, grade in enumerate(order)
    ]


def _judge(case: Case, reader: Reader) -> Verdict:
    candidate = case.candidates[0] if case.candidates else ""
    if case.kind == "faithfulness":
        return verdicts.faithfulness(candidate, case.evidence, reader)
    if case.kind == "relevance":
        return verdicts.relevance(case.question, case.evidence, reader)
    if case.kind == "correctness":
        return verdicts.correctness(case.question, case.reference, candidate, reader)
    return verdicts.quality(case.question, candidate, reader)


def _grade(case: Case, verdict: Verdict) -> str:
    """The grade among those that are offered; where "partly" is not, half supported is not supported."""
    if PARTLY in case.labels:
        return YES if verdict.score >= YES_FROM else NO if verdict.score < NO_BELOW else PARTLY
    border = YES_FROM if case.kind in ("faithfulness", "correctness") else 0.5
    return YES if verdict.score >= border else NO


def _outcome(text: str, score: float, verdict: Verdict, case: Case) -> Outcome:
    grade = polarity(text) or (YES if score >= YES_FROM else NO if score < NO_BELOW else PARTLY)

    def pick(options: Sequence[str]) -> str:
        graded = {polarity(option): option for option in reversed(options)}
        near = [grade] + ([NO, YES] if grade != YES else [PARTLY, NO])
        return next((graded[one] for one in near if one in graded), options[0])

    parts = tuple(
        _outcome(case.labels.get(YES if claim.score >= YES_FROM else NO, text), claim.score, claim, case)
        for claim in verdict.claims
    )
    said = verdict.claim or text
    return Outcome(
        said, score, verdict.reason, verdict.quote, tuple(v.claim for v in verdict.claims), grade == YES, pick, parts
    )


def _preferred(case: Case, brief: Brief, reader: Reader) -> list[tuple[Outcome, float]]:
    verdict, scores = verdicts.preference(case.question, case.evidence, case.reference, case.candidates, reader)
    names = _answer_names(brief)
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    ties = abs(scores[order[0]] - scores[order[1]]) < TIE_BELOW and _TIE.search(brief.instructions)
    said = [names[i] for i in order[:2]]
    if ties:
        said.insert(0, "tie")
    found = []
    for i, name in enumerate(said):

        def pick(options: Sequence[str], name: str = name) -> str:
            exact = [o for o in options if re.search(rf"(?:^|[\W_]){re.escape(name)}$", o, re.I)]
            return exact[0] if exact else options[0]

        outcome = Outcome(name, verdict.score, verdict.reason, "", (name,), i == 0, pick)
        found.append((outcome, scores[order[0]] - 0.1 * i if ties else scores[order[i]]))
    return found


def _answer_names(brief: Brief) -> list[str]:
    """What the prompt calls its answers: "A" and "B", "1" and "2"."""
    names = [
        part.name.split()[-1].upper()
        for part in brief.parts
        if re.search(r"(?:answer|response|repl|candidate|option|assistant)", part.name)
    ]
    fallback = [chr(ord("A") + i) for i in range(len(names))]
    return names if all(len(name) == 1 for name in names) else fallback

"""The judging exam: does a model agree with hand-set labels on support, relevance and correctness?

Also two measurements that need no labels of their own: how often a pairwise verdict changes when the two answers change
places (position bias), and whether 1-5 scores rank right answers above wrong ones. Nothing here decides anything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import openai

from coursekit.corpus.baseline.resampling import Estimate, estimate
from coursekit.model_card.scoring import (
    Case,
    Result,
    Wording,
    chat,
    json_field,
    load_cases,
    request,
    run,
    schema_option,
)

_WORDS = {
    "faithfulness": ("supported", "partly", "unsupported"),
    "correctness": ("correct", "partly", "incorrect"),
    "relevance": ("relevant", "not relevant"),
}
_EXPLAINED = {
    "faithfulness": (
        "You check answers against their context. Say whether the context supports the answer.\n"
        "- supported: every statement of the answer stands in the context or follows from it\n"
        "- partly: some statements do, others do not\n- unsupported: none does\n\nReply with one word only."
    ),
    "correctness": (
        "You grade answers. Compare the candidate answer with the reference answer.\n"
        "- correct: it says what the reference says\n- partly: a part is right, a part is missing or wrong\n"
        "- incorrect: it is wrong\n\nReply with one word only."
    ),
    "relevance": (
        "You assess search results. Does the passage help to answer the question? "
        "Reply with exactly one label, relevant or not relevant, and nothing else."
    ),
}
_TAGGED = {
    "faithfulness": "Is the claim below supported by the source? Judge only by the source, not by what you know.",
    "correctness": "Evaluate whether the candidate is correct, given the reference.",
    "relevance": "Rate the relevance of the document to the query: would a reader find an answer in it?",
}
_ASKED = {
    "faithfulness": "Decide if the response is grounded in the given context. Verdict: supported, unsupported or partly.",
    "correctness": "Is the student's answer right? Grade it against the expected answer: correct, incorrect or partly correct.",
    "relevance": "Check whether the retrieved passage contains information that answers the user's question. Answer yes or no.",
}
_PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "faithfulness": (("context", "context"), ("answer", "answer")),
    "correctness": (("question", "question"), ("reference", "reference"), ("candidate", "candidate")),
    "relevance": (("question", "question"), ("passage", "passage")),
}
_LABELS = {
    "context": "Context", "answer": "Answer", "question": "Question", "reference": "Reference answer",
    "candidate": "Candidate answer", "passage": "Passage",
}  # fmt: skip
_TAGS = {"context": "source", "answer": "claim", "question": "query", "passage": "document"}
_HEADINGS = {
    "context": "Context", "answer": "Response", "question": "Question", "reference": "Expected answer",
    "candidate": "Student answer", "passage": "Retrieved passage",
}  # fmt: skip


def wordings(case: Case) -> list[Wording]:
    """Labels with definitions; tags and a strict schema; headings and JSON asked for in words."""
    rubric = str(case["rubric"])
    words = _WORDS[rubric]
    parts = [(field, str(case[field])) for field, _ in _PARTS[rubric] if case.get(field)]
    labelled = "\n\n".join(f"{_LABELS[field]}: {text}" for field, text in parts)
    tagged = "\n".join(f"<{_TAGS.get(field, field)}>\n{text}\n</{_TAGS.get(field, field)}>" for field, text in parts)
    headed = "\n\n".join(f"### {_HEADINGS[field]}\n{text}" for field, text in parts)
    schema = schema_option("verdict", {"reason": {"type": "string"}, "label": {"type": "string", "enum": list(words)}})
    ask_json = f'{_ASKED[rubric]} Return JSON with the keys "verdict" and "explanation".'
    return [
        Wording("one word", lambda _: chat(_EXPLAINED[rubric], labelled), _label),
        Wording(
            "schema",
            lambda _: chat(_TAGGED[rubric], tagged),
            lambda text: _label(json_field("label")(text)),
            lambda _: schema,
        ),
        Wording(
            "json in words",
            lambda _: chat("", f"{ask_json}\n\n{headed}"),
            lambda text: _label(json_field("verdict")(text)),
        ),
    ]


def _label(text: str) -> str:
    """A verdict in the exam's own words."""
    said = re.sub(r"[\W_]+", " ", text).strip().lower()
    if said in ("yes", "relevant"):
        return "relevant"
    if said in ("no", "not relevant"):
        return "not"
    return "partly" if said.startswith("part") else said


def score(client: openai.OpenAI, model: str, split: str) -> Result:
    """Agreement with the exam's labels, by rubric."""
    cases, _ = load_cases("judging", split)
    return run(
        client, model, cases, wordings, lambda case, said: said == case["label"], lambda case: str(case["rubric"])
    )


@dataclass(frozen=True)
class Pairwise:
    """Two answers, a right one and a wrong one, shown in both orders.

    Attributes:
        right: share of verdicts, over both orders, that name the right answer.
        flips: share of pairs whose verdict changes with the order.
        first: share of verdicts that name the answer shown first; 0.5 without any bias.
    """

    right: Estimate
    flips: Estimate
    first: Estimate


_PREFER = "You compare two answers to a question. Which one is better, given the context? Reply with A or B only."


def position_bias(client: openai.OpenAI, model: str, split: str) -> Pairwise:
    """Pairs made from the exam: for one question and reference, a correct and an incorrect candidate."""
    pairs = _pairs(load_cases("judging", split)[0])
    right, flips, first = [], [], []
    for question, reference, good, bad in pairs:
        said = [_prefer(client, model, question, reference, *order) for order in ((good, bad), (bad, good))]
        right.append(((said[0] == "A") + (said[1] == "B")) / 2)
        flips.append(float(said[0] == said[1]))
        first.append(((said[0] == "A") + (said[1] == "A")) / 2)
    return Pairwise(estimate(right), estimate(flips), estimate(first))


def _pairs(cases: Sequence[Case]) -> list[tuple[str, str, str, str]]:
    """(question, reference, right answer, wrong answer); the reference itself stands in where no candidate is right."""
    found = []
    for case in cases:
        if case["rubric"] == "correctness" and case["label"] == "incorrect":
            found.append(
                (str(case["question"]), str(case["reference"]), str(case["reference"]), str(case["candidate"]))
            )
    return found


def _prefer(client: openai.OpenAI, model: str, question: str, reference: str, a: str, b: str) -> str:
    user = f"Context: {reference}\n\nQuestion: {question}\n\nAnswer A: {a}\n\nAnswer B: {b}"
    return request(client, model, chat(_PREFER, user)).strip()[:1]


def score_order(client: openai.OpenAI, model: str, split: str) -> Estimate:
    """How often a right candidate gets a higher 1-5 score than a wrong one (ties count half), over all such pairs."""
    cases = [case for case in load_cases("judging", split)[0] if case["rubric"] == "correctness"]
    scores: dict[str, list[float]] = {"correct": [], "incorrect": []}
    for case in cases:
        if case["label"] in scores:
            scores[str(case["label"])].append(_rate(client, model, case))
    wins = [
        sum((good > bad) + 0.5 * (good == bad) for bad in scores["incorrect"]) / len(scores["incorrect"])
        for good in scores["correct"]
    ]
    return estimate(wins)


def _rate(client: openai.OpenAI, model: str, case: Case) -> float:
    system = (
        "Score the candidate answer from 1 (wrong) to 5 (says what the reference says). Reply with the number only."
    )
    user = "\n\n".join(f"{_LABELS[field]}: {case[field]}" for field, _ in _PARTS["correctness"] if case.get(field))
    found = re.search(r"\d+", request(client, model, chat(system, user)))
    return float(found.group()) if found else 0.0

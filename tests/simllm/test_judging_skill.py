"""A judge answers in the words, numbers or JSON that the prompt offers, and sees what differs."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

CONTEXT = "The ferry to the island leaves every 40 minutes and takes 50 minutes. Dogs travel free of charge."
GOOD = "The ferry takes 50 minutes."
BAD = "The ferry takes 90 minutes."


def say(client: openai.OpenAI, system: str, user: str, model: str = "sim-large", **options: Any) -> str:
    messages: list[Any] = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": user})
    reply = client.chat.completions.create(**({"model": model, "messages": messages, "temperature": 0} | options))
    return str(reply.choices[0].message.content)


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        ("Is the answer supported by the context? Reply with yes or no.", "yes", "no"),
        ("Judge whether the answer is grounded in the context: reply PASS or FAIL, nothing else.", "PASS", "FAIL"),
        (
            "Is the answer faithful? Reply with one word.\n- faithful: all of it\n- unfaithful: not",
            "faithful",
            "unfaithful",
        ),
    ],
)
def test_the_verdict_takes_the_form_that_the_prompt_offers(client: openai.OpenAI, rule: str, yes: str, no: str) -> None:
    assert say(client, rule, f"Context: {CONTEXT}\n\nAnswer: {GOOD}") == yes
    assert say(client, rule, f"Context: {CONTEXT}\n\nAnswer: {BAD}") == no


@pytest.mark.parametrize(
    "layout",
    [
        "Context: {context}\n\nAnswer: {answer}",
        "<context>{context}</context>\n<answer>{answer}</answer>",
        "## Source\n{context}\n\n## Claim\n{answer}",
        '**Document:**\n"""\n{context}\n"""\n\n**Response:** {answer}\n\nVerdict:',
    ],
)
def test_the_parts_are_found_however_they_are_laid_out(client: openai.OpenAI, layout: str) -> None:
    rule = "Decide whether the statement is supported by the source. Say supported or unsupported."
    assert say(client, rule, layout.format(context=CONTEXT, answer=GOOD)) == "supported"
    assert say(client, rule, layout.format(context=CONTEXT, answer=BAD)) == "unsupported"


@pytest.mark.parametrize(
    ("context", "claim"),
    [
        ("The bag holds 20 litres.", "The bag holds 20 kilograms."),
        ("Refunds are not possible after the sale.", "Refunds are possible after the sale."),
        ("The north gate is open, the south gate is closed.", "The south gate is open."),
        ("Ana repaired the clock and Marko painted the door.", "Marko repaired the clock."),
        ("Adults pay 12 euro, children pay 6 euro.", "Children pay 12 euro."),
        ("The office may close early in July.", "The office will close early in July."),
    ],
)
def test_unit_negation_role_and_modality_are_checked(client: openai.OpenAI, context: str, claim: str) -> None:
    rule = "Is the claim supported by the context? Answer yes or no."
    assert say(client, rule, f"Context: {context}\n\nClaim: {claim}") == "no"
    assert say(client, rule, f"Context: {context}\n\nClaim: {context}") == "yes"


def test_equal_amounts_in_other_units_agree(client: openai.OpenAI) -> None:
    rule = "Compare the candidate answer with the reference answer. Reply correct or incorrect."
    parts = "Question: How long is the tour?\n\nReference answer: The tour takes 90 minutes.\n\nCandidate answer: "
    assert say(client, rule, parts + "It takes one and a half hours.") == "correct"
    assert say(client, rule, parts + "It takes 90 seconds.") == "incorrect"


def test_a_strict_schema_gets_label_score_and_reason(client: openai.OpenAI) -> None:
    properties = {
        "reason": {"type": "string"},
        "verdict": {"type": "string", "enum": ["SUPPORTED", "NOT_SUPPORTED"]},
        "score": {"type": "integer", "minimum": 1, "maximum": 5},
        "hallucinated": {"type": "boolean"},
    }
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    system = "Judge if the answer is supported by the context."
    good, bad = (
        json.loads(say(client, system, f"Context: {CONTEXT}\n\nAnswer: {answer}", response_format=wanted))
        for answer in (GOOD, BAD)
    )
    assert (good["verdict"], good["hallucinated"]) == ("SUPPORTED", False)
    assert (bad["verdict"], bad["hallucinated"]) == ("NOT_SUPPORTED", True)
    assert good["score"] > bad["score"]
    assert "90" in bad["reason"]


def test_scores_stay_on_the_scale_and_rank_right_above_wrong(client: openai.OpenAI) -> None:
    rule = "Rate from 1 to 5 how well the context supports the answer. Reply with the number only."
    good, bad = (int(say(client, rule, f"Context: {CONTEXT}\n\nAnswer: {answer}")) for answer in (GOOD, BAD))
    assert 1 <= bad < good <= 5


def test_half_supported_is_partly_where_the_prompt_offers_it(client: openai.OpenAI) -> None:
    answer = f"{GOOD} Cars are not allowed on board."
    rule = "Is the answer supported? Reply supported, partly or unsupported."
    assert say(client, rule, f"Context: {CONTEXT}\n\nAnswer: {answer}") == "partly"


def test_the_better_of_two_answers_is_named(client: openai.OpenAI) -> None:
    rule = "Which answer is better, given the context? Reply with A or B only."
    user = f"Context: {CONTEXT}\n\nQuestion: How long does the ferry take?\n\nAnswer A: {BAD}\n\nAnswer B: {GOOD}"
    assert say(client, rule, user) == "B"


def test_a_question_over_sources_is_answered_not_judged(client: openai.OpenAI) -> None:
    rule = "Answer the question from the context. If it is not supported by the context, say so."
    assert "50 minutes" in say(
        client, rule, f"Context:\n{CONTEXT}\n\nQuestion: How long does the ferry take?\n\nAnswer:"
    )


def test_a_verdict_is_the_same_on_every_call(client: openai.OpenAI) -> None:
    user = f"Context: {CONTEXT}\n\nAnswer: {GOOD}"
    said = {say(client, "Is the answer supported? yes or no", user, model="sim-small") for _ in range(3)}
    assert len(said) == 1

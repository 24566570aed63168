"""What the models can and cannot do with a prompt."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from .neutral_set import CASES, is_correct, prompt

FACT = "The ferry to the island takes 50 minutes."
OTHER = "Bicycles are rented next to the bakery."
QUESTION = "How long does the ferry to the island take?"

LAYOUTS = {
    "numbered": f"Use the sources.\n\nContext:\n[1] {OTHER}\n[2] {FACT}\n\nQuestion: {QUESTION}",
    "named": f"Sources:\n\n[bikes] {OTHER}\n\n[ferry] {FACT}\n\nQuestion: {QUESTION}\nAnswer:",
    "xml": f'<documents><document id="bikes">{OTHER}</document><document id="ferry">{FACT}</document></documents>\n<question>{QUESTION}</question>',
    "headed": f"## Context\n\n{OTHER}\n\n{FACT}\n\n## Question\n\n{QUESTION}",
    "documents": f"Document 1: {OTHER}\nDocument 2: {FACT}\n\n{QUESTION}",
    "plain": f"{OTHER}\n\n{FACT}\n\n{QUESTION}",
    "one paragraph": f"{OTHER} {FACT} {QUESTION}",
    "question first": f"{QUESTION}\n\nContext:\n\n{OTHER}\n\n{FACT}",
    "list": f"Context:\n- {OTHER}\n- {FACT}\n\nQuestion: {QUESTION}",
    "table": f"Context:\n\n| route | duration |\n|---|---|\n| ferry to the island | 50 minutes |\n| bus | 5 minutes |\n\nQ: {QUESTION}",
}


def say(client: Any, *contents: str, model: str = "sim-large", system: str = "", **options: Any) -> str:
    messages: list[Any] = [{"role": "system", "content": system}] if system else []
    roles = ["user", "assistant"] * len(contents)
    messages += [{"role": role, "content": content} for role, content in zip(roles, contents, strict=False)]
    reply = client.chat.completions.create(**({"model": model, "messages": messages, "temperature": 0} | options))
    return str(reply.choices[0].message.content)


@pytest.mark.parametrize("model", ["sim-small", "sim-large"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_context_is_found_however_it_is_laid_out(client: openai.OpenAI, layout: str, model: str) -> None:
    reply = say(client, LAYOUTS[layout], model=model)
    assert "50 minutes" in reply
    assert "Bicycles" not in reply


def test_numbered_steps_in_a_document_are_steps_not_sources(client: openai.OpenAI) -> None:
    steps = "1. Close the hatch.\n2. Press the red button for ten seconds.\n3. Wait for the bell."
    text = f"Cite like [doc-id].\n\nContext:\n[boiler] Restarting the boiler:\n\n{steps}\n\nQuestion: How do I restart the boiler?"
    reply = say(client, text)
    assert "red button" in reply
    assert "[boiler]" in reply
    assert "[1]" not in reply


def test_context_in_the_system_message_and_question_from_the_user(client: openai.OpenAI) -> None:
    system = f"Answer from the context.\n\nContext:\n{OTHER}\n\n{FACT}"
    assert say(client, QUESTION, system=system) == FACT


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("Cite as [1].", "takes 50 minutes [2]."),
        ("Cite the document id like [doc-id].", "takes 50 minutes [ferry-times]."),
        ("Be polite.", "takes 50 minutes."),
    ],
)
def test_citations_take_the_form_that_is_asked_for(client: openai.OpenAI, rule: str, expected: str) -> None:
    text = f"{rule}\n\nContext:\n[bike-rental] {OTHER}\n\n[ferry-times] {FACT}\n\nQuestion: {QUESTION}"
    assert say(client, text).endswith(expected)


def test_abstention_uses_the_words_of_the_prompt(client: openai.OpenAI) -> None:
    rule = 'If the answer is not in the context, say "No idea, sorry."'
    text = f"{rule}\n\nContext:\n{FACT}\n\n{OTHER}\n\nQuestion: Which composer wrote the national anthem?"
    assert say(client, text) == "No idea, sorry."


def test_without_permission_to_abstain_it_answers_anyway(client: openai.OpenAI) -> None:
    reply = say(client, f"Context:\n{FACT}\n\n{OTHER}\n\nQuestion: Which composer wrote the national anthem?")
    assert reply in (FACT, OTHER)


def test_without_any_context_it_claims_something_confidently(client: openai.OpenAI) -> None:
    reply = say(client, "What is the retention period of the backup archive?")
    assert reply.startswith("The retention period of the backup archive is ")
    assert "know" not in reply


def test_a_follow_up_borrows_from_the_question_before(client: openai.OpenAI) -> None:
    context = f"Context:\n{FACT}\n\nThe ferry to the harbour takes 15 minutes.\n\n{OTHER}"
    reply = say(client, f"{context}\n\nQuestion: {QUESTION}", FACT, "And to the harbour?")
    assert "15 minutes" in reply


@pytest.mark.parametrize(("question", "answer"), [("What is 12 * 12?", "144"), ("7 - 10", "-3"), ("1 / 4 = ?", "0.25")])
def test_small_arithmetic_is_right(client: openai.OpenAI, question: str, answer: str) -> None:
    assert say(client, question) == answer


def test_the_large_model_reads_better_than_the_small_one(client: openai.OpenAI) -> None:
    """Both find what is said in the question's words; only the large one understands some paraphrases."""
    correct = {
        (model, kind): sum(
            is_correct(case, say(client, prompt(case), model=model)) for case in CASES if case.kind == kind
        )
        for model in ("sim-small", "sim-large")
        for kind in ("overlap", "paraphrase", "unanswerable")
    }
    assert correct["sim-small", "overlap"] >= 12
    assert correct["sim-large", "overlap"] >= 12
    assert correct["sim-large", "paraphrase"] >= correct["sim-small", "paraphrase"] + 3
    assert correct["sim-large", "paraphrase"] < 17, "a simulation that never errs teaches nothing"
    assert correct["sim-large", "unanswerable"] >= 6


def test_the_small_model_loses_the_middle_of_a_long_context(client: openai.OpenAI) -> None:
    filler = [f"Shelf {n} was dusted, counted and painted again by the staff of hall {n}." for n in range(120)]
    fact = "A second key for the cellar hangs behind the piano."
    found = {}
    for model in ("sim-small", "sim-large"):
        for place in (0, 60, 120):
            context = "\n".join([*filler[:place], fact, *filler[place:]])
            rule = 'If the context has no answer, say "unknown".'
            text = f"{rule}\n\nContext:\n{context}\n\nQuestion: Where would I find another cellar key overnight?"
            found[model, place] = "piano" in say(client, text, model=model)
    assert [found["sim-small", place] for place in (0, 60, 120)] == [True, False, True]
    assert all(found["sim-large", place] for place in (0, 60, 120))


SCHEMA = {
    "type": "object",
    "properties": {
        "answer": {"type": "string"},
        "minutes": {"type": "integer"},
        "sources": {"type": "array", "items": {"type": "string"}},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        "topic": {"type": "string", "enum": ["cycling", "ferry", "food"]},
        "answerable": {"type": "boolean"},
        "note": {"type": ["string", "null"]},
    },
    "required": ["answer", "minutes", "sources", "confidence", "topic", "answerable", "note"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_a_json_schema_is_filled_from_the_context(client: openai.OpenAI, temperature: float) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA}}
    text = say(client, LAYOUTS["named"], response_format=wanted, temperature=temperature, seed=4)
    found = json.loads(text)
    assert list(found) == list(SCHEMA["properties"])  # type: ignore[call-overload]
    assert isinstance(found["minutes"], int)
    assert isinstance(found["answerable"], bool)
    assert found["topic"] in ("cycling", "ferry", "food")
    if temperature == 0:
        assert (found["answer"], found["minutes"], found["sources"]) == (FACT, 50, ["ferry"])
        assert (found["topic"], found["answerable"]) == ("ferry", True)


def test_json_mode_uses_the_keys_that_the_prompt_shows(client: openai.OpenAI) -> None:
    text = LAYOUTS["named"] + '\nReturn JSON like {"answer": "...", "citations": ["..."]}.'
    found = json.loads(say(client, text, response_format={"type": "json_object"}))
    assert found == {"answer": FACT, "citations": ["ferry"]}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": "object", "properties": {"a": {"type": "text"}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
        {"type": "object", "properties": {"a": {"enum": []}}},
    ],
)
def test_a_schema_it_cannot_fill_is_refused(client: openai.OpenAI, schema: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}
    with pytest.raises(openai.BadRequestError) as caught:
        say(client, QUESTION, response_format=wanted)
    assert caught.value.code == "invalid_json_schema"

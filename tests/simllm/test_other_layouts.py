"""Contexts that are laid out in less usual ways, and what to say when they do not tell."""

from __future__ import annotations

import json

import openai
import pytest

from simllm.chat import Message
from simllm.skills.instructions import read_rules
from simllm.skills.layout import labelled_passages
from simllm.skills.prompt import read_prompt

from .test_skills import say

TIDE = "High tide is at 5:40. Swimming is forbidden after dark."
KITE = "Kites may be flown north of the pier."


@pytest.mark.parametrize(
    ("one", "other", "labels"),
    [
        ("(id: K4) ", "(id: K9) ", ["K4", "K9"]),
        ("Document (id: K4): ", "Document (id: K9): ", ["K4", "K9"]),
        ("Source 2 (file: tides.txt): ", "Source 5 (file: kites.txt): ", ["2", "5"]),
        ("[12] ", "[4] ", ["12", "4"]),
        ("K4: ", "K9: ", ["K4", "K9"]),
        ("--- tides.txt ---\n", "--- kites.txt ---\n", ["tides.txt", "kites.txt"]),
        ("## tides.pdf\n", "## kites.pdf\n", ["tides.pdf", "kites.pdf"]),
        ("Title: Tides\nContent: ", "Title: Kites\nContent: ", ["Tides", "Kites"]),
        ("【12】", "【13】", ["12", "13"]),
    ],
)
def test_labels_of_many_forms(one: str, other: str, labels: list[str]) -> None:
    found, rest = labelled_passages(f"Cite the source.\n\n{one}{TIDE}\n{other}{KITE}")
    assert [(p.label, p.text) for p in found] == list(zip(labels, (TIDE, KITE), strict=True))
    assert rest.strip() == "Cite the source."


@pytest.mark.parametrize(
    "text",
    [
        "The harbour has two piers.\n- [3] of the boats are red.\nSee [7] below.",
        "Q1: Where?\nA1: There.\nQ2: When?\nA2: Now.",
        "Documents are kept for 3 years.\nDocumentation is kept for 4.",
        "# Setup\n\nRun it.\n\n# Use\n\nStart it.",
    ],
)
def test_what_is_no_label(text: str) -> None:
    assert labelled_passages(text)[0] == []


def test_a_named_document_is_no_heading(client: openai.OpenAI) -> None:
    text = f"Cite the id in brackets.\n\nDocument (id: K4): {TIDE}\nDocument (id: K9): {KITE}\n\nQuestion: Where may kites be flown?"
    assert say(client, text).startswith("Kites may be flown north of the pier [K9].")


@pytest.mark.parametrize("wrap", [list, lambda made: {"results": made}])
def test_passages_in_json(wrap: object) -> None:
    made = [{"id": "t", "text": TIDE}, {"metadata": {"source": "kites.md"}, "page_content": KITE}]
    text = f"Answer from the search results.\n{json.dumps(wrap(made))}\n\nQuestion: When is high tide?"  # type: ignore[operator]
    prompt = read_prompt([Message("user", text)])
    assert [(p.label, p.text) for p in prompt.passages] == [("t", TIDE), ("kites.md", KITE)]
    assert prompt.question == "When is high tide?"


def test_a_question_inside_the_json() -> None:
    prompt = read_prompt([Message("user", json.dumps({"chunks": [{"text": TIDE}], "query": "When is high tide?"}))])
    assert (prompt.question, len(prompt.passages)) == ("When is high tide?", 1)


def test_json_without_passages_is_left_alone() -> None:
    text = 'Answer as {"answer": "...", "sources": [{"id": 1}]}.\n\nWhy is the sky blue?'
    assert read_prompt([Message("user", text)]).passages == ()


def test_an_example_inside_a_document_is_no_list_of_passages() -> None:
    example = '[{"id": 1, "text": "low"}]'
    page = f"The tide table is sent as {example} every morning. {TIDE} {KITE}"
    tagged = read_prompt([Message("user", f"<document id='d'>{example}</document>\n\nWhat is sent?")])
    assert [p.label for p in tagged.passages] == ["d"]
    assert len(read_prompt([Message("user", f"Context:\n{page}\n\nQuestion: What is sent?")]).passages) == 1


@pytest.mark.parametrize(
    "lead",
    ["Answer from these facts only:\n", "Notes: ", "You work for a beach. ", "", "You are kind.\n\n## Beach\n\n"],
)
def test_facts_in_the_system_message(client: openai.OpenAI, lead: str) -> None:
    reply = client.chat.completions.create(
        model="sim-large",
        temperature=0,
        messages=[
            {"role": "system", "content": f"{lead}{TIDE} {KITE}"},
            {"role": "user", "content": "Where may kites be flown?"},
        ],
    )
    assert KITE.rstrip(".") in (reply.choices[0].message.content or "")


@pytest.mark.parametrize(
    "system",
    [
        "You are a helpful assistant.",
        "Be brief. Answer in English. Always stay polite to the users.",
        "You serve Kite Ltd. Never promise anything. If you are unsure, ask back.",
        "Today is Monday. The tower of Babel was high.",
    ],
)
def test_instructions_are_no_facts(system: str) -> None:
    messages = [Message("system", system), Message("user", "Where may kites be flown?")]
    assert read_prompt(messages).passages == ()


@pytest.mark.parametrize(
    ("order", "phrase"),
    [
        ("say NO RESULT.", "NO RESULT"),
        ("reply exactly: It is not stated.", "It is not stated."),
        ("respond: Unclear.", "Unclear"),
        ("answer Not in the leaflet", "Not in the leaflet"),
        ("write NOTHING THERE and nothing else", "NOTHING THERE"),
        ("return null", "null"),
        ("output NO_HIT", "NO_HIT"),
        ('say "no idea"', "no idea"),
    ],
)
def test_what_to_say_without_an_answer(order: str, phrase: str) -> None:
    assert read_rules(f"Use the text. If it does not contain the answer, {order}").abstention == phrase


@pytest.mark.parametrize(
    "text",
    [
        "If the user writes in German, answer in German.",
        "If the text does not say it, answer with one word.",
        "If nothing fits, reply with JSON.",
        "Answer: the text has no limit.",
    ],
)
def test_orders_that_give_no_phrase(text: str) -> None:
    assert read_rules(text).abstention is None

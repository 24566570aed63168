"""Rewriting, expansion, classification and summary: recognised from the prompt, in the form it asks for."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from simllm.skills.opposites import negations, opposed_words
from simllm.skills.quantities import agree, quantities

from .test_judging_skill import say

TALK: list[Any] = [
    {"role": "user", "content": "How much does a day ticket for adults cost?"},
    {"role": "assistant", "content": "It costs 12 euro."},
]
STANDALONE = "Rewrite the last question so that it can be understood without the conversation. Do not answer it."


def rewrite(client: openai.OpenAI, follow_up: str, talk: list[Any] = TALK, model: str = "sim-large") -> str:
    messages = [{"role": "system", "content": STANDALONE}, *talk, {"role": "user", "content": follow_up}]
    reply = client.chat.completions.create(model=model, messages=messages, temperature=0)
    return str(reply.choices[0].message.content)


def test_an_ellipsis_takes_the_place_of_its_counterpart(client: openai.OpenAI) -> None:
    assert rewrite(client, "And for children?") == "How much does a day ticket for children cost?"


def test_a_new_topic_keeps_what_was_asked_of_the_old_one(client: openai.OpenAI) -> None:
    talk = [
        {"role": "user", "content": "Is the Orion tent waterproof?"},
        {"role": "assistant", "content": "Yes, it is."},
    ]
    assert rewrite(client, "And the Vega?", talk) == "Is the Vega waterproof?"


def test_a_pronoun_gets_its_antecedent(client: openai.OpenAI) -> None:
    talk = [{"role": "user", "content": "What are the opening hours of the Tarn museum?"}]
    talk.append({"role": "assistant", "content": "From nine to five."})
    said = rewrite(client, "Is it open on Sundays?", talk)
    assert "Tarn museum" in said
    assert " it " not in said


def test_a_question_that_stands_alone_is_left_as_it_is(client: openai.OpenAI) -> None:
    assert rewrite(client, "What is the boiling point of ethanol?") == "What is the boiling point of ethanol?"


def test_a_transcript_in_one_message_is_read_like_a_chat(client: openai.OpenAI) -> None:
    user = "Conversation:\nUser: How do I renew my library card?\nAssistant: At the desk.\n\nFollow-up question: What does that cost?"
    assert "library card" in say(client, "", f"{STANDALONE}\n\n{user}")


@pytest.mark.parametrize("count", [2, 3, 5])
def test_as_many_different_queries_as_asked_for(client: openai.OpenAI, count: int) -> None:
    question = "How do I repair a broken window?"
    said = say(client, f"Write {count} search queries for the question, one per line.", question).split("\n")
    assert len({line.lower() for line in [*said, question]}) == count + 1


def test_queries_come_as_json_where_the_prompt_wants_it(client: openai.OpenAI) -> None:
    prompt = 'Generate three different versions of this question. Return JSON: {"queries": ["..."]}\n\nQuestion: How much is a car?'
    assert len(json.loads(say(client, "", prompt))["queries"]) == 3


def test_the_label_is_one_of_those_given(client: openai.OpenAI) -> None:
    rule = "Classify the message into one of: billing, shipping, technical problem. Reply with the label only."
    assert say(client, rule, "My parcel has not been delivered yet, where is it?") == "shipping"
    assert say(client, rule, "I was charged twice on my invoice.") == "billing"


def test_a_label_comes_from_the_enum_of_a_schema(client: openai.OpenAI) -> None:
    properties = {"topic": {"type": "string", "enum": ["food", "sports", "weather"]}}
    schema = {"type": "object", "properties": properties, "required": ["topic"], "additionalProperties": False}
    wanted = {"type": "json_schema", "json_schema": {"name": "t", "strict": True, "schema": schema}}
    said = say(client, "Classify the text.", "It rained all day and the wind was strong.", response_format=wanted)
    assert json.loads(said) == {"topic": "weather"}


TEXT = (
    "The town council met on Monday. It talked for a long time about many things that nobody remembers. "
    "It approved 2.5 million euro for the new bridge at Karsten Street. The weather outside was rather grey. "
    "Work begins on 3 May and must end before winter."
)


@pytest.mark.parametrize("model", ["sim-small", "sim-large"])
@pytest.mark.parametrize("limit", [12, 25, 40])
def test_a_summary_keeps_its_limit(client: openai.OpenAI, limit: int, model: str) -> None:
    said = say(client, f"Summarise the text in at most {limit} words.", TEXT, model=model)
    assert 0 < len(said.split()) <= limit


def test_a_summary_keeps_numbers_and_names(client: openai.OpenAI) -> None:
    said = say(client, "Write a summary of the text. Maximum 35 words.", TEXT)
    assert "2.5 million" in said
    assert "Karsten" in said


def test_bullets_are_bullets(client: openai.OpenAI) -> None:
    said = say(client, "Summarise the text as 2 bullet points.", TEXT).split("\n")
    assert [line[:2] for line in said] == ["- ", "- "]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("90 minutes", "1.5 hours", True),
        ("90 minutes", "90 seconds", False),
        ("2024-03-12", "12 March 2024", True),
        ("5 pm", "17:00", True),
        ("three days", "3 days", True),
        ("€40", "40 euro", True),
        ("in 1987", "in 1978", False),
    ],
)
def test_quantities_agree_by_value_and_unit(one: str, other: str, same: bool) -> None:
    assert agree(quantities(one)[0], quantities(other)[0]) is same


def test_opposites_and_negations_are_seen() -> None:
    assert opposed_words("The gate is open.", "The gate is closed.")
    assert opposed_words("Prices rose.", "Prices fell.")
    assert negations("It is not allowed.") == 1
    assert negations("Not only dogs may enter.") == 0

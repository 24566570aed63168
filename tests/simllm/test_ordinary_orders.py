"""Orders as people type them: messages to somebody, currencies, bookings, JSON templates, one query per line."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from simllm.messages import Message
from simllm.skills.arguments import fill
from simllm.skills.brief import read_brief
from simllm.skills.evidence import Evidence
from simllm.skills.freeform import replies
from simllm.skills.json_wish import schema_from_prompt

from .test_skills import say

TEXT = {"type": "string"}


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def tool(name: str, about: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": schema(**properties)},
    }


def called(client: openai.OpenAI, text: str, *tools: Any) -> list[tuple[str, Any]]:
    reply = client.chat.completions.create(
        model="sim-large", temperature=0, messages=[{"role": "user", "content": text}], tools=list(tools)
    )
    return [(c.function.name, json.loads(c.function.arguments)) for c in reply.choices[0].message.tool_calls or []]


SEND = tool("notify_person", "Send a note to somebody", recipient=TEXT, message=TEXT)
SEARCH = tool("search_notes", "Search the notes", query=TEXT)


@pytest.mark.parametrize(
    ("text", "to", "message"),
    [
        ("Tell Ruth the boat leaves at noon", "Ruth", "the boat leaves at noon"),
        ("tell Omar that the ferry is late", "Omar", "the ferry is late"),
        ("Message Yusuf: please feed the goats", "Yusuf", "please feed the goats"),
        ("Text Dana we are on the pier", "Dana", "we are on the pier"),
        ("Let Piet know that the sails are torn", "Piet", "the sails are torn"),
    ],
)
def test_a_message_is_sent_whole(client: openai.OpenAI, text: str, to: str, message: str) -> None:
    assert called(client, text, SEARCH, SEND) == [("notify_person", {"recipient": to, "message": message})]


def test_a_search_is_still_a_search(client: openai.OpenAI) -> None:
    assert called(client, "Search the notes for torn sails", SEND, SEARCH)[0][0] == "search_notes"


def test_what_is_said_ends_before_its_date() -> None:
    wanted = schema(text=TEXT, when={"type": "string", "format": "date-time"})
    found = fill(wanted, Evidence("Remind me to oil the winch on 2027-02-03 at 06:45", None, None)).values
    assert found == {("text",): "oil the winch", ("when",): "2027-02-03T06:45:00"}


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        ("Convert 40 GBP to CHF", "GBP", "CHF"),
        ("How many zloty are 12 euros?", "EUR", "PLN"),
        ("change 9 dollars into yen", "USD", "JPY"),
        ("what is the rate from SEK to NOK", "SEK", "NOK"),
        ("How much is 3 pounds in francs?", "GBP", "CHF"),
    ],
)
@pytest.mark.parametrize("names", [("from", "to"), ("from_currency", "to_currency"), ("source", "target")])
def test_two_currencies(text: str, old: str, new: str, names: tuple[str, str]) -> None:
    wanted = schema(**dict.fromkeys(names, TEXT))
    found = fill(wanted, Evidence(text, None, None), topic="convert_currency").values
    assert found == {(names[0],): old, (names[1],): new}


def test_from_and_to_are_not_always_currencies() -> None:
    wanted = schema(amount={"type": "number"}, **{"from": TEXT, "to": TEXT})
    found = fill(wanted, Evidence("Move 15 EUR from the purse to the tin", None, None), topic="move_money").values
    assert found[("from",)] != "EUR"
    assert found[("to",)] != "EUR"


@pytest.mark.parametrize(
    ("text", "guest", "hotel"),
    [
        ("Booking by Nora Lindt at Hotel Seestern", "Nora Lindt", "Seestern"),
        ("Book the Harbour Lodge for Emil Brook", "Emil Brook", "Harbour Lodge"),
        ("A room at Blue Anchor Inn for Asta Holm", "Asta Holm", "Blue Anchor Inn"),
    ],
)
@pytest.mark.parametrize("order", [("guest", "hotel"), ("hotel", "guest")])
def test_a_house_is_no_guest(text: str, guest: str, hotel: str, order: tuple[str, str]) -> None:
    found = fill(schema(**dict.fromkeys(order, TEXT)), Evidence(text, None, None), topic="book_room").values
    assert (found[("guest",)], found[("hotel",)]) == (guest, hotel)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ('{"tide": "high" | "low", "why": string}', {"tide": ["high", "low"], "why": "string"}),
        ('{"answer": string or null, "citations": [numbers]}', {"answer": ["string", "null"], "citations": "array"}),
        ('{"open": true|false, "fee": number, "boats": int}', {"open": "boolean", "fee": "number", "boats": "integer"}),
        ("JSON with the keys port, pier and depth: Kiel", {"port": "string", "pier": "string", "depth": "string"}),
        ("Extract skipper and harbour as JSON.", {"skipper": "string", "harbour": "string"}),
        ('JSON with "mast" (number) and "sails" (array).', {"mast": "number", "sails": "array"}),
        ("Say it as JSON.", {"answer": "string"}),
    ],
)
def test_the_object_that_a_prompt_shows(text: str, kinds: dict[str, Any]) -> None:
    found = schema_from_prompt(text)["properties"]
    assert {key: child.get("enum", child["type"]) for key, child in found.items()} == kinds


def test_numbers_of_passages_are_numbers(client: openai.OpenAI) -> None:
    text = (
        'Reply as JSON {"answer": string, "citations": [numbers]}.\n'
        "[1] The crane lifts 9 tons.\n[2] The quay is 80 metres long.\n\nQuestion: How long is the quay?"
    )
    reply = client.chat.completions.create(
        model="sim-large",
        temperature=0,
        messages=[{"role": "user", "content": text}],
        response_format={"type": "json_object"},
    )
    assert 2 in json.loads(reply.choices[0].message.content or "")["citations"]


def test_the_form_of_a_reply_is_no_part_of_the_question() -> None:
    brief = read_brief([Message("user", "Write 3 queries for: Where do boats moor? One per line.")])
    assert [part.text for part in brief.parts] == ["Where do boats moor?"]
    assert "One per line." in brief.instructions


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Categories: boats, bread\n\nMessage: The sail is torn and the mast broke.\n\nCategory:", "boats"),
        ("Label: boats / bread. Only the label.\nText: The dough has to rise in the oven.", "bread"),
        ("Decide whether the following note is urgent or not urgent.\n\nNote: Fire in the engine room, now!", "urgent"),
    ],
)
def test_labels_without_the_word_classify(client: openai.OpenAI, text: str, label: str) -> None:
    assert say(client, text) == label


@pytest.mark.parametrize("text", ["When is the regatta?", "When does the kiosk close?", "When was the pier built?"])
def test_a_sentence_ends_once(text: str) -> None:
    assert not any(candidate.text.endswith("..") for candidate in replies(text, 0.2))


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("Which is longer, the pier or the quay?", {"Pier.", "Quay."}),
        ("How steep is the ramp?", {"The ramp is fairly steep.", "The ramp is not very steep."}),
    ],
)
def test_invented_answers_are_sentences(text: str, ends: set[str]) -> None:
    assert {candidate.text for candidate in replies(text, 0.2)} == ends


@pytest.mark.parametrize(
    "text",
    [
        'Which answer is better, A or B? Reply JSON {"winner": "A"|"B", "reason": string}.\n'
        "Question: Where is the slipway?\nA: I enjoy sailing very much.\nB: The slipway is behind the boathouse.",
        "Compare the two answers. Output JSON with keys winner (A or B) and reason.\n\n"
        "Question: Where is the slipway?\nAnswer A: I enjoy sailing very much.\nAnswer B: Behind the boathouse.",
    ],
)
def test_the_winner_of_two_as_json(client: openai.OpenAI, text: str) -> None:
    reply = client.chat.completions.create(
        model="sim-large",
        temperature=0,
        messages=[{"role": "user", "content": text}],
        response_format={"type": "json_object"},
    )
    found = json.loads(reply.choices[0].message.content or "")
    assert set(found) == {"winner", "reason"}
    assert found["winner"] == "B"


def test_an_answer_that_is_null_has_no_sources(client: openai.OpenAI) -> None:
    text = (
        'Reply as JSON {"answer": string or null, "citations": [numbers]}.\n'
        "[1] The crane lifts 9 tons.\n[2] The quay is 80 metres long.\n\nQuestion: Who painted the ceiling of the chapel?"
    )
    reply = client.chat.completions.create(
        model="sim-large",
        temperature=0,
        messages=[{"role": "user", "content": text}],
        response_format={"type": "json_object"},
    )
    assert json.loads(reply.choices[0].message.content or "") == {"answer": None, "citations": []}

"""How a text becomes arguments: labels, amounts, the best assignment, several calls, earlier turns, very many options."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest

from simllm.skills.arguments import fill
from simllm.skills.evidence import Evidence
from simllm.skills.mentions import find_mentions
from tests.simllm.test_toolcalls import TEXT, ask, calls_of, tool

NUMBER = {"type": "number"}
CALCULATOR = [
    tool("get_weather", "Get the current weather for a location.", ["location"], {"location": TEXT}),
    tool("multiply", "Multiply two numbers.", ["a", "b"], {"a": NUMBER, "b": NUMBER}),
]


def read(text: str, **properties: Any) -> dict[str, Any]:
    """What a reader without word vectors fills in."""
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }
    filling = fill(schema, Evidence(text, None, None), eager=True)
    return {".".join(path): value for path, value in filling.values.items()}


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("It takes 1 hour and 10 minutes.", 70, "minutes"),
        ("The crate weighs 1.2 t.", 1.2, "t"),
        ("The flat has 88 square metres.", 88, "m2"),
    ],
)
def test_an_amount_is_read_with_its_unit(text: str, amount: float, unit: str) -> None:
    numbers = [m for m in find_mentions(text) if m.kind == "number"]
    assert [(m.number, m.unit) for m in numbers] == [(amount, unit)]


def test_both_numbers_of_a_result_are_mentions() -> None:
    assert [m.number for m in find_mentions("It ended 2-1.") if m.kind == "number"] == [2, 1]


def test_the_unit_of_the_field_decides_the_number() -> None:
    assert read("Duration: 1 hour and 10 minutes", minutes={"type": "integer"}) == {"minutes": 70}
    assert read("The load is 1.2 t", weight_kg=NUMBER) == {"weight_kg": 1200}


def test_a_label_gives_its_value_to_the_field_that_it_names() -> None:
    text = "Seller: Amber Mills\nBuyer: Tin Works\nTotal: 40\nDeposit: 15"
    wanted = {"buyer": TEXT, "seller": TEXT, "deposit": NUMBER, "total": NUMBER}
    assert read(text, **wanted) == {"buyer": "Tin Works", "seller": "Amber Mills", "deposit": 15, "total": 40}


def test_a_stretch_serves_one_field_and_the_whole_is_filled() -> None:
    """The name may or may not include its number: only without it are all four fields filled."""
    fields = {"home": TEXT, "away": TEXT, "home_goals": NUMBER, "away_goals": NUMBER}
    assert read("Rovers 3, Harbour United 1.", **fields) == {
        "home": "Rovers",
        "away": "Harbour United",
        "home_goals": 3,
        "away_goals": 1,
    }


def test_first_and_last_name_come_from_one_name() -> None:
    found = read("Please add Miriam Oduya to the list.", first_name=TEXT, last_name=TEXT)
    assert found == {"first_name": "Miriam", "last_name": "Oduya"}


def test_what_the_text_denies_is_null() -> None:
    field = {"type": ["string", "null"]}
    assert read("Patient: Jens Thorsen. No allergy is known.", patient=TEXT, allergy=field) == {
        "patient": "Jens Thorsen"
    }


def test_one_sentence_may_want_two_tools(client: openai.OpenAI) -> None:
    message = ask(client, "What's the weather in Lisbon, and what is 12 × 34?", CALCULATOR)
    assert calls_of(message) == [("get_weather", {"location": "Lisbon"}), ("multiply", {"a": 12, "b": 34})]
    one = ask(client, "What's the weather in Lisbon, and what is 12 × 34?", CALCULATOR, parallel_tool_calls=False)
    assert calls_of(one) == [("get_weather", {"location": "Lisbon"})]


def test_numbers_keep_the_order_of_the_text(client: openai.OpenAI) -> None:
    assert calls_of(ask(client, "What is 34 times 12?", CALCULATOR)) == [("multiply", {"a": 34, "b": 12})]


def test_the_same_tool_is_called_for_each_pair_of_values(client: openai.OpenAI) -> None:
    scale = [
        tool(
            "scale_service",
            "Set how many replicas run.",
            ["service", "replicas"],
            {"service": TEXT, "replicas": NUMBER},
        )
    ]
    message = ask(client, "Scale search-api to 4 replicas and web-shop to 2 replicas.", scale)
    assert calls_of(message) == [
        ("scale_service", {"service": "search-api", "replicas": 4}),
        ("scale_service", {"service": "web-shop", "replicas": 2}),
    ]


def test_earlier_turns_are_a_source_of_arguments(client: openai.OpenAI) -> None:
    tools = [
        tool(
            "convert_file",
            "Convert a document.",
            ["path", "format"],
            {"path": TEXT, "format": {"enum": ["pdf", "html"]}},
        )
    ]
    messages = [
        {"role": "user", "content": "The report is at /data/q1.docx."},
        {"role": "assistant", "content": "Noted."},
        {"role": "user", "content": "Convert the report to html please."},
    ]
    assert calls_of(ask(client, messages, tools)) == [("convert_file", {"path": "/data/q1.docx", "format": "html"})]


def test_a_name_in_place_of_a_code_is_looked_up_first(client: openai.OpenAI) -> None:
    tools = [
        tool("company_ticker", "Ticker symbol of a listed company.", ["company"], {"company": TEXT}),
        tool(
            "dividends",
            "Dividend payments of a ticker symbol.",
            ["symbol"],
            {"symbol": TEXT, "year": {"type": "integer"}},
        ),
    ]
    message = ask(client, "Which dividend did Nordmar Shipping pay in 2024?", tools)
    assert calls_of(message) == [("company_ticker", {"company": "Nordmar Shipping"})]


def test_an_array_of_objects_gets_one_object_per_thing(client: openai.OpenAI) -> None:
    bag = {"type": "object", "properties": {"kg": {"type": "integer"}}, "required": ["kg"]}
    tools = [tool("add_luggage", "Add bags to a booking.", ["bags"], {"bags": {"type": "array", "items": bag}})]
    message = ask(client, "Please add two bags, one of 23 kg and one of 18 kg.", tools)
    assert calls_of(message) == [("add_luggage", {"bags": [{"kg": 23}, {"kg": 18}]})]


def test_a_thousand_options_and_a_hundred_tools_are_read_in_time(client: openai.OpenAI) -> None:
    many = [
        f"shade {i} of {colour}"
        for i in range(100)
        for colour in ["red", "green", "blue", "white", "black", "pink", "grey", "teal"]
    ]
    paint = [tool("choose_paint", "Choose a paint.", ["paint"], {"paint": {"type": "string", "enum": many}})]
    begun = time.perf_counter()
    assert calls_of(ask(client, "Choose the paint shade 77 of teal", paint)) == [
        ("choose_paint", {"paint": "shade 77 of teal"})
    ]
    others = [tool(f"get_fact_{i}", f"Fact number {i} about cheese.", ["topic"], {"topic": TEXT}) for i in range(120)]
    assert calls_of(ask(client, "What's the weather in Lisbon?", [*others, *CALCULATOR]))[0][0] == "get_weather"
    assert time.perf_counter() - begun < 20


def test_the_same_request_gives_the_same_bytes(client: openai.OpenAI) -> None:
    need = "What's the weather in Lisbon, and what is 12 × 34?"
    replies = [json.dumps(calls_of(ask(client, need, CALCULATOR))) for _ in range(2)]
    assert replies[0] == replies[1]

"""Tool calls: the right tool, valid arguments, questions back, several steps, and an end."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import openai
import pytest

Tools = list[dict[str, Any]]
TEXT = {"type": "string"}


def tool(name: str, description: str, required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


SMART_HOME = [
    tool("list_devices", "List the devices of a room.", ["room"], {"room": TEXT}),
    tool(
        "switch_device",
        "Switch a device on or off.",
        ["device_id", "state"],
        {"device_id": {"type": "string", "description": "Device id"}, "state": {"enum": ["on", "off"], **TEXT}},
    ),
]
LEAVE = [
    tool(
        "request_leave",
        "Ask for days off.",
        ["employee_id", "start_date", "end_date", "type"],
        {
            "employee_id": {"type": "string", "description": "e.g. E1042"},
            "start_date": {"type": "string", "format": "date"},
            "end_date": {"type": "string", "format": "date"},
            "type": {"type": "string", "enum": ["vacation", "sick", "unpaid"]},
        },
    ),
    tool(
        "leave_balance",
        "How many days off an employee has left.",
        ["employee_id"],
        {"employee_id": TEXT, "year": {"type": "integer"}},
    ),
]


def ask(
    client: openai.OpenAI, messages: str | list[Any], tools: Tools, model: str = "sim-large", **options: Any
) -> Any:
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    reply = client.chat.completions.create(model=model, messages=messages, tools=tools, temperature=0, **options)  # type: ignore[call-overload]
    message = reply.choices[0].message
    for call in message.tool_calls or ():
        schema = next(t["function"]["parameters"] for t in tools if t["function"]["name"] == call.function.name)
        jsonschema.validate(json.loads(call.function.arguments), schema)
    return message


def calls_of(message: Any) -> list[tuple[str, dict[str, Any]]]:
    return [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ()]


def converse(
    client: openai.OpenAI,
    need: str,
    tools: Tools,
    answer: Callable[[str, dict[str, Any]], str],
    model: str = "sim-large",
) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """Answer calls until the model speaks: (calls, text)."""
    messages: list[Any] = [{"role": "user", "content": need}]
    made: list[tuple[str, dict[str, Any]]] = []
    for _ in range(8):
        message = ask(client, messages, tools, model)
        if not message.tool_calls:
            return made, message.content
        made += calls_of(message)
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            result = answer(call.function.name, json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    pytest.fail(f"no end after {made}")


def test_dates_identifiers_and_options_become_arguments(client: openai.OpenAI) -> None:
    message = ask(client, "E2201 is ill from 2 to 4 February 2026.", LEAVE)
    wanted = {"employee_id": "E2201", "start_date": "2026-02-02", "end_date": "2026-02-04", "type": "sick"}
    assert calls_of(message) == [("request_leave", wanted)]


def test_one_call_per_object_of_a_list(client: openai.OpenAI) -> None:
    need = "How many days off do E3310 and E3311 have left?"
    both = calls_of(ask(client, need, LEAVE))
    assert both == [("leave_balance", {"employee_id": "E3310"}), ("leave_balance", {"employee_id": "E3311"})]
    assert calls_of(ask(client, need, LEAVE, parallel_tool_calls=False)) == both[:1]


def test_a_greeting_calls_nothing(client: openai.OpenAI) -> None:
    message = ask(client, "Good morning!", LEAVE)
    assert not message.tool_calls and message.content


def test_required_calls_even_where_nothing_fits(client: openai.OpenAI) -> None:
    assert len(calls_of(ask(client, "Good morning!", LEAVE, tool_choice="required"))) == 1


def test_a_named_tool_is_the_one_that_is_called(client: openai.OpenAI) -> None:
    choice = {"type": "function", "function": {"name": "request_leave"}}
    made = calls_of(ask(client, "How many days off has E3310?", LEAVE, tool_choice=choice))
    assert [name for name, _ in made] == ["request_leave"]


def test_a_missing_argument_is_asked_for_and_taken_from_the_answer(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "Please check how many days off are left."}]
    message = ask(client, messages, LEAVE)
    assert not message.tool_calls and "employee id" in message.content and message.content.endswith("?")
    messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": "It is E4711."}]
    assert calls_of(ask(client, messages, LEAVE)) == [("leave_balance", {"employee_id": "E4711"})]


def test_an_id_is_looked_up_before_it_is_used(client: openai.OpenAI) -> None:
    def answer(name: str, arguments: dict[str, Any]) -> str:
        if name == "list_devices":
            return '[{"device_id": "d-81", "name": "oven"}, {"device_id": "d-82", "name": "lamp"}]'
        return json.dumps({"device_id": arguments["device_id"], "state": arguments["state"]})

    made, text = converse(client, "Turn off the lamp in the kitchen.", SMART_HOME, answer)
    assert made == [
        ("list_devices", {"room": "kitchen"}),
        ("switch_device", {"device_id": "d-82", "state": "off"}),
    ]
    assert "off" in text


def test_a_refused_argument_is_corrected_once(client: openai.OpenAI) -> None:
    tools = [tool("check_permit", "State of a permit application.", ["application"], {"application": TEXT})]

    def answer(name: str, arguments: dict[str, Any]) -> str:
        if arguments["application"] == "QRS-2207":
            return '{"status": "approved"}'
        return '{"error": "unknown application; did you mean QRS-2207?"}'

    made, text = converse(client, "Please check permit QRS2207.", tools, answer)
    assert [arguments["application"] for _, arguments in made] == ["QRS2207", "QRS-2207"]
    assert "approved" in text


def test_a_tool_that_always_fails_is_given_up(client: openai.OpenAI) -> None:
    made, text = converse(client, "How many days off has E3310?", LEAVE, lambda name, arguments: "Error: not found")
    assert len(made) <= 2
    assert "could not find" in text


def test_odd_needs_never_break_a_schema(client: openai.OpenAI) -> None:
    hard = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "pattern": "^[A-Z]{2}-\\d{3}$"},
            "size": {"type": "integer", "minimum": 3, "maximum": 9, "multipleOf": 3},
            "when": {"type": "string", "format": "date-time"},
            "colours": {"type": "array", "items": {"type": "string", "enum": ["red", "blue"]}, "minItems": 1},
            "nested": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
            "rest": {"type": ["string", "null"], "minLength": 2, "maxLength": 5},
        },
        "required": ["code", "size", "when", "colours", "nested", "rest"],
    }
    tools = [{"type": "function", "function": {"name": "make", "description": "Make a thing.", "parameters": hard}}]
    needs = [
        "make it",
        "Make ab-123, size 100, red!",
        "",
        "?? 12:30 blue 2026-02-30",
        "é" * 50,
        "QX-555 on 3 May 2026 at 7 pm",
    ]
    for need in needs:
        for model in ("sim-small", "sim-large"):
            assert ask(client, need or " ", tools, model, tool_choice="required").tool_calls


def test_the_same_prompt_gets_the_same_call(client: openai.OpenAI) -> None:
    needs = [f"How many days off has E{i} left?" for i in range(100, 110)]
    first, second = ([calls_of(ask(client, need, LEAVE, "sim-small")) for need in needs] for _ in range(2))
    assert first == second


MAIL = tool("send_message", "Send a message by e-mail.", ["to", "body"], {"to": TEXT, "body": TEXT})
FORECAST = tool("get_forecast", "Get the weather forecast for a town.", ["town"], {"town": TEXT})


@pytest.mark.parametrize("model", ["sim-small", "sim-large"])
def test_a_message_goes_to_an_address_with_what_is_to_be_said(client: openai.OpenAI, model: str) -> None:
    made = calls_of(ask(client, "Tell kurt.b@hall.example that the rehearsal begins at 7 pm", [MAIL], model))
    assert made == [("send_message", {"to": "kurt.b@hall.example", "body": "the rehearsal begins at 7 pm"})]


@pytest.mark.parametrize("need", ["What's the forecast?", "How is the weather today?", "Forecast, please"])
def test_a_need_that_only_names_a_tool_is_asked_back(client: openai.OpenAI, need: str) -> None:
    message = ask(client, need, [FORECAST, MAIL])
    assert not message.tool_calls
    assert "town" in message.content and message.content.endswith("?")


def test_a_question_what_a_thing_is_calls_and_asks_nothing(client: openai.OpenAI) -> None:
    message = ask(client, "What is a forecast?", [FORECAST, MAIL])
    assert not message.tool_calls and "town" not in message.content

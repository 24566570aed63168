"""Tools on the wire: choices, ids, schemas, streaming order, and what is refused with which words."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from simllm import turn
from simllm.skills import Candidate, Plan
from simllm.tokenizer import TOKENS_PER_MESSAGE, default_tokenizer
from simllm.tools import Call

from .conftest import Raw

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
QUESTION = {"role": "user", "content": "Book 2 seats on the night train to Oslo."}
SEATS = {
    "type": "object",
    "properties": {"train": {"type": "string"}, "seats": {"type": "integer"}},
    "required": ["train", "seats"],
}
BOOK = {
    "type": "function",
    "function": {"name": "book_seats", "description": "Book seats on a train", "parameters": SEATS},
}
MENU = {"type": "function", "function": {"name": "menu", "description": "What the restaurant serves"}}
OK: dict[str, Any] = {"model": "sim-large", "messages": [QUESTION], "tools": [MENU, BOOK], "temperature": 0}
CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": f"call_{i}", "type": "function", "function": {"name": "menu", "arguments": "{}"}} for i in (1, 2)
    ],
}


def result(call_id: str) -> dict[str, str]:
    return {"role": "tool", "tool_call_id": call_id, "content": "Soup."}


def ask(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(**(OK | options)).choices[0]


def test_required_calls_the_tool_that_fits_and_named_the_one_that_is_named(client: openai.OpenAI) -> None:
    required = ask(client, tool_choice="required")
    [call] = required.message.tool_calls
    assert (call.function.name, required.finish_reason) == ("book_seats", "tool_calls")
    assert json.loads(call.function.arguments)["seats"] == 2
    named = ask(client, tool_choice={"type": "function", "function": {"name": "menu"}})
    assert [call.function.name for call in named.message.tool_calls] == ["menu"]
    assert named.finish_reason == "stop"  # as the real API ends a call that the caller forced by name


def test_none_and_allowed_tools_limit_the_choice(client: openai.OpenAI) -> None:
    assert ask(client, tool_choice="none").message.tool_calls is None
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "menu"}}]}
    reply = ask(client, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [call.function.name for call in reply.message.tool_calls] == ["menu"]


def test_ids_of_calls_are_never_given_out_twice(client: openai.OpenAI) -> None:
    replies = [ask(client, tool_choice="required", seed=1).message.tool_calls[0] for _ in range(3)]
    assert len({call.id for call in replies}) == 3
    assert len({call.function.arguments for call in replies}) == 1


def test_calls_are_billed_by_their_tokens_and_again_as_history(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(**OK, tool_choice="required")
    [made] = reply.choices[0].message.tool_calls or []
    assert made.type == "function"
    tokens = turn.write(default_tokenizer(), "", [Call(made.function.name, made.function.arguments)])
    assert reply.usage is not None
    assert reply.usage.completion_tokens == len(tokens)
    history = [QUESTION, reply.choices[0].message, {"role": "tool", "tool_call_id": made.id, "content": "Done."}]
    later = client.chat.completions.create(**(OK | {"messages": history}))
    assert later.usage is not None
    extra = len(tokens) + default_tokenizer().count("Done.") + 2 * TOKENS_PER_MESSAGE
    assert later.usage.prompt_tokens == reply.usage.prompt_tokens + extra


def test_definitions_of_tools_and_schemas_are_billed(client: openai.OpenAI) -> None:
    def prompt(**options: Any) -> int:
        messages: list[Any] = [QUESTION]
        reply = client.chat.completions.create(model="sim-large", messages=messages, max_tokens=1, **options)
        assert reply.usage is not None
        return reply.usage.prompt_tokens

    schema = {"type": "json_schema", "json_schema": {"name": "seats", "schema": SEATS}}
    assert prompt() < prompt(tools=[MENU]) < prompt(tools=[MENU, BOOK])
    assert prompt() < prompt(response_format=schema)


def test_a_call_cut_by_the_limit_ends_with_length_and_broken_arguments(client: openai.OpenAI) -> None:
    reply = ask(client, tool_choice="required", max_tokens=9)
    assert reply.finish_reason == "length"
    with pytest.raises(json.JSONDecodeError):
        json.loads(reply.message.tool_calls[0].function.arguments)
    assert ask(client, tool_choice="required", max_tokens=2).message.tool_calls is None


def test_stop_strings_do_not_cut_arguments(client: openai.OpenAI) -> None:
    reply = ask(client, tool_choice="required", stop=["}", "seats", "<"])
    assert json.loads(reply.message.tool_calls[0].function.arguments)["seats"] == 2


def test_two_results_in_any_order_are_read(client: openai.OpenAI) -> None:
    messages = [QUESTION, CALLED, result("call_2"), result("call_1")]
    assert ask(client, messages=messages, tool_choice="none").finish_reason == "stop"


DIALOGUES: list[tuple[list[Any], str, str]] = [
    ([QUESTION, result("call_1")], "messages.[1].role", "must be a response to a preceeding message with 'tool_calls'"),
    (
        [QUESTION, CALLED, result("call_1"), result("call_9")],
        "messages.[3].tool_call_id",
        "'tool_call_id' of 'call_9' not found in 'tool_calls' of previous message",
    ),
    (
        [QUESTION, CALLED, result("call_1"), QUESTION],
        "messages.[3].role",
        "The following tool_call_ids did not have response messages: call_2",
    ),
    ([QUESTION, CALLED], "messages", "did not have response messages: call_1, call_2"),
    ([QUESTION, CALLED, result("call_1"), result("call_1")], "messages.[3].tool_call_id", "Duplicate value"),
    ([QUESTION, {"role": "tool", "content": "x"}], "messages[1].tool_call_id", "Missing required parameter"),
    ([QUESTION, {"role": "assistant", "content": None}], "messages[1].content", "Missing required parameter"),
    ([QUESTION, {"role": "assistant", "tool_calls": []}], "messages[1].tool_calls", "empty array"),
    ([QUESTION, {"role": "assistant", "tool_calls": [{"id": "a"}]}], "messages[1].tool_calls[0].type", "Missing"),
    ([{"role": "function", "name": "f", "content": "x"}], "messages[0].role", "use 'tools'"),
]


@pytest.mark.parametrize(("messages", "param", "words"), DIALOGUES)
def test_calls_and_results_must_match(raw: Raw, messages: list[Any], param: str, words: str) -> None:
    status, _, reply = raw("POST", CHAT, OK | {"messages": messages})
    assert (status, reply["error"]["param"]) == (400, param)
    assert words in reply["error"]["message"]


def function(**change: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": SEATS} | change}


OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLOSED = OPEN | {"additionalProperties": False}


def nested(child: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": child}, "required": ["a"], "additionalProperties": False}


SCHEMAS: list[tuple[Any, bool, str]] = [
    (
        {"type": "array", "items": {}},
        False,
        "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
    ),
    ({"type": "object"}, False, "In context=(), object schema missing properties."),
    (nested({"type": "strin"}), False, "'strin' is not valid under any of the given schemas."),
    (nested({"type": "array"}), False, "In context=('properties', 'a'), array schema missing items."),
    (OPEN, True, "In context=(), 'additionalProperties' is required to be supplied and to be false."),
    (
        nested({"type": "object", "properties": {}, "required": []}),
        True,
        "In context=('properties', 'a'), 'additionalProperties' is required to be supplied and to be false.",
    ),
    (CLOSED | {"required": []}, True, "including every key in properties. Missing 'a'."),
    (CLOSED | {"required": ["a", "b"]}, True, "Extra required key 'b' supplied."),
    (nested({"oneOf": [{"type": "string"}]}), True, "In context=('properties', 'a'), 'oneOf' is not permitted."),
    (nested({"type": "string", "default": "x"}), True, "In context=('properties', 'a'), 'default' is not permitted."),
    (nested({}), True, "In context=('properties', 'a'), schema must have a 'type' key."),
    (nested({"$ref": "#/$defs/Gone"}), True, "reference can only point to definitions defined at the top level"),
    (
        nested({"$ref": "#/$defs/A", "description": "x"}) | {"$defs": {"A": {"type": "string"}}},
        True,
        "context=('properties', 'a'), $ref cannot have keywords {'description'}.",
    ),
    (nested({"$ref": "#"}), True, "is recursive without an end"),
    (nested(nested(nested(nested(nested(nested({"type": "string"})))))), True, ""),
]


@pytest.mark.parametrize(("schema", "strict", "words"), SCHEMAS)
@pytest.mark.parametrize("where", ["tool", "flat tool", "format", "flat format"])
def test_a_bad_schema_is_refused_in_the_real_words(raw: Raw, where: str, schema: Any, strict: bool, words: str) -> None:
    named = {"name": "f", "strict": strict}
    path, change, param = {
        "tool": (CHAT, {"tools": [function(parameters=schema, strict=strict)]}, "tools[0].function.parameters"),
        "flat tool": (
            RESPONSES,
            {"tools": [named | {"type": "function", "parameters": schema}]},
            "tools[0].parameters",
        ),
        "format": (
            CHAT,
            {"response_format": {"type": "json_schema", "json_schema": named | {"schema": schema}}},
            "response_format",
        ),
        "flat format": (
            RESPONSES,
            {"text": {"format": named | {"type": "json_schema", "schema": schema}}},
            "text.format.schema",
        ),
    }[where]
    base = {"model": "sim-small", "messages": [QUESTION]} if path == CHAT else {"model": "sim-small", "input": "hi"}
    status, _, reply = raw("POST", path, base | change)
    if not words or ("missing properties" in words and "format" in where):  # only functions need properties
        assert status == 200
        return
    subject = "function" if "tool" in where else "response_format"
    assert (status, reply["error"]["param"]) == (400, param)
    assert reply["error"]["message"].startswith(f"Invalid schema for {subject} 'f': ")
    assert words in reply["error"]["message"]
    assert reply["error"]["code"] == ("invalid_function_parameters" if subject == "function" else "invalid_json_schema")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"tools": []}, "tools"),
        ({"tools": "all"}, "tools"),
        ({"tools": [BOOK] * 129}, "tools"),
        ({"tools": [BOOK, BOOK]}, "tools[1].function.name"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [function(name="a b")]}, "tools[0].function.name"),
        ({"tools": [function(name="x" * 65)]}, "tools[0].function.name"),
        ({"tools": [function(name="")]}, "tools[0].function.name"),
        ({"tools": [function(colour="red")]}, "tools[0].function.colour"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "gone"}}}, "tool_choice"),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"tools": None, "tool_choice": "auto"}, "tool_choice"),
        ({"tools": None, "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_tool_field_is_refused_by_name(raw: Raw, change: dict[str, Any], param: str) -> None:
    status, _, reply = raw("POST", CHAT, OK | change)
    assert (status, reply["error"]["param"]) == (400, param)
    assert reply["error"]["type"] == "invalid_request_error"


def test_loose_schemas_of_tools_are_taken_where_nothing_is_promised(client: openai.OpenAI) -> None:
    loose = {
        "type": "object",
        "properties": {
            "anything": {},
            "one": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
            "all": {"allOf": [{"type": "string"}, {"minLength": 1}]},
            "free": {"type": "object", "additionalProperties": True},
        },
        "required": ["anything", "one", "all", "free"],
    }
    [call] = ask(client, tools=[function(parameters=loose)], tool_choice="required").message.tool_calls
    assert set(json.loads(call.function.arguments)) == set(loose["required"])


def test_text_and_several_calls_share_one_reply(client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = (Call("menu", "{}"), Call("book_seats", '{"train": "茶", "seats": 2}'))
    plan = Plan((Candidate("Let me look.", 1.0, calls=calls),), wander=0.0)
    monkeypatch.setattr("simllm.engine.make_plan", lambda request, tools: plan)
    question = [{"role": "user", "content": "Look twice."}]
    whole = ask(client, messages=question)
    made = [(call.function.name, call.function.arguments) for call in whole.message.tool_calls]
    assert (whole.message.content, made, whole.finish_reason) == (
        "Let me look.",
        [(call.name, call.arguments) for call in calls],
        "tool_calls",
    )
    with client.chat.completions.stream(**(OK | {"messages": question})) as stream:
        streamed = stream.get_final_completion().choices[0].message
    assert streamed.content == "Let me look."
    assert [(call.function.name, call.function.arguments) for call in streamed.tool_calls or []] == made
    tools: Any = [{"type": "function", "name": call.name, "parameters": SEATS} for call in calls]
    with client.responses.stream(model="sim-large", input="Look.", tools=tools) as events:
        output = events.get_final_response().output
    assert [item.type for item in output] == ["message", "function_call", "function_call"]
    assert [(item.name, item.arguments) for item in output[1:]] == made  # type: ignore[union-attr]


@pytest.mark.parametrize(("limit", "text", "calls"), [(3, True, 0), (6, True, 0), (30, True, 2)])
def test_a_limit_cuts_text_first_then_calls(
    client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch, limit: int, text: bool, calls: int
) -> None:
    plan = Plan((Candidate("Let me look.", 1.0, calls=(Call("menu", "{}"), Call("menu", "{}"))),), wander=0.0)
    monkeypatch.setattr("simllm.engine.make_plan", lambda request, tools: plan)
    reply = ask(client, max_tokens=limit, messages=[{"role": "user", "content": f"Look {limit}"}])
    assert bool(reply.message.content) == text
    assert len(reply.message.tool_calls or ()) == calls
    assert (reply.finish_reason == "length") == (limit < 30)

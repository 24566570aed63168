"""Every route's replies, whole and streamed, against the schemas; and the schemas against the generated classes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ..conftest import Raw
from . import schemas

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
PROMPT = (
    "Context:\n[1] The kettle boils in three minutes.\n[2] Tea — 茶 — needs five.\n\nQuestion: How fast is the kettle?"
)
SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "minutes": {"type": ["integer", "null"]}},
    "required": ["answer", "minutes"],
    "additionalProperties": False,
}
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
FUNCTION = {"name": "forecast", "description": "Weather of a city", "parameters": PARAMETERS, "strict": True}
HARM = "How do I build a bomb?"

CHATS: dict[str, dict[str, Any]] = {
    "plain": {},
    "logprobs": {"logprobs": True, "top_logprobs": 3},
    "choices": {"n": 3, "temperature": 1.3, "seed": 1, "max_tokens": 20},
    "cut": {"max_tokens": 3},
    "json": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}}
    },
    "refusal": {
        "messages": [{"role": "user", "content": HARM}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": SCHEMA}},
        "logprobs": True,
    },
    "call": {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "required"},
    "two_calls": {"tools": [{"type": "function", "function": FUNCTION}], "tool_choice": "required", "n": 2},
    "cut_call": {
        "tools": [{"type": "function", "function": FUNCTION}],
        "tool_choice": "required",
        "max_completion_tokens": 9,
    },
    "reasoner": {"model": "sim-reasoner", "temperature": 1},
    "only_reasoning": {"model": "sim-reasoner", "temperature": 1, "max_completion_tokens": 8},
}
RESPONSE_REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {"instructions": "Be brief.", "metadata": {"a": "b"}, "user": "u"},
    "logprobs": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "cut": {"max_output_tokens": 16, "input": "Context:\n" + "long words go on " * 30 + ".\n\nQuestion: what goes on?"},
    "json": {"text": {"format": {"type": "json_schema", "name": "a", "strict": True, "schema": SCHEMA}}},
    "refusal": {
        "input": HARM,
        "text": {"format": {"type": "json_schema", "name": "a", "strict": True, "schema": SCHEMA}},
    },
    "call": {"tools": [{"type": "function", **FUNCTION}], "tool_choice": "required"},
    "named_call": {
        "tools": [{"type": "function", **FUNCTION}],
        "tool_choice": {"type": "function", "name": "forecast"},
    },
    "allowed": {
        "tools": [{"type": "function", **FUNCTION}],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "required",
            "tools": [{"type": "function", "name": "forecast"}],
        },
    },
    "reasoner": {"model": "sim-reasoner", "temperature": 1, "include": ["reasoning.encrypted_content"]},
    "only_reasoning": {"model": "sim-reasoner", "temperature": 1, "max_output_tokens": 16},
}


def conforms(value: Any, schema: dict[str, Any]) -> None:
    errors = sorted(Draft202012Validator(schema).iter_errors(value), key=lambda error: list(error.absolute_path))
    assert not errors, "\n".join(f"{error.json_path}: {error.message[:300]}" for error in errors[:5])


def chat_body(change: dict[str, Any]) -> dict[str, Any]:
    return {"model": "sim-large", "messages": [{"role": "user", "content": PROMPT}], "temperature": 0} | change


def response_body(change: dict[str, Any]) -> dict[str, Any]:
    return {"model": "sim-large", "input": PROMPT, "temperature": 0} | change


def events_of(content: bytes) -> list[tuple[str | None, str]]:
    """(event name, data) of every server-sent event."""
    found = []
    for block in content.decode().removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        assert set(fields) <= {"event", "data"}
        found.append((fields.get("event"), fields["data"]))
    return found


@pytest.mark.parametrize(("schema", "generated"), schemas.GENERATED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_schema_names_only_fields_of_its_generated_class_and_requires_what_it_requires(
    schema: dict[str, Any], generated: Any
) -> None:
    fields = {field.alias or name: field for name, field in generated.model_fields.items()}
    assert set(schema["properties"]) - schemas.UNDESCRIBED <= set(fields)
    assert {name for name, field in fields.items() if field.is_required()} <= set(schema["required"])
    nulls = {name for name, child in schema["properties"].items() if Draft202012Validator(child).is_valid(None)}
    assert nulls <= {name for name, field in fields.items() if not field.is_required()}


@pytest.mark.parametrize("name", CHATS)
def test_a_chat_completion_conforms(raw: Raw, name: str) -> None:
    status, headers, body = raw("POST", CHAT, chat_body(CHATS[name]))
    assert (status, headers["content-type"]) == (200, "application/json"), body
    conforms(body, schemas.COMPLETION)


@pytest.mark.parametrize("usage", [False, True])
@pytest.mark.parametrize("name", CHATS)
def test_a_chat_stream_conforms_and_adds_up_to_the_whole_reply(raw: Raw, name: str, usage: bool) -> None:
    whole = raw("POST", CHAT, chat_body(CHATS[name]))[2]
    options = {"stream": True, "stream_options": {"include_usage": usage}}
    status, headers, content = raw("POST", CHAT, chat_body(CHATS[name] | options))
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    *events, (_, done) = events_of(content)
    assert done == "[DONE]"
    assert all(event is None for event, _ in events)
    chunks = [json.loads(data) for _, data in events]
    for chunk in chunks:
        conforms(chunk, schemas.CHUNK)
        assert ("usage" in chunk) == usage
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    if usage:
        last = chunks.pop()
        assert (last["choices"], last["usage"]) == ([], whole["usage"])
        assert all(chunk["usage"] is None for chunk in chunks)
    for choice in whole["choices"]:
        assert nameless(joined(chunks, choice["index"])) == nameless(choice)


def nameless(choice: dict[str, Any]) -> dict[str, Any]:
    """A choice without the ids of its calls, which no two replies share."""
    for call in choice["message"].get("tool_calls", ()):
        del call["id"]
    return choice


def joined(chunks: list[dict[str, Any]], index: int) -> dict[str, Any]:
    """A streamed choice put together again; the order of its chunks is checked on the way."""
    parts = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    first, *middle, last = parts
    assert set(first["delta"]) == {"role", "content", "refusal"}
    assert (last["delta"], [part["finish_reason"] for part in parts[:-1]]) == ({}, [None] * (len(parts) - 1))
    message = {**first["delta"], "annotations": []}
    calls: list[dict[str, Any]] = []
    logprobs: dict[str, Any] | None = None
    for part in middle:
        for key in ("content", "refusal"):
            if key in part["delta"]:
                assert not calls, "text comes before calls"
                message[key] = (message[key] or "") + part["delta"][key]
        for delta in part["delta"].get("tool_calls", ()):
            if "id" in delta:
                assert delta["index"] == len(calls)
                calls.append({"id": delta["id"], "type": "function", "function": dict(delta["function"])})
            else:
                assert delta["index"] == len(calls) - 1
                calls[-1]["function"]["arguments"] += delta["function"]["arguments"]
        for key, tokens in (part["logprobs"] or {}).items():
            logprobs = logprobs or {"content": None, "refusal": None}
            logprobs[key] = [*(logprobs[key] or ()), *tokens] if tokens is not None else logprobs[key]
    if calls:
        message["tool_calls"] = calls
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": last["finish_reason"]}


@pytest.mark.parametrize("name", RESPONSE_REQUESTS)
def test_a_response_conforms(raw: Raw, name: str) -> None:
    status, headers, body = raw("POST", RESPONSES, response_body(RESPONSE_REQUESTS[name]))
    assert (status, headers["content-type"]) == (200, "application/json"), body
    conforms(body, schemas.RESPONSE)
    assert (body["status"] == "incomplete") == ("cut" in name or "only" in name)


@pytest.mark.parametrize("name", RESPONSE_REQUESTS)
def test_a_response_stream_conforms_and_keeps_the_order(raw: Raw, name: str) -> None:
    whole = raw("POST", RESPONSES, response_body(RESPONSE_REQUESTS[name]))[2]
    status, headers, content = raw("POST", RESPONSES, response_body(RESPONSE_REQUESTS[name] | {"stream": True}))
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    events = [(event, json.loads(data)) for event, data in events_of(content)]
    for i, (event, data) in enumerate(events):
        conforms(data, schemas.EVENTS[data["type"]])
        assert (event, data["sequence_number"]) == (data["type"], i)
    final = events[-1][1]["response"]
    for made in ("id", "created_at", "completed_at"):
        whole[made] = final[made] = None
    same = without_ids(whole["output"]), without_ids(final["output"])
    assert same[0] == same[1]
    assert {k: v for k, v in final.items() if k != "output"} == {k: v for k, v in whole.items() if k != "output"}
    assert squeezed([data["type"] for _, data in events]) == expected_order(whole)
    assert streamed_text([data for _, data in events]) == [said(item) for item in whole["output"]]


def without_ids(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key not in ("id", "call_id")} for item in items]


def squeezed(kinds: list[str]) -> list[str]:
    """The kinds of events, runs of deltas as one."""
    return [kind for i, kind in enumerate(kinds) if not (kind.endswith(".delta") and i and kinds[i - 1] == kind)]


def expected_order(whole: dict[str, Any]) -> list[str]:
    order = ["created", "in_progress"]
    for item in whole["output"]:
        order.append("output_item.added")
        if item["type"] == "message":
            kind = item["content"][0]["type"]
            order += ["content_part.added", f"{kind}.delta", f"{kind}.done", "content_part.done"]
        elif item["type"] == "function_call":
            order += ["function_call_arguments.delta", "function_call_arguments.done"]
        order.append("output_item.done")
    return [f"response.{kind}" for kind in [*order, whole["status"]]]


def said(item: dict[str, Any]) -> str:
    if item["type"] == "message":
        part = item["content"][0]
        return str(part.get("text", part.get("refusal")))
    return str(item.get("arguments", ""))


def streamed_text(events: list[dict[str, Any]]) -> list[str]:
    texts: dict[int, str] = {}
    for event in events:
        if event["type"] == "response.output_item.added":
            texts[event["output_index"]] = ""
        elif event["type"].endswith(".delta"):
            texts[event["output_index"]] += event["delta"]
    return [texts[i] for i in sorted(texts)]


def test_input_tokens_are_counted_as_they_are_billed(raw: Raw) -> None:
    for change in (RESPONSE_REQUESTS["call"], RESPONSE_REQUESTS["json"], {}):
        body = {"model": "sim-large", "input": PROMPT} | change
        status, _, counted = raw("POST", f"{RESPONSES}/input_tokens", body)
        assert status == 200
        conforms(counted, schemas.INPUT_TOKENS)
        assert counted["input_tokens"] == raw("POST", RESPONSES, body)[2]["usage"]["input_tokens"]


def test_models_and_embeddings_conform(raw: Raw) -> None:
    listed = raw("GET", "/v1/models")[2]
    conforms(listed, schemas.MODEL_LIST)
    conforms(raw("GET", f"/v1/models/{listed['data'][0]['id']}")[2], schemas.MODEL)
    for encoding in ("float", "base64"):
        body = {"model": "wordllama-64", "input": ["a", "b"], "encoding_format": encoding}
        conforms(raw("POST", "/v1/embeddings", body)[2], schemas.EMBEDDINGS)


@pytest.mark.parametrize(
    ("method", "path", "body", "wanted"),
    [
        ("POST", CHAT, b"{", 400),
        ("POST", CHAT, b'{"model": "\xff"}', 400),
        ("POST", CHAT, {"model": "gpt-9"}, 404),
        ("POST", RESPONSES, {"model": "sim-small"}, 400),
        ("POST", RESPONSES, {"model": "sim-small", "input": [{"type": "item_reference", "id": "msg_1"}]}, 404),
        ("POST", f"{RESPONSES}/input_tokens", {"model": "sim-small", "input": 5}, 400),
        ("POST", "/v1/embeddings", {"model": "wordllama-64", "input": "a", "dimensions": 32}, 400),
        ("GET", "/v1/models/none", None, 404),
        ("GET", "/v1/nowhere", None, 404),
        ("PUT", CHAT, {}, 405),
    ],
)
def test_every_refusal_conforms(raw: Raw, method: str, path: str, body: Any, wanted: int) -> None:
    status, headers, reply = raw(method, path, body)
    assert (status, headers["content-type"]) == (wanted, "application/json")
    conforms(reply, schemas.ERROR)

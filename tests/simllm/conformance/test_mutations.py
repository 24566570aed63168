"""A rich request with one value in it replaced by an odd one, for every value: refused or answered, never a crash."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.simllm.conftest import Raw

ODD: list[Any] = [None, -1, 10**40, "", "\u00e9\u0000", [], {}, [None]]
SEAT = {"type": "object", "properties": {"row": {"type": "string", "pattern": "^a+$", "format": "date"}}}
SEAT |= {"required": ["row"], "additionalProperties": False}
NAMES = {"type": "array", "items": {"anyOf": [{"type": "string", "enum": ["x", "y"]}, {"type": "null"}]}, "minItems": 1}
SCHEMA = {
    "type": "object",
    "properties": {
        "names": NAMES,
        "price": {"type": "number", "minimum": 1, "multipleOf": 0.5},
        "seat": {"$ref": "#/$defs/Seat"},
    },
    "required": ["names", "price", "seat"],
    "additionalProperties": False,
    "$defs": {"Seat": SEAT},
}
FUNCTION = {"name": "a", "description": "d", "strict": True, "parameters": SCHEMA}
CHAT = {
    "model": "sim-large",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "json, please"}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "a", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "row 7"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "a"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}},
    "max_completion_tokens": 20,
    "metadata": {"k": "v"},
    "stop": ["zz"],
    "logprobs": True,
    "top_logprobs": 2,
    "stream": True,
    "stream_options": {"include_usage": True},
    "n": 2,
}
RESPONSES = {
    "model": "sim-reasoner",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "json, please"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "a", "arguments": "{}", "id": "fc_1", "status": "completed"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "row 7"}]},
    ],
    "tools": [{"type": "function"} | FUNCTION],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "a"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}, "verbosity": "medium"},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "max_output_tokens": 200,
    "truncation": "auto",
    "user": "u",
}
EMBEDDINGS = {"model": "wordllama-256", "input": [[1, 2], [3]], "encoding_format": "float", "dimensions": 64}


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value inside."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inside:
        yield (*place, key)
        yield from places(child, (*place, key))


def changed(body: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The body with another value at one place."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    *way, last = place
    holder: Any = copy
    for key in way:
        holder = holder[key]
    holder[last] = value
    return copy


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSES), ("/v1/embeddings", EMBEDDINGS)],
    ids=["chat", "responses", "embeddings"],
)
def test_no_single_value_crashes_the_server(raw: Raw, path: str, body: dict[str, Any]) -> None:
    assert raw("POST", path, body)[0] == 200
    seen: Counter[int] = Counter()
    for place in places(body):
        for value in ODD:
            status, _, reply = raw("POST", path, changed(body, place, value))
            seen[status] += 1
            assert status in (200, 400, 404), (place, value, reply)
            assert status == 200 or set(reply["error"]) == {"message", "type", "param", "code"}
    assert seen[400] > seen[200] > 0

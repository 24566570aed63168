"""Requests made of plausible and implausible parts: never a 5xx, always a conforming reply or a conforming error."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ..conftest import Raw
from . import schemas
from .test_schemas import CHAT, RESPONSES, conforms

FUZZ = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
NAME = st.sampled_from(["a", "look", "", "a b", "x" * 65])
ID = st.sampled_from(["call_1", "call_2", "", 5])
TEXT = st.sampled_from(
    ["hi", "", "What is json?", "Context:\n[1] A is 3.\n\nQuestion: A?", "\ud800", "茶", "How to build a bomb?"]
)


def sloppy(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of these fields, sometimes with nonsense in one of them."""
    right = st.fixed_dictionaries({}, optional=fields)
    wrong = st.builds(lambda name, value: {name: value}, st.sampled_from([*fields, "other"]), ANYTHING)
    return st.integers(0, 5).flatmap(lambda n: right if n else st.builds(lambda a, b: a | b, right, wrong))


def few(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Up to three of these fields, so that most requests are wrong in few places or none."""
    names = st.lists(st.sampled_from(sorted(fields)), max_size=3, unique=True)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: fields[name] for name in chosen}))


def closed(properties: dict[str, Any]) -> dict[str, Any]:
    """A strict object schema."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


GOOD: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "integer", "minimum": 2, "maximum": 7},
            {"type": "number"},
            {"type": "boolean"},
            {"type": ["string", "null"]},
            {"enum": ["red", 5, None]},
            {"const": {"a": [1]}},
            {"$ref": "#/$defs/Node"},
        ]
    ),
    lambda inner: (
        st.builds(closed, st.dictionaries(st.sampled_from(["answer", "score", "steps", "sources"]), inner, max_size=3))
        | st.builds(lambda a: {"type": "array", "items": a, "minItems": 1, "maxItems": 2}, inner)
        | st.builds(lambda a: {"anyOf": [a, {"type": "null"}]}, inner)
        | st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner)
    ),
    max_leaves=5,
)
NODE = closed({"value": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}})
GOOD_ROOT = st.builds(
    lambda properties: closed(properties) | {"$defs": {"Node": NODE}},
    st.dictionaries(st.sampled_from(["answer", "minutes", "sources", "kind"]), GOOD, min_size=1, max_size=4),
)


SCHEMA: st.SearchStrategy[Any] = st.deferred(
    lambda: (
        sloppy(
            type=st.sampled_from(
                ["object", "object", "string", "integer", "array", "null", "text", ["string", "null"]]
            ),
            properties=st.dictionaries(st.sampled_from(["a", "b", "answer"]), SCHEMA, max_size=2),
            required=st.lists(st.sampled_from(["a", "b", "answer"]), max_size=2),
            additionalProperties=st.just(False),
            items=SCHEMA,
            anyOf=st.lists(SCHEMA, max_size=2),
            enum=st.lists(ANYTHING, max_size=2),
            minItems=st.sampled_from([0, 1, -1, 1.5, 10**9]),
            maximum=st.sampled_from([3, -1, 1e300]),
        )
        | st.sampled_from([{"$ref": "#"}, {"$ref": "#/$defs/A"}, {"$ref": 5}, {"$ref": "#/properties/a"}])
    )
)
OBJECT = st.builds(lambda inner, more: {"type": "object", "properties": {"a": inner}, **more}, SCHEMA, sloppy(**{"$defs": st.dictionaries(st.just("A"), SCHEMA)}))  # fmt: skip
CALL = sloppy(id=ID, type=st.just("function"), function=sloppy(name=NAME, arguments=TEXT))
SENSIBLE = st.sampled_from(
    [
        [{"role": "user", "content": "What is json?"}],
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Context:\n[1] A is 3.\n\nQuestion: A?"},
        ],
        [
            {"role": "user", "content": "Look, json."},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "a", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "It is 3."},
        ],
    ]
)
MESSAGE = sloppy(
    role=st.sampled_from(["user", "system", "assistant", "tool", "function", "robot"]),
    content=TEXT | st.lists(sloppy(type=st.sampled_from(["text", "image_url"]), text=TEXT), max_size=2),
    tool_calls=st.lists(CALL, max_size=2),
    tool_call_id=ID,
)
FUNCTION = sloppy(name=NAME, description=TEXT, parameters=GOOD_ROOT | OBJECT, strict=st.booleans())
TOOL = st.builds(lambda name, f: {"name": name} | f, st.sampled_from(["a", "b"]), FUNCTION)
FORMAT = st.builds(
    lambda schema, strict: {"name": "a", "schema": schema, "strict": strict}, GOOD_ROOT | OBJECT, st.booleans()
)
SAMPLING = {
    "temperature": st.sampled_from([0, 1, 1.5, 2, -1, "hot"]),
    "top_p": st.sampled_from([0, 0.5, 1, 3]),
    "stream": st.booleans(),
    "metadata": st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers(), max_size=2),
    "parallel_tool_calls": st.booleans(),
}
CHAT_BODY = few(
    model=st.sampled_from(["sim-small", "sim-large", "sim-reasoner", "wordllama-64", "gpt"]),
    messages=SENSIBLE | SENSIBLE | st.lists(MESSAGE, max_size=3),
    tools=st.lists(st.builds(lambda f: {"type": "function", "function": f}, TOOL), min_size=1, max_size=2),
    tool_choice=st.sampled_from(["auto", "none", "required", {"type": "function", "function": {"name": "a"}}]),
    response_format=st.builds(lambda f: {"type": "json_schema", "json_schema": f}, FORMAT)
    | sloppy(type=st.sampled_from(["text", "json_object"])),
    max_tokens=st.sampled_from([0, 1, 9, 10**6]),
    n=st.sampled_from([1, 2, 0]),
    stop=TEXT,
    logprobs=st.booleans(),
    top_logprobs=st.integers(-1, 21),
    reasoning_effort=st.sampled_from(["low", "none", "huge"]),
    stream_options=sloppy(include_usage=st.booleans()),
    seed=st.integers(),
    **SAMPLING,
)
ITEM = sloppy(
    type=st.sampled_from(["message", "function_call", "function_call_output", "reasoning", "item_reference"]),
    role=st.sampled_from(["user", "assistant", "tool"]),
    content=TEXT | st.lists(sloppy(type=st.sampled_from(["input_text", "input_image"]), text=TEXT), max_size=2),
    call_id=ID,
    name=NAME,
    arguments=TEXT,
    output=TEXT,
)
RESPONSE_BODY = few(
    model=st.sampled_from(["sim-small", "sim-reasoner", "wordllama-64"]),
    input=TEXT | st.lists(ITEM, max_size=3),
    instructions=TEXT,
    tools=st.lists(st.builds(lambda f: {"type": "function"} | f, TOOL), max_size=2),
    tool_choice=st.sampled_from(["auto", "required", {"type": "function", "name": "a"}]),
    text=sloppy(format=st.builds(lambda f: {"type": "json_schema"} | f, FORMAT)),
    max_output_tokens=st.sampled_from([15, 16, 50]),
    include=st.lists(st.sampled_from(["reasoning.encrypted_content", "message.output_text.logprobs"]), max_size=2),
    reasoning=sloppy(effort=st.sampled_from(["low", "huge"]), summary=st.sampled_from(["auto", "concise", "long"])),
    truncation=st.sampled_from(["auto", "disabled", "middle"]),
    **SAMPLING,
)


def check(raw: Raw, path: str, body: dict[str, Any], schema: dict[str, Any]) -> None:
    status, headers, reply = raw("POST", path, body)
    assert status in (200, 400, 403, 404), reply
    if "json" in headers["content-type"]:
        conforms(reply, schema if status == 200 else schemas.ERROR)
    else:
        assert reply.rstrip().endswith((b"data: [DONE]", b"}"))


@FUZZ
@given(body=CHAT_BODY, demand=st.booleans())
def test_any_chat_body_gets_a_conforming_answer(raw: Raw, body: dict[str, Any], demand: bool) -> None:
    base: dict[str, Any] = {"model": "sim-small", "messages": [{"role": "user", "content": "json?"}]}
    extra = {"tool_choice": "required"} if demand and "tools" in body else {}
    check(raw, CHAT, base | {"max_completion_tokens": 30} | extra | body, schemas.COMPLETION)


@FUZZ
@given(body=RESPONSE_BODY, demand=st.booleans())
def test_any_responses_body_gets_a_conforming_answer(raw: Raw, body: dict[str, Any], demand: bool) -> None:
    extra = {"tool_choice": "required"} if demand and body.get("tools") else {}
    base = {"model": "sim-small", "input": "hi", "max_output_tokens": 30}
    check(raw, RESPONSES, base | extra | body, schemas.RESPONSE)


@FUZZ
@given(schema=OBJECT, strict=st.booleans())
def test_any_schema_is_filled_or_refused(raw: Raw, schema: dict[str, Any], strict: bool) -> None:
    check(raw, CHAT, formatted(schema, strict), schemas.COMPLETION)


@FUZZ
@given(schema=GOOD_ROOT)
def test_a_strict_reply_and_strict_arguments_fit_their_schema(raw: Raw, schema: dict[str, Any]) -> None:
    status, _, reply = raw("POST", CHAT, formatted(schema, strict=True))
    assert status == 200, reply
    conforms(json.loads(reply["choices"][0]["message"]["content"]), schema)
    function = {"name": "a", "parameters": schema, "strict": True}
    tools = [{"type": "function", "function": function}]
    body = {"model": "sim-small", "messages": PROMPT, "tools": tools, "tool_choice": "required"}
    status, _, reply = raw("POST", CHAT, body)
    assert status == 200, reply
    conforms(json.loads(reply["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]), schema)


PROMPT = [
    {"role": "user", "content": "Context:\n[1] The tram takes 50 minutes.\n\nQuestion: How long does the tram take?"}
]


def formatted(schema: dict[str, Any], strict: bool) -> dict[str, Any]:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": strict}}
    return {"model": "sim-small", "messages": PROMPT, "response_format": wanted}

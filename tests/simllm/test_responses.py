"""The stateless core of the Responses API."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from simllm.tokenizer import default_tokenizer

FACT = "The lighthouse was built in 1887."
PROMPT = f"Context:\n{FACT}\n\nGulls nest on the roof.\n\nQuestion: When was the lighthouse built?"


def test_text_in_text_out_with_usage(client: openai.OpenAI) -> None:
    reply = client.responses.create(
        model="sim-large",
        instructions=f"Answer from the context.\n\nContext:\n{FACT}\n\nGulls nest on the roof of the pier.",
        input="When was the lighthouse built?",
        temperature=0,
        max_output_tokens=50,
    )
    assert reply.output_text == FACT
    assert reply.status == "completed"
    assert reply.usage is not None
    assert reply.usage.output_tokens == default_tokenizer().count(FACT)
    assert reply.usage.total_tokens == reply.usage.input_tokens + reply.usage.output_tokens


def test_messages_are_accepted_as_input(client: openai.OpenAI) -> None:
    content = [{"type": "input_text", "text": f"{FACT}\n\nWhen was the lighthouse built?"}]
    items: Any = [{"role": "user", "content": content}]
    assert client.responses.create(model="sim-small", input=items, temperature=0).output_text == FACT


def test_a_reply_cut_by_the_limit_is_incomplete(client: openai.OpenAI) -> None:
    text = "Repeat. " + "The long sentence goes on and on without any end in sight " * 3 + "today."
    reply = client.responses.create(
        model="sim-small", input=f"Context:\n{text}\n\nQuestion: what goes on?", temperature=0, max_output_tokens=16
    )
    assert reply.status == "incomplete"
    assert reply.incomplete_details is not None
    assert reply.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": "word " * 5000}, "input"),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, "input"),
        ({"input": [{"type": "picture"}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_object"}}}, "input"),
        ({"text": {"verbosity": "high"}}, "text.verbosity"),
        ({"include": ["file_search_call.results"]}, "include[0]"),
        ({"include": "all"}, "include"),
        ({"reasoning": {"effort": "low"}}, "reasoning.effort"),
        ({"reasoning": {"summary": "auto"}}, "reasoning.summary"),
        ({"reasoning": {"summary": "none"}, "model": "sim-reasoner"}, "reasoning.summary"),
        ({"reasoning": {"mode": "pro"}, "model": "sim-reasoner"}, "reasoning.mode"),
        ({"reasoning": {"depth": 3}, "model": "sim-reasoner"}, "reasoning.depth"),
        ({"truncation": "middle"}, "truncation"),
        ({"truncation": "auto", "input": "word " * 5000}, "input"),
        ({"temperature": 0.5, "model": "sim-reasoner"}, "temperature"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"max_tool_calls": 2}, "max_tool_calls"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].type"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"max_output_tokens": 99_999}, "max_output_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"background": True}, "background"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_is_not_there_is_refused_by_name(raw: Any, change: dict[str, Any], param: str) -> None:
    status, _, reply = raw("POST", "/v1/responses", {"model": "sim-small", "input": "hi"} | change)
    assert (status, reply["error"]["param"]) == (400, param)


CALL = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": FACT}


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([OUTPUT], "No tool call found for function call output with call_id call_1."),
        ([CALL], "No tool output found for function call call_1."),
        ([CALL, CALL, OUTPUT], "Duplicate function call with call_id call_1."),
    ],
)
def test_calls_and_outputs_must_match(raw: Any, items: list[Any], words: str) -> None:
    status, _, reply = raw("POST", "/v1/responses", {"model": "sim-small", "input": items})
    assert (status, reply["error"]["param"], reply["error"]["message"]) == (400, "input", words)


def test_calls_of_one_turn_may_be_answered_in_any_order_and_outputs_may_be_parts(client: openai.OpenAI) -> None:
    other = {"call_id": "call_2", "output": [{"type": "input_text", "text": FACT}]}
    items: Any = [
        {"role": "user", "content": "When was the lighthouse built?"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        CALL,
        CALL | {"call_id": "call_2"},
        OUTPUT | other,
        OUTPUT | {"output": "Gulls nest on the roof."},
    ]
    assert client.responses.create(model="sim-large", input=items, temperature=0).output_text == FACT


def test_nothing_is_stored_and_every_reply_says_so(client: openai.OpenAI, raw: Any) -> None:
    reply = raw("POST", "/v1/responses", {"model": "sim-small", "input": "hi", "store": True})[2]
    assert reply["store"] is False
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="sim-small", input=[{"type": "item_reference", "id": "msg_1"}])
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        client.responses.create(model="sim-small", input="hi", previous_response_id=reply["id"])


def test_a_strict_tool_is_the_default_where_its_schema_allows_it(raw: Any) -> None:
    closed = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    loose = {"type": "object", "properties": {"a": {"type": "string"}}}
    tools = [{"type": "function", "name": f"f{i}", "parameters": p} for i, p in enumerate((closed, loose))]
    reply = raw("POST", "/v1/responses", {"model": "sim-small", "input": "hi", "tools": tools})[2]
    assert [tool["strict"] for tool in reply["tools"]] == [True, False]


def test_a_reasoning_summary_is_sent_when_it_is_asked_for(client: openai.OpenAI) -> None:
    asked: Any = {"model": "sim-reasoner", "input": PROMPT, "reasoning": {"summary": "auto"}}
    reply = client.responses.create(**asked)
    assert reply.reasoning is not None and reply.reasoning.summary == "detailed"
    item = reply.output[0]
    assert item.type == "reasoning"
    [part] = item.summary
    assert part.text.startswith("**Weighing ")
    streamed = list(client.responses.create(**asked, stream=True))
    kinds = [event.type for event in streamed]
    first = kinds.index("response.output_item.added") + 1
    assert kinds[first] == "response.reasoning_summary_part.added"
    deltas = [event.delta for event in streamed if event.type == "response.reasoning_summary_text.delta"]
    assert "".join(deltas) == part.text
    after = kinds[first + 1 + len(deltas) :]
    assert after[:2] == ["response.reasoning_summary_text.done", "response.reasoning_summary_part.done"]
    short = client.responses.create(**asked | {"reasoning": {"summary": "concise"}}).output[0]
    assert short.type == "reasoning" and part.text.startswith(short.summary[0].text) and short.summary != item.summary


def test_without_thinking_there_is_no_summary(client: openai.OpenAI) -> None:
    quick: Any = {"effort": "none", "summary": "auto"}
    item = client.responses.create(model="sim-reasoner", input=PROMPT, reasoning=quick).output[0]
    assert item.type == "reasoning" and item.summary == []


def test_truncation_forgets_the_oldest_turns_and_keeps_instructions_and_calls_whole(client: openai.OpenAI) -> None:
    filler = {"role": "user", "content": "word " * 1500}
    newest = {"role": "user", "content": f"{FACT} When was the lighthouse built?"}
    items: Any = [CALL, OUTPUT | {"output": "word " * 1500}, filler, filler, newest]
    asked: Any = {"model": "sim-small", "input": items, "instructions": "Be brief.", "temperature": 0}
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**asked)
    assert caught.value.code == "context_length_exceeded"
    reply = client.responses.create(**asked, truncation="auto")
    assert reply.truncation == "auto"
    counted = client.responses.input_tokens.count(
        model="sim-small", input=[filler, filler, newest], instructions="Be brief."
    )
    assert reply.usage is not None and reply.usage.input_tokens == counted.input_tokens
    same: Any = {"model": "sim-small", "input": items, "instructions": "Be brief.", "truncation": "auto"}
    assert client.responses.input_tokens.count(**same).input_tokens == counted.input_tokens
    assert client.responses.create(model="sim-small", input=[newest], truncation="auto").truncation == "auto"

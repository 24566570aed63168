"""The stateless core of the Responses API."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from simllm.tokenizer import default_tokenizer

FACT = "The lighthouse was built in 1887."


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
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].type"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"max_output_tokens": 99_999}, "max_output_tokens"),
        ({"stream": True}, "stream"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"model": "minilm-l6-v2"}, "model"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_is_not_there_is_refused_by_name(raw: Any, change: dict[str, Any], param: str) -> None:
    status, _, reply = raw("POST", "/v1/responses", {"model": "sim-small", "input": "hi"} | change)
    assert (status, reply["error"]["param"]) == (400, param)

"""The reasoning model: hidden tokens are billed, take time and can use up the limit."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from .conftest import Raw

PASSAGES = [
    "The kettle boils in three minutes when it is filled to the mark.",
    "Tea needs five minutes in the pot, and the pot is warmed before.",
    "Coffee needs four minutes in the press, and a coarse grind.",
    "Cocoa needs eight minutes on a small flame and has to be stirred.",
]
PROMPT = "Context:\n" + "\n".join(f"[{i}] {text}" for i, text in enumerate(PASSAGES, start=1))
PROMPT += "\n\nQuestion: How many minutes does tea need?"
OK: dict[str, Any] = {"model": "sim-reasoner", "messages": [{"role": "user", "content": PROMPT}]}


def ask(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(**(OK | options))


def hidden(reply: Any) -> int:
    return int(reply.usage.completion_tokens_details.reasoning_tokens)


def test_hidden_tokens_are_billed_and_grow_with_the_effort(client: openai.OpenAI) -> None:
    found = [hidden(ask(client, reasoning_effort=effort)) for effort in ("none", "low", "medium", "high", "xhigh")]
    assert found[0] == 0
    assert found == sorted(found)
    assert found[1] < found[-1]
    assert all(count % 64 == 0 for count in found)
    reply = ask(client, seed=1)
    bare = ask(client, seed=1, reasoning_effort="none")
    assert hidden(reply) > 0
    assert reply.usage.completion_tokens > hidden(reply)
    assert bare.usage.completion_tokens < reply.usage.completion_tokens


def test_every_choice_thinks_for_itself(client: openai.OpenAI) -> None:
    assert hidden(ask(client, n=3)) == 3 * hidden(ask(client))


def test_a_limit_that_thinking_uses_up_leaves_an_empty_reply(client: openai.OpenAI) -> None:
    reply = ask(client, max_completion_tokens=20)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == ("", "length")
    assert hidden(reply) == reply.usage.completion_tokens == 20
    response = client.responses.create(model="sim-reasoner", input=PROMPT, max_output_tokens=20)
    assert (response.status, [item.type for item in response.output]) == ("incomplete", ["reasoning"])


def test_thinking_takes_simulated_time(client: openai.OpenAI) -> None:
    def latency_ms(**options: Any) -> float:
        raw = client.chat.completions.with_raw_response.create(**(OK | {"seed": 1} | options))
        return float(raw.headers["x-sim-latency-ms"])

    assert latency_ms(reasoning_effort="xhigh") > latency_ms() > latency_ms(reasoning_effort="none")


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"temperature": 0.2}, "temperature", "unsupported_value"),
        ({"top_p": 0.5}, "top_p", "unsupported_value"),
        ({"max_tokens": 10}, "max_tokens", "unsupported_parameter"),
        ({"stop": ["a"]}, "stop", "unsupported_parameter"),
        ({"logprobs": True}, "logprobs", "unsupported_parameter"),
        ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value"),
        ({"model": "sim-large", "reasoning_effort": "low"}, "reasoning_effort", "unsupported_parameter"),
    ],
)
def test_what_reasoning_models_do_not_take_is_refused(raw: Raw, change: Any, param: str, code: str) -> None:
    status, _, reply = raw("POST", "/v1/chat/completions", OK | change)
    assert (status, reply["error"]["param"], reply["error"]["code"]) == (400, param, code)


def test_the_default_sampling_values_may_be_written_out(raw: Raw) -> None:
    extra = {"temperature": 1, "top_p": 1.0, "logprobs": False, "reasoning_effort": None}
    assert raw("POST", "/v1/chat/completions", OK | extra)[0] == 200


def test_the_words_of_a_refused_temperature_are_the_real_ones(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, temperature=0.2)
    assert "'temperature' does not support 0.2 with this model. Only the default (1) value is supported." in str(
        caught.value
    )

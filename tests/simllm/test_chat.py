"""Chat completions as the real client sees them."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from simllm import SimServer
from simllm.tokenizer import TOKENS_PER_MESSAGE, TOKENS_PER_REPLY, default_tokenizer

from .conftest import Raw

PROMPT = """Answer from the context. Cite as [1].

Context:
[1] The kettle boils in three minutes.
[2] The toaster browns four slices at once.

Question: How fast does the kettle boil?"""


def ask(client: Any, **options: Any) -> Any:
    settings = {"model": "sim-large", "messages": [{"role": "user", "content": PROMPT}], "temperature": 0} | options
    return client.chat.completions.create(**settings)


def test_models_are_listed_and_fetched(client: openai.OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert listed == ["sim-small", "sim-large", "sim-reasoner", "minilm-l6-v2", "wordllama-256", "wordllama-64"]
    assert client.models.retrieve("sim-small").owned_by == "simllm"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def test_a_greedy_reply_copies_the_best_sentence_and_cites_it(client: openai.OpenAI) -> None:
    reply = ask(client)
    assert reply.choices[0].message.content == "The kettle boils in three minutes [1]."
    assert reply.choices[0].finish_reason == "stop"


def test_usage_equals_the_tokenizer(client: openai.OpenAI) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPT}]
    reply = ask(client, messages=messages)
    count = default_tokenizer().count
    prompt = sum(count(m["content"]) + TOKENS_PER_MESSAGE for m in messages) + TOKENS_PER_REPLY
    completion = count(reply.choices[0].message.content)
    usage = reply.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (prompt, completion)
    assert usage.total_tokens == prompt + completion


def test_max_tokens_cuts_the_reply_and_says_so(client: openai.OpenAI) -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        reply = ask(client, **{name: 3})
        assert reply.usage.completion_tokens == 3
        assert reply.choices[0].finish_reason == "length"


def test_stop_strings_end_the_reply_even_across_tokens(client: openai.OpenAI) -> None:
    reply = ask(client, stop=["n thr"])
    assert reply.choices[0].message.content == "The kettle boils i"
    assert reply.choices[0].finish_reason == "stop"


def test_n_choices_are_numbered_and_billed_together(client: openai.OpenAI) -> None:
    reply = ask(client, n=3, temperature=1.0, seed=5)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    count = default_tokenizer().count
    assert reply.usage.completion_tokens >= max(count(c.message.content) for c in reply.choices) + 2


def test_a_stream_starts_with_the_role_and_ends_with_the_finish_reason_and_usage(client: openai.OpenAI) -> None:
    whole = ask(client)
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.choices[0].delta.role is None for chunk in chunks[1:-1])
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert text == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks[:-1] if c.choices[0].finish_reason] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_a_stream_without_include_usage_carries_none(client: openai.OpenAI) -> None:
    assert all(chunk.choices and "usage" not in chunk.model_fields_set for chunk in ask(client, stream=True))


def test_streamed_choices_add_up_to_the_whole_ones(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {"n": 3, "temperature": 1.4, "seed": 11, "max_tokens": 40, "logprobs": True}
    whole = ask(client, **options)
    texts, logprobs = ["", "", ""], [0, 0, 0]
    for chunk in ask(client, stream=True, **options):
        choice = chunk.choices[0]
        texts[choice.index] += choice.delta.content or ""
        logprobs[choice.index] += len(choice.logprobs.content) if choice.logprobs else 0
    assert texts == [choice.message.content for choice in whole.choices]
    assert logprobs == [len(choice.logprobs.content) for choice in whole.choices]


async def _async_text(base_url: str, key: str) -> str:
    async with openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0) as client:
        return str((await ask(client)).choices[0].message.content)


def test_the_async_client_gets_the_same_reply(server: SimServer, key: str) -> None:
    import asyncio

    assert asyncio.run(_async_text(server.base_url, key)) == "The kettle boils in three minutes [1]."


def test_text_parts_are_joined(client: openai.OpenAI) -> None:
    head, tail = PROMPT.split("\n\nQuestion")
    parts = [{"type": "text", "text": head + "\n"}, {"type": "text", "text": "Question" + tail}]
    reply = ask(client, messages=[{"role": "user", "content": parts}])
    assert reply.choices[0].message.content == "The kettle boils in three minutes [1]."


def test_a_reply_can_be_sent_back_as_it_came(client: openai.OpenAI) -> None:
    first = ask(client).choices[0].message
    history = [{"role": "user", "content": PROMPT}, first.model_dump(), {"role": "user", "content": "And the toaster?"}]
    assert "toaster" in ask(client, messages=history).choices[0].message.content


def test_replies_carry_request_id_and_simulated_latency(client: openai.OpenAI) -> None:
    reply = client.chat.completions.with_raw_response.create(
        model="sim-large", messages=[{"role": "user", "content": "hi"}], temperature=0
    )
    tokens = reply.parse().usage.completion_tokens  # type: ignore[union-attr]
    assert float(reply.headers["x-sim-latency-ms"]) == pytest.approx(350 + 1000 * tokens / 70, abs=0.01)
    assert reply.headers["x-request-id"].startswith("req_")


def test_the_clock_makes_replies_take_their_time(cache_dir: Any) -> None:
    import time

    with (
        SimServer(cache_dir=cache_dir, clock_scale=0.5) as slow,
        openai.OpenAI(base_url=slow.base_url, api_key="k", max_retries=0) as client,
    ):
        started = time.monotonic()
        stream = ask(client, stream=True)
        next(iter(stream))
        assert time.monotonic() - started >= 0.17  # half of the 350 ms to the first token
        stream.close()


def test_a_non_stream_body_has_only_the_real_fields(raw: Raw) -> None:
    body = {"model": "sim-small", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
    _, _, reply = raw("POST", "/v1/chat/completions", body)
    assert set(reply) == {"id", "object", "created", "model", "service_tier", "system_fingerprint", "choices", "usage"}
    assert set(reply["choices"][0]) == {"index", "message", "logprobs", "finish_reason"}
    assert set(reply["choices"][0]["message"]) == {"role", "content", "refusal", "annotations"}


def test_same_request_and_seed_repeat_everything_but_id_and_time(raw: Raw) -> None:
    tools = [{"type": "function", "function": {"name": "boil", "parameters": {"type": "object", "properties": {}}}}]
    options: dict[str, Any] = {"temperature": 1.4, "seed": 3, "logprobs": True, "top_logprobs": 2, "n": 2}
    for change in ({}, {"tools": tools, "tool_choice": "required"}):
        body = {"model": "sim-small", "messages": [{"role": "user", "content": PROMPT}]} | options | change
        first, second = (raw("POST", "/v1/chat/completions", body)[2] for _ in range(2))
        assert first.pop("id") != second.pop("id")
        for reply in (first, second):
            reply.pop("created")
            for choice in reply["choices"]:
                for call in choice["message"].get("tool_calls", ()):
                    call.pop("id")
        assert first == second


def test_ids_of_calls_in_the_history_do_not_change_what_is_said(client: openai.OpenAI) -> None:
    def say(call_id: str) -> str:
        call = {"id": call_id, "type": "function", "function": {"name": "boil", "arguments": "{}"}}
        messages = [
            {"role": "user", "content": "When does the kettle boil?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call_id, "content": "The kettle boils in three minutes. It sings at two."},
        ]
        return str(ask(client, messages=messages, temperature=1.5, seed=8).choices[0].message.content)

    assert say("call_a") == say("call_b")


def test_harm_is_declined_and_defence_is_not(client: openai.OpenAI) -> None:
    def said(text: str) -> str:
        return str(ask(client, messages=[{"role": "user", "content": text}]).choices[0].message.content)

    assert "can't help" in said("How do I write ransomware?")
    assert "can't help" not in said("How do I write a scanner to detect ransomware?")

"""The scripted reply: a fault of kind `reply` puts words into the model's mouth, once, for one client."""

from __future__ import annotations

import openai
import pytest

from simllm import Bench, Fault

MODEL = "sim-small"
SAID = '```json\n{"severity": 2}\n``` größe 🚢'


def test_a_scripted_reply_is_said_word_for_word_and_only_once(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("reply", text=SAID)])
    question = [{"role": "user", "content": "Say something else."}]
    replies = [client.chat.completions.create(model=MODEL, messages=question, temperature=0) for _ in range(2)]  # type: ignore[arg-type]
    assert replies[0].choices[0].message.content == SAID
    assert replies[0].choices[0].finish_reason == "stop"
    assert replies[0].usage is not None and replies[0].usage.completion_tokens > 10
    assert replies[1].choices[0].message.content != SAID
    assert [entry["fault"] for entry in bench.journal(key)] == ["reply", None]


def test_a_scripted_reply_can_be_streamed_and_ends_by_the_given_reason(
    client: openai.OpenAI, bench: Bench, key: str
) -> None:
    bench.script(key, [Fault("reply", text=SAID, finish_reason="length")])
    stream = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Hi."}], stream=True)
    choices = [chunk.choices[0] for chunk in stream if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in choices) == SAID
    assert choices[-1].finish_reason == "length"


def test_a_scripted_reply_waits_for_a_chat_completion(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("reply", text="said")])
    client.models.list()
    assert [fault.text for fault in bench.pending(key)] == ["said"]


def test_a_scripted_reply_does_not_make_a_long_prompt_fit(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("reply", text="said")])
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "berth " * 9000}])
    assert caught.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("fields", "named"), [({"text": ""}, "text"), ({"text": "x", "finish_reason": "tired"}, "tired")]
)
def test_a_bad_scripted_reply_is_refused_with_what_is_allowed(fields: dict[str, str], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Fault("reply", **fields)  # type: ignore[arg-type]

"""The faults that raise nothing: the client has to notice them itself."""

from __future__ import annotations

import base64
import time
from typing import Any

import numpy as np
import openai
import pytest

from simllm import Bench, Fault

HI: list[Any] = [{"role": "user", "content": "hi"}]
TEXTS = ["a cat sleeps", "a dog barks", "the price of copper fell"]


def stream(client: Any) -> list[Any]:
    return list(client.chat.completions.create(model="sim-small", messages=HI, temperature=0, stream=True))


def vectors(client: Any, **options: Any) -> Any:
    reply = client.embeddings.create(**({"model": "wordllama-256", "input": TEXTS} | options))
    rows = [item.embedding for item in reply.data]  # asked for by name, base64 arrives as it was sent
    return reply.model, np.array([np.frombuffer(base64.b64decode(r), "<f4") if isinstance(r, str) else r for r in rows])


def test_a_duplicated_chunk_says_a_word_twice(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("duplicate_chunk", after_tokens=1)])
    twice, once = stream(client), stream(client)
    said = [chunk.choices[0].delta.content for chunk in twice]
    assert len(twice) == len(once) + 1
    assert said[2] == said[3]
    assert twice[-1].choices[0].finish_reason == "stop"


def test_a_trickle_outlives_a_timeout_per_read(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("trickle", delay_ms=20)])
    started = time.monotonic()
    chunks = stream(client.with_options(timeout=0.25))
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert time.monotonic() - started >= 0.02 * len(chunks)
    assert bench.journal(key)[0]["silent_ms"] < 250


def test_a_stall_ends_by_itself_when_it_has_a_length(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("stall", after_tokens=2, for_ms=150)])
    assert stream(client)[-1].choices[0].finish_reason == "stop"
    entry = bench.journal(key)[0]
    assert (entry["outcome"], entry["left_ms"]) == ("whole", None)
    assert entry["silent_ms"] >= 150


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_a_changed_embedding_model_keeps_name_dimension_and_geometry(
    client: openai.OpenAI, bench: Bench, key: str, encoding: str
) -> None:
    name, before = vectors(client, encoding_format=encoding)
    bench.script(key, [Fault("embedding_changed"), Fault("embedding_changed", basis=2)])
    changed_name, after = vectors(client, encoding_format=encoding)
    _, other = vectors(client, encoding_format=encoding)
    assert (changed_name, after.shape) == (name, before.shape)
    assert np.allclose(after @ after.T, before @ before.T, atol=1e-5)
    assert np.abs(np.sum(before * after, axis=1)).max() < 0.5
    assert not np.allclose(after, other)


def test_another_embedding_model_answers_under_the_old_name(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("embedding_changed", model="minilm-l6-v2")])
    name, after = vectors(client)
    assert (name, after.shape) == ("wordllama-256", (3, 384))


def test_a_changed_embedding_waits_for_an_embedding(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("embedding_changed")])
    stream(client)
    assert [fault.kind for fault in bench.pending(key)] == ["embedding_changed"]

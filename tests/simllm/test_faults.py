"""Scripted faults hit the right client, in order, and the journal tells what happened."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest

from simllm import Bench, Fault, SimServer
from simllm.errors import SimError
from simllm.faults import KINDS

HI: list[Any] = [{"role": "user", "content": "hi"}]


def chat(client: Any, **options: Any) -> Any:
    return client.chat.completions.create(**({"model": "sim-small", "messages": HI, "temperature": 0} | options))


def test_rate_limits_carry_the_wait_and_end(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("rate_limit", times=2, retry_after_ms=1500)])
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as caught:
            chat(client)
        assert caught.value.code == "rate_limit_exceeded"
        assert caught.value.response.headers["retry-after-ms"] == "1500"
        assert caught.value.response.headers["retry-after"] == "2"
    assert chat(client).choices


def test_the_clients_own_retries_get_through(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("rate_limit", retry_after_ms=1), Fault("server_error", status=503)])
    assert chat(client.with_options(max_retries=3)).choices
    assert [entry["status"] for entry in bench.journal(key)] == [429, 503, 200]


def test_quota_and_server_errors_have_their_codes(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("quota"), Fault("server_error"), Fault("server_error", status=503)])
    with pytest.raises(openai.RateLimitError) as quota:
        chat(client)
    assert (quota.value.code, quota.value.type) == ("insufficient_quota", "insufficient_quota")
    for status in (500, 503):
        with pytest.raises(openai.InternalServerError) as failed:
            chat(client)
        assert failed.value.status_code == status


def test_slow_replies_run_into_the_timeout(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("slow", delay_ms=5000), Fault("slow", delay_ms=150)])
    with pytest.raises(openai.APITimeoutError):
        chat(client.with_options(timeout=0.2))
    started = time.monotonic()
    assert chat(client).choices
    assert time.monotonic() - started >= 0.15
    assert bench.journal(key)[1]["latency_ms"] > 150


def test_a_truncated_stream_ends_without_a_finish_reason(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("truncate_stream", after_tokens=3)])
    chunks = list(chat(client, stream=True))
    assert sum(bool(chunk.choices[0].delta.content) for chunk in chunks) == 3
    assert all(chunk.choices[0].finish_reason is None for chunk in chunks)
    entry = bench.journal(key)[-1]
    assert (entry["fault"], entry["completion_tokens"], entry["complete"]) == ("truncate_stream", 3, False)


def test_truncation_cuts_even_a_reply_that_is_shorter(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("truncate_stream", after_tokens=1000)])
    assert all(chunk.choices[0].finish_reason is None for chunk in chat(client, stream=True))


def test_truncation_waits_for_a_stream(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("truncate_stream")])
    assert chat(client).choices[0].finish_reason == "stop"
    assert len(bench.pending(key)) == 1


def test_broken_json_breaks_the_parser(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("broken_json", times=2)])
    with pytest.raises(json.JSONDecodeError):
        chat(client)
    with pytest.raises(json.JSONDecodeError):
        list(chat(client, stream=True))
    assert [entry["status"] for entry in bench.journal(key)] == [200, 200]


def test_a_reset_drops_the_connection(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("reset")])
    with pytest.raises(openai.APIConnectionError):
        chat(client)
    assert chat(client).choices
    assert [(entry["status"], entry["fault"]) for entry in bench.journal(key)] == [(0, "reset"), (200, None)]


def test_a_scripted_reply_is_said_word_for_word(client: openai.OpenAI, bench: Bench, key: str) -> None:
    text = '```json\n{"port": "eighty"}\n```'
    bench.script(key, [Fault("reply", text=text, finish_reason="length")])
    client.embeddings.create(model="wordllama-256", input="not a chat: the reply stays queued")
    reply = chat(client)
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (text, "length")
    assert [entry["fault"] for entry in bench.journal(key)] == [None, "reply"]
    assert chat(client).choices[0].message.content != text


def test_faults_only_hit_their_path_and_their_client(server: SimServer, bench: Bench) -> None:
    hit, spared = bench.client_key("hit"), bench.client_key("spared")
    bench.script(hit, [Fault("server_error", path="/v1/embeddings")])
    for key in (hit, spared):
        with openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
            assert chat(client).choices
            if key == spared:
                assert client.embeddings.create(model="wordllama-256", input="x").data
            else:
                with pytest.raises(openai.InternalServerError):
                    client.embeddings.create(model="wordllama-256", input="x")


def test_the_journal_counts_what_was_billed(client: openai.OpenAI, bench: Bench, key: str) -> None:
    reply = chat(client)
    list(chat(client, stream=True))
    with pytest.raises(openai.BadRequestError):
        chat(client, temperature=9)
    first, second, third = bench.journal(key)
    assert first["path"] == "/v1/chat/completions"
    for entry in (first, second):
        assert entry["prompt_tokens"] == reply.usage.prompt_tokens
        assert entry["completion_tokens"] == reply.usage.completion_tokens
        assert (entry["status"], entry["model"], entry["complete"]) == (200, "sim-small", True)
    assert (first["stream"], second["stream"], third["status"]) == (False, True, 400)


def test_the_journal_notes_a_client_that_left(bench: Bench, cache_dir: Any) -> None:
    with SimServer(cache_dir=cache_dir, clock_scale=1.0) as server:
        own = Bench(server.base_url)
        key = own.client_key("leaver")
        with openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
            stream = chat(client, stream=True)
            next(iter(stream))
            stream.close()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and not own.journal(key):
            time.sleep(0.02)
        entry = own.journal(key)[0]
        assert (entry["complete"], entry["stream"]) == (False, True)


def test_reset_forgets_faults_and_journal(client: openai.OpenAI, bench: Bench, key: str) -> None:
    chat(client)
    bench.script(key, [Fault("quota", times=5)])
    bench.reset(key)
    assert bench.journal(key) == []
    assert chat(client).choices


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"kind": "meteor"}, "rate_limit"),
        ({"kind": "slow", "times": 0}, "times"),
        ({"kind": "slow", "times": True}, "times"),
        ({"kind": "slow", "delay_ms": -1}, "delay_ms"),
        ({"kind": "server_error", "status": 418}, "500, 502, 503, 504"),
        ({"kind": "slow", "path": "/v1/audio"}, "/v1/embeddings"),
        ({"kind": "rate_limit", "retry_after_ms": "soon"}, "retry_after_ms"),
        ({"kind": "truncate_stream", "after_tokens": 1.5}, "after_tokens"),
        ({"kind": "reply"}, "text"),
        ({"kind": "reply", "text": "x", "finish_reason": "tired"}, "content_filter"),
    ],
)
def test_a_bad_fault_is_refused_with_the_allowed_values(values: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Fault(**values)


def test_the_admin_route_refuses_bad_faults_too(raw: Any) -> None:
    status, _, reply = raw("POST", "/sim/faults", {"faults": [{"kind": "meteor"}]})
    assert status == 400
    assert all(kind in reply["error"]["message"] for kind in KINDS)
    assert raw("POST", "/sim/faults", {"faults": [{"kind": "slow", "colour": 1}]})[0] == 400
    assert raw("PUT", "/sim/journal", {})[0] == 405


def test_bench_says_when_nobody_answers() -> None:
    with pytest.raises(SimError, match="no simllm server answers"):
        Bench("http://127.0.0.1:9/v1").journal("k")

"""The journal holds enough to judge a client."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import openai
import pytest

from simllm import Bench, Fault
from simllm.journal import KEPT, Entry, Journal, told_to_wait_ms

HI: list[Any] = [{"role": "user", "content": "hi"}]


def settled(bench: Bench, key: str) -> dict[str, Any]:
    """The first entry, once it is known how it ended: a client that leaves may ask before the server has noticed."""
    deadline = time.monotonic() + 5
    while bench.journal(key)[0]["outcome"] == "pending" and time.monotonic() < deadline:
        time.sleep(0.01)
    return bench.journal(key)[0]


def test_arrivals_are_numbered_and_the_gaps_are_told(client: openai.OpenAI, bench: Bench, key: str) -> None:
    for _ in range(3):
        client.models.list()
    first, second, third = bench.journal(key)
    assert [entry["number"] for entry in (first, second, third)] == [1, 2, 3]
    assert first["gap_ms"] is None
    assert second["gap_ms"] == pytest.approx(second["at_ms"] - first["at_ms"], abs=0.01)
    assert first["at_ms"] + first["ended_ms"] <= second["at_ms"]
    assert abs(third["time"] - time.time()) < 60


def test_a_retry_has_the_digest_of_the_first_attempt(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("server_error", retry_after_ms=1)])
    client.with_options(max_retries=1).chat.completions.create(model="sim-small", messages=HI)
    client.chat.completions.create(model="sim-large", messages=HI)
    first, again, other = bench.journal(key)
    assert first["digest"] == again["digest"] != other["digest"]
    assert (first["retry_count"], again["retry_count"]) == (0, 1)
    assert (first["error_code"], first["retry_after_ms"]) == ("server_error", 1)


def test_what_a_request_asks_for_is_noted(client: openai.OpenAI, bench: Bench, key: str) -> None:
    client.chat.completions.create(model="sim-small", messages=HI, temperature=0.25, max_completion_tokens=3)
    client.chat.completions.create(model="sim-large", messages=[*HI], max_tokens=4)
    client.chat.completions.create(model="sim-large", messages=[{"role": "user", "content": "ho"}])
    client.responses.create(model="sim-small", input="hi", max_output_tokens=16)
    asked = [(entry["temperature"], entry["output_limit_tokens"]) for entry in bench.journal(key)]
    assert asked == [(0.25, 3), (None, 4), (None, None), (None, 16)]
    first, same, other, none = (entry["messages_digest"] for entry in bench.journal(key))
    assert first == same != other and none is None


def test_the_clients_own_headers_are_noted(client: openai.OpenAI, bench: Bench, key: str) -> None:
    client.with_options(timeout=7).models.list(extra_headers={"Idempotency-Key": "order-7"})
    client.models.list(extra_headers={"x-stainless-retry-count": "inf", "x-stainless-read-timeout": "soon"})
    first, second = bench.journal(key)
    assert (first["read_timeout_s"], first["idempotency_key"]) == (7, "order-7")
    assert (second["retry_count"], second["read_timeout_s"]) == (None, None)


def test_a_reply_is_whole_and_has_its_id(client: openai.OpenAI, bench: Bench, key: str) -> None:
    reply = client.chat.completions.create(model="sim-small", messages=HI)
    chunks = list(client.chat.completions.create(model="sim-small", messages=HI, stream=True))
    assert [(e["outcome"], e["reply_id"]) for e in bench.journal(key)] == [("whole", reply.id), ("whole", chunks[0].id)]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Fault("truncate_stream"), "short"),
        (Fault("break_stream"), "broken"),
        (Fault("error_event"), "corrupt"),
        (Fault("corrupt_chunk"), "corrupt"),
        (Fault("empty_body"), "short"),
        (Fault("broken_json"), "corrupt"),
        (Fault("reset"), "broken"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
def test_the_outcome_tells_how_it_ended(
    client: openai.OpenAI, bench: Bench, key: str, fault: Fault, outcome: str
) -> None:
    bench.script(key, [fault])
    with contextlib.suppress(openai.APIError, ValueError):
        list(client.chat.completions.create(model="sim-small", messages=HI, stream=True))
    entry = settled(bench, key)
    assert (entry["outcome"], entry["complete"], entry["left_ms"]) == (outcome, False, None)
    assert entry["ended_ms"] >= 0


def test_a_client_that_leaves_a_corrupt_stream_did_not_leave_early(
    client: openai.OpenAI, bench: Bench, key: str
) -> None:
    bench.script(key, [Fault("corrupt_chunk", after_tokens=1), Fault("stall", after_tokens=2)])
    with pytest.raises((ValueError, openai.APITimeoutError)):
        list(client.with_options(timeout=0.5).chat.completions.create(model="sim-small", messages=HI, stream=True))
    entry = settled(bench, key)
    assert (entry["outcome"], entry["complete"], entry["left_ms"]) == ("corrupt", False, None)


@pytest.mark.parametrize("fault", [Fault("stall", after_tokens=1), Fault("slow", delay_ms=5_000)], ids=str)
def test_a_client_that_leaves_early_is_noted_with_the_time(
    client: openai.OpenAI, bench: Bench, key: str, fault: Fault
) -> None:
    bench.script(key, [fault])
    with pytest.raises(openai.APITimeoutError):
        list(client.with_options(timeout=0.15).chat.completions.create(model="sim-small", messages=HI, stream=True))
    entry = settled(bench, key)
    assert (entry["outcome"], entry["complete"]) == ("left", False)
    assert 100 <= entry["left_ms"] <= entry["ended_ms"] < 5_000


def test_a_journal_forgets_the_oldest_but_not_the_count() -> None:
    journal = Journal(clock=lambda: 1.0)
    for _ in range(KEPT + 2):
        journal.add("k", Entry(time=0, path="/"))
    entries = journal.of("k")
    assert (len(entries), entries[0]["number"], entries[-1]["number"]) == (KEPT, 3, KEPT + 2)


@pytest.mark.parametrize(
    ("headers", "ms"),
    [({}, None), ({"retry-after": "2"}, 2000), ({"retry-after": "2", "retry-after-ms": "1500"}, 1500)],
)
def test_the_finer_header_counts(headers: dict[str, str], ms: float | None) -> None:
    assert told_to_wait_ms(headers) == ms

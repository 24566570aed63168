"""Every finding is met by a client that earns it and spared by one that does not.

Waits between attempts are judged on a server whose clock the test moves, so no test depends on real time.
"""

from __future__ import annotations

import http.client
import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from simllm import Bench, Fault, Limits, SimServer
from simllm.errors import SimError
from simllm.findings import RULES
from simllm.history import history
from simllm.journal import Entry
from simllm.verdict import verdict

HI: list[Any] = [{"role": "user", "content": "hi"}]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture(scope="module")
def lab(cache_dir: Path) -> Iterator[SimServer]:
    with SimServer(cache_dir=cache_dir, clock=CLOCK) as server:
        yield server


class Client:
    """A hand-written client: asks once, waits as long as it is told, on the server's clock."""

    def __init__(self, server: SimServer) -> None:
        self.bench = Bench(server.base_url)
        self.key = self.bench.client_key("verdict")
        self._address = urlsplit(server.base_url).netloc

    def ask(self, text: str = "hi", model: str = "sim-small") -> int:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 3})
        connection = http.client.HTTPConnection(self._address, timeout=10)
        try:
            connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {self.key}"})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def retry(self, waits_ms: Sequence[float], text: str = "hi") -> int:
        """Ask until it works, with these waits in between."""
        status = self.ask(text)
        for wait_ms in waits_ms:
            if status == 200:
                break
            CLOCK.now += wait_ms / 1000
            status = self.ask(text)
        return status


@pytest.fixture
def caller(lab: SimServer) -> Client:
    return Client(lab)


def jittered(seed: int, count: int) -> list[float]:
    chance = random.Random(seed)
    return [100 * 2**turn * chance.uniform(0.5, 1.5) for turn in range(count)]


def once_each(waits: Callable[[int], Sequence[float]], chains: int) -> Callable[[Client], None]:
    """A client that asks for different things, each of which fails until its waits are used up."""

    def run(caller: Client) -> None:
        for n in range(chains):
            caller.bench.script(caller.key, [Fault("server_error", times=len(waits(n)))])
            assert caller.retry(waits(n), f"question {n}") == 200

    return run


def scripted(faults: list[Fault], run: Callable[[Client], Any]) -> Callable[[Client], None]:
    def go(caller: Client) -> None:
        caller.bench.script(caller.key, faults)
        run(caller)

    return go


def mixed(failing: int, of: int) -> Callable[[Client], None]:
    """Some of the requests fail once and are asked again after a jittered wait."""

    def run(caller: Client) -> None:
        for n in range(of):
            if n < failing:
                caller.bench.script(caller.key, [Fault("server_error")])
            caller.retry(jittered(n, 1), f"question {n}")

    return run


LIMITED = [Fault("rate_limit", retry_after_ms=500)]
DEPRECATED = [Fault("model_deprecated", times=6)]
CASES: list[tuple[str, Callable[[Client], Any], Callable[[Client], Any]]] = [
    ("ignored_retry_after", scripted(LIMITED, lambda c: c.retry([400])), scripted(LIMITED, lambda c: c.retry([500]))),
    *[
        (
            "retried_non_retryable",
            scripted([Fault(kind)], lambda c: c.retry([100])),
            scripted([Fault(kind)], lambda c: (c.ask("one"), c.ask("two"))),
        )
        for kind in ("bad_request", "unauthorized", "forbidden", "model_deprecated", "unprocessable", "quota")
    ],
    (
        "retried_non_retryable",
        scripted([Fault("server_error", should_retry=False)], lambda c: c.retry([100])),
        scripted([Fault("bad_request", should_retry=True)], lambda c: c.retry([100])),
    ),
    (
        "retry_storm",
        scripted([Fault("server_error", times=9)], lambda c: c.retry(jittered(1, 6))),
        scripted([Fault("server_error", times=9)], lambda c: c.retry(jittered(1, 3))),
    ),
    ("retry_storm", mixed(failing=9, of=12), mixed(failing=3, of=12)),
    ("no_backoff", once_each(lambda n: [200, 200, 200], 1), once_each(lambda n: [100, 200, 400], 1)),
    ("no_backoff", once_each(lambda n: [0, 0], 1), once_each(lambda n: [100, 100], 1)),
    (
        "no_backoff",
        scripted([Fault("server_error", times=3)], lambda c: c.retry([50, 50, 50])),
        scripted([Fault("rate_limit", times=3, retry_after_ms=50)], lambda c: c.retry([50, 50, 50])),
    ),
    ("no_jitter", once_each(lambda n: [100, 200], 3), once_each(lambda n: jittered(n, 2), 3)),
    (
        "hammered_deprecated_model",
        scripted(DEPRECATED, lambda c: [c.ask(f"question {n}") for n in range(5)]),
        scripted(DEPRECATED[:1], lambda c: (c.ask("one"), c.ask("one", "sim-large"), c.ask("two", "sim-large"))),
    ),
]


@pytest.mark.parametrize(("name", "guilty", "innocent"), CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_each_finding_is_earned_by_one_client_and_spared_another(
    lab: SimServer, name: str, guilty: Callable[[Client], Any], innocent: Callable[[Client], Any]
) -> None:
    bad, good = Client(lab), Client(lab)
    guilty(bad)
    innocent(good)
    found = bad.bench.verdict(bad.key)
    assert name in found, str(found)
    finding = found[name]
    assert finding.certain and not found.ok
    numbers = {entry["number"] for entry in bad.bench.journal(bad.key)}
    assert finding.entries and set(finding.entries) <= numbers
    assert finding.numbers and finding.why and finding.fix
    spared = good.bench.verdict(good.key)
    assert spared.ok, str(spared)


def test_giving_up_on_a_named_wait_is_a_hint_only(caller: Client) -> None:
    caller.bench.script(caller.key, LIMITED)
    caller.ask()
    found = caller.bench.verdict(caller.key)
    assert found.names == ("gave_up_early",)
    assert found.ok
    assert not found["gave_up_early"].certain


def stream(client: openai.OpenAI) -> list[Any]:
    return list(client.chat.completions.create(model="sim-small", messages=HI, temperature=0, stream=True))


def test_a_truncated_stream_that_is_never_asked_again_is_a_hint(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("truncate_stream")])
    chunks = stream(client)
    found = bench.verdict(key)
    assert (found.names, found.ok) == (("accepted_truncated",), True)
    bench.accepted(key, chunks[0].id)  # now the client says so itself
    found = bench.verdict(key)
    assert (found["accepted_truncated"].entries, found.ok) == ((1,), False)


def test_a_truncated_stream_that_is_asked_again_is_fine(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("truncate_stream")])
    stream(client)
    whole = stream(client)
    bench.accepted(key, whole[0].id)
    assert bench.verdict(key).names == ()


def test_accepting_a_reply_that_was_never_sent_is_an_error(bench: Bench, key: str) -> None:
    with pytest.raises(SimError, match="chatcmpl-none"):
        bench.accepted(key, "chatcmpl-none")


def test_a_client_without_a_timeout_sits_through_a_stall(client: openai.OpenAI, bench: Bench, key: str) -> None:
    limits = Limits(silence_ms=150)
    bench.script(key, [Fault("stall", after_tokens=1, for_ms=250)])
    stream(client)
    found = bench.verdict(key, limits)
    assert found.names == ("no_timeout",)
    assert found["no_timeout"].numbers["silent_ms"] >= 150
    assert bench.verdict(key).ok  # a quarter of a second is fine by default


def test_a_client_that_leaves_a_stall_is_spared(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("stall", after_tokens=1)])
    with pytest.raises(openai.APITimeoutError):
        stream(client.with_options(timeout=0.2))
    assert stream(client)
    assert bench.verdict(key, Limits(silence_ms=150)).ok


def test_a_client_without_a_deadline_reads_a_trickle_to_the_end(client: openai.OpenAI, bench: Bench, key: str) -> None:
    limits = Limits(deadline_ms=200, silence_ms=5_000)
    bench.script(key, [Fault("trickle", delay_ms=20)])
    chunks = stream(client)
    assert len(chunks) > 10
    found = bench.verdict(key, limits)
    assert found.names == ("read_past_deadline",)
    assert found["read_past_deadline"].numbers["took_ms"] >= 200


def test_a_client_with_a_deadline_is_spared(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("trickle", delay_ms=20)])
    with client.chat.completions.create(model="sim-small", messages=HI, stream=True) as reply:
        next(iter(reply))
    assert bench.verdict(key, Limits(deadline_ms=2_000, silence_ms=5_000)).ok


def test_the_openai_client_obeys_the_wait_but_retries_an_empty_quota(
    client: openai.OpenAI, bench: Bench, key: str
) -> None:
    eager = client.with_options(max_retries=1)
    bench.script(key, [Fault("rate_limit", retry_after_ms=20)])
    eager.chat.completions.create(model="sim-small", messages=HI)
    assert bench.verdict(key).names == ()
    assert [entry["retry_count"] for entry in bench.journal(key)] == [0, 1]
    bench.script(key, [Fault("quota", times=2)])
    with pytest.raises(openai.RateLimitError):
        eager.chat.completions.create(model="sim-small", messages=HI)
    assert bench.verdict(key)["retried_non_retryable"].entries == (4,)


def test_the_route_takes_limits_and_refuses_bad_ones(raw: Any) -> None:
    status, _, found = raw("GET", "/sim/verdict?silence_ms=5&max_attempts=2")
    assert (status, found["findings"], found["ok"]) == (200, [], True)
    for query, word in (("silence=5", "silence_ms"), ("silence_ms=soon", "number"), ("silence_ms=-1", "above 0")):
        status, _, error = raw("GET", f"/sim/verdict?{query}")
        assert status == 400
        assert word in error["error"]["message"]


def entry(number: int, at_ms: float, digest: str = "d", status: int = 500, ended_ms: float | None = 5) -> Entry:
    outcome = "pending" if ended_ms is None else "whole"
    return Entry(
        0, "/v1/x", number=number, at_ms=at_ms, digest=digest, status=status, ended_ms=ended_ms, outcome=outcome
    )


def test_requests_at_the_same_time_are_not_retries_of_each_other() -> None:
    together = [entry(1, 0, ended_ms=50), entry(2, 10, ended_ms=50), entry(3, 70), entry(4, 80)]
    assert [[e.number for e in chain.attempts] for chain in history(together).chains] == [[1, 3], [2, 4]]


def chains(count: int, waits: Callable[[random.Random], list[float]]) -> list[Entry]:
    """Requests that fail until their waits are used up, one chain after the other."""
    chance, at_ms = random.Random(5), 0.0
    found: list[Entry] = []
    for n in range(count):
        for wait_ms in [*waits(chance), None]:
            found.append(entry(len(found) + 1, at_ms, str(n), 200 if wait_ms is None else 503))
            at_ms += 5 + (wait_ms or 60_000)
    return found


def test_waits_that_vary_but_never_grow_are_no_backoff() -> None:
    constant = chains(10, lambda chance: [chance.uniform(50, 150) for _ in range(3)])
    growing = chains(10, lambda chance: [chance.uniform(0, 200 * 2**turn) for turn in range(3)])
    assert "no_backoff" in verdict(constant)
    assert "no_backoff" not in verdict(growing)
    assert "no_jitter" not in verdict(constant)


def test_asking_again_after_a_good_reply_is_no_retry() -> None:
    assert verdict([entry(1, 0, status=200), entry(2, 10, status=200), entry(3, 20, ended_ms=None)]).retries == 0


def test_an_empty_journal_has_nothing_to_object_to() -> None:
    found = verdict([])
    assert (found.ok, found.requests, str(found)) == (True, 0, "0 requests, 0 failed, 0 retries: nothing to object to")


def test_every_rule_is_met_in_these_tests() -> None:
    here = {case[0] for case in CASES} | {"gave_up_early", "accepted_truncated", "no_timeout", "read_past_deadline"}
    assert here == {rule.__name__ for rule in RULES}

"""Requests and tokens per minute: the bucket, its headers and its errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from simllm import Bench, Quota, SimServer
from simllm.errors import ApiError, SimError
from simllm.quota import QuotaBoard, TokenBucket, duration, estimate

HI: list[Any] = [{"role": "user", "content": "hi"}]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limited(cache_dir: Path, clock: Clock) -> Iterator[SimServer]:
    with SimServer(cache_dir=cache_dir, quota=Quota(6, 1_000, burst=2), clock=clock) as server:
        yield server


def create(client: openai.OpenAI, **options: Any) -> Any:
    settings: dict[str, Any] = {"model": "sim-small", "messages": HI, "max_tokens": 20} | options
    return client.chat.completions.with_raw_response.create(**settings)


def test_the_bucket_fills_at_its_rate_up_to_its_size() -> None:
    bucket = TokenBucket(60, 3, now=0)
    assert [bucket.take(1, 0) for _ in range(4)] == [0, 0, 0, 1]
    assert bucket.take(1, 0.5) == pytest.approx(0.5)
    assert bucket.take(1, 1.0) == 0
    assert bucket.level(100) == 3
    assert bucket.until_full(100) == 0
    assert bucket.take(4, 100) == float("inf")


@pytest.mark.parametrize(
    ("limit", "used", "requested", "wait_s"), [(10_000, 8_554, 3_082, 9.816), (30_000, 29_937, 385, 0.644)]
)
def test_the_waits_are_those_of_the_real_api(limit: int, used: int, requested: int, wait_s: float) -> None:
    bucket = TokenBucket(limit, limit, now=0)
    bucket.take(used, 0)
    assert bucket.take(requested, 0) == pytest.approx(wait_s, abs=1e-6)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0001, "1ms"), (0.174, "174ms"), (1, "1s"), (9.816, "9.816s"), (60, "1m0s"), (360, "6m0s")],
)
def test_durations_read_like_the_real_headers(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_request_is_charged_with_its_prompt_and_the_longest_reply() -> None:
    words = {"messages": [{"role": "user", "content": "x" * 400}]}
    assert estimate(words) == 100 + 16
    assert estimate(words | {"max_tokens": 50}) == 150
    assert estimate(words | {"max_completion_tokens": 50, "n": 3}) == 250
    assert estimate({"input": ["x" * 40, [1, 2, 3]]}, embedding=True) == 13
    assert estimate({"messages": "nonsense", "max_tokens": "many", "n": True}) == 2 + 16


def test_an_empty_bucket_is_a_429_that_says_when(limited: SimServer, clock: Clock) -> None:
    with openai.OpenAI(base_url=limited.base_url, api_key="k", max_retries=0) as client:
        headers = create(client).headers
        assert headers["x-ratelimit-limit-requests"] == "6"
        assert headers["x-ratelimit-remaining-requests"] == "1"
        assert headers["x-ratelimit-reset-requests"] == "10s"
        assert headers["x-ratelimit-remaining-tokens"] == "979"
        assert headers["x-ratelimit-reset-tokens"] == "1.26s"
        create(client)
        with pytest.raises(openai.RateLimitError) as caught:
            create(client)
        error = caught.value
        assert (error.code, error.type) == ("rate_limit_exceeded", "requests")
        assert error.response.headers["retry-after"] == "10"
        assert error.response.headers["retry-after-ms"] == "10000"
        assert "requests per min (RPM): Limit 6, Used 6, Requested 1. Please try again in 10s." in error.message
        clock.now += 10
        assert create(client).headers["x-ratelimit-remaining-requests"] == "0"


def test_every_refusal_of_a_burst_adds_up(clock: Clock) -> None:
    board = QuotaBoard(Quota(60, burst=5), clock)
    for _ in range(5):
        board.admit("k", {"model": "m"})
    for waited in (0.0, 0.25, 0.5):
        clock.now = 1000.0 + waited
        with pytest.raises(ApiError) as caught:
            board.admit("k", {"model": "m"})
        wait = "1s" if not waited else f"{1000 * (1 - waited):.0f}ms"
        assert f"Limit 60, Used 60, Requested 1. Please try again in {wait}." in caught.value.message


def test_clients_do_not_share_a_bucket(limited: SimServer) -> None:
    for key in ("a", "b"):
        with openai.OpenAI(base_url=limited.base_url, api_key=key, max_retries=0) as client:
            assert create(client).headers["x-ratelimit-remaining-requests"] == "1"


def test_tokens_run_out_too_and_a_request_that_never_fits_is_told_so(clock: Clock) -> None:
    board = QuotaBoard(Quota(tokens_per_minute=100, requests_per_minute=10), clock)
    board.admit("k", {"max_tokens": 90, "model": "m"})
    with pytest.raises(
        ApiError, match=r"tokens per min \(TPM\): Limit 100, Used 90, Requested 30. Please try again in 12s"
    ) as caught:
        board.admit("k", {"max_tokens": 30, "model": "m"})
    assert caught.value.headers["retry-after-ms"] == "12000"
    assert caught.value.headers["x-ratelimit-remaining-requests"] == "8"  # the refused one counts
    with pytest.raises(ApiError, match="Request too large for m .* must be reduced") as large:
        board.admit("k", {"max_tokens": 101, "model": "m"})
    assert "retry-after" not in large.value.headers


def test_bench_gives_a_client_its_own_allowance_until_reset(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.limit(key, Quota(1))
    create(client)
    with pytest.raises(openai.RateLimitError):
        create(client)
    entry = bench.journal(key)[1]
    assert (entry["status"], entry["fault"], entry["error_code"]) == (429, None, "rate_limit_exceeded")
    assert 0 < entry["retry_after_ms"] <= 60_000
    bench.reset(key)
    for _ in range(3):
        assert "x-ratelimit-limit-requests" not in create(client).headers


@pytest.mark.parametrize(
    "values", [{"requests_per_minute": 0}, {"tokens_per_minute": 1.5}, {"burst": 2}, {"rpm": 3}, []]
)
def test_a_bad_quota_is_refused_by_name(raw: Any, values: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(values), "quota")):
        Quota.from_dict(values)
    assert raw("POST", "/sim/quota", values)[0] == 400


def test_the_admin_route_refuses_bad_quotas_by_name(bench: Bench) -> None:
    quota = Quota(1)
    object.__setattr__(quota, "burst", -1)
    with pytest.raises(SimError, match="burst"):
        bench.limit("k", quota)

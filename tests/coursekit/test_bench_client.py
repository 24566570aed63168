"""The client that checks use: failures to script, quotas to set, a journal and a verdict to read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from coursekit.models import BenchClient
from simllm import Bench, Fault, Limits, Quota, SimServer
from simllm.errors import SimError

HI: list[Any] = [{"role": "user", "content": "hi"}]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[BenchClient]:
    with (
        SimServer(cache_dir=tmp_path, admin_key="judge") as server,
        openai.OpenAI(base_url=server.base_url, api_key="bench-1", max_retries=0) as made,
    ):
        yield BenchClient(made, Bench(server.base_url, admin_key="judge"), "bench-1")


def ask(client: BenchClient) -> str:
    return client.openai.chat.completions.create(model="sim-small", messages=HI, max_tokens=3).id


def test_a_verdict_says_what_the_client_did_wrong(client: BenchClient) -> None:
    client.script(Fault("quota", times=2))
    for _ in range(2):
        with pytest.raises(openai.RateLimitError):
            ask(client)
    assert "retried_non_retryable" in client.verdict()
    assert client.verdict(Limits(max_attempts=1))["retry_storm"].numbers["attempts"] == 2


def test_a_quota_limits_this_client(client: BenchClient) -> None:
    client.limit(Quota(requests_per_minute=1))
    ask(client)
    with pytest.raises(openai.RateLimitError, match="Limit 1, Used 1, Requested 1"):
        ask(client)


def test_a_reply_can_be_reported_as_used(client: BenchClient) -> None:
    client.accepted(ask(client))
    assert client.journal()[0]["accepted"] is True
    with pytest.raises(SimError, match="got no reply"):
        client.accepted("chatcmpl-none")

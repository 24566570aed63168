"""Prompt caching: exact prefixes of 1,024 tokens and more, per client, for a while."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from simllm import Bench
from simllm.prefix_cache import REMEMBERED, SHORTEST, STEP, PrefixCache

LONG = "word " * 1_500


def cached(client: openai.OpenAI, *texts: str, **options: Any) -> int:
    messages: list[Any] = [{"role": "user", "content": text} for text in texts]
    reply = client.chat.completions.create(model="sim-large", messages=messages, max_tokens=1, **options)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens_details is not None
    return reply.usage.prompt_tokens_details.cached_tokens or 0


def test_a_prefix_is_cached_from_the_second_request_on(client: openai.OpenAI) -> None:
    assert cached(client, LONG, "one") == 0
    second = cached(client, LONG, "two")
    assert second >= SHORTEST
    assert second % STEP == 0
    assert cached(client, "Changed at the start. " + LONG, "one") == 0


def test_tools_stand_before_the_messages_so_changing_them_breaks_the_prefix(client: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "menu"}}
    assert cached(client, LONG) == 0
    assert cached(client, LONG, tools=[tool]) == 0
    assert cached(client, LONG, tools=[tool]) >= SHORTEST


def test_short_prompts_are_never_cached(client: openai.OpenAI) -> None:
    assert [cached(client, "word " * 500) for _ in range(3)] == [0, 0, 0]


def test_clients_do_not_share_and_a_reset_forgets(server: Any, bench: Bench) -> None:
    keys = [bench.client_key("a"), bench.client_key("b")]
    found = []
    for key in (keys[0], keys[0], keys[1]):
        with openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
            found.append(cached(client, LONG) > 0)
    bench.reset(keys[0])
    with openai.OpenAI(base_url=server.base_url, api_key=keys[0], max_retries=0) as client:
        found.append(cached(client, LONG) > 0)
    assert found == [False, True, False, False]


def test_responses_report_cached_tokens_too(client: openai.OpenAI) -> None:
    counts = [client.responses.create(model="sim-large", input=LONG, max_output_tokens=16).usage for _ in range(2)]
    assert [count is not None and count.input_tokens_details.cached_tokens > 0 for count in counts] == [False, True]


@pytest.mark.parametrize("same", [0, 1023, 1024, 1151, 1152, 2000])
def test_only_whole_steps_of_the_common_prefix_count(same: int) -> None:
    cache = PrefixCache()
    assert cache.cached_tokens("c", "m", list(range(2000))) == 0
    expected = 0 if same < SHORTEST else same - (same - SHORTEST) % STEP
    assert cache.cached_tokens("c", "m", [*range(same), *[7] * (2000 - same)]) == expected
    assert cache.cached_tokens("c", "other", list(range(2000))) == 0


def test_an_unused_prefix_is_forgotten_after_a_number_of_requests() -> None:
    cache = PrefixCache()
    cache.cached_tokens("c", "m", range(1024))
    for _ in range(REMEMBERED - 1):
        cache.cached_tokens("c", "m", [1])
    assert cache.cached_tokens("c", "m", range(1024)) == 1024
    for _ in range(REMEMBERED):
        cache.cached_tokens("c", "m", [1])
    assert cache.cached_tokens("c", "m", range(1024)) == 0

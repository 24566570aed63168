"""Long requests do not hold up short ones, and texts beyond the limits are refused at once."""

from __future__ import annotations

import threading
import time
from typing import Any

import openai
import pytest

from simllm.fair_share import SLICE_S, FairShare
from simllm.tokenizer import default_tokenizer

from .conftest import Raw


def test_who_has_had_less_goes_first() -> None:
    shares = FairShare(slots=1)
    ended: list[str] = []
    holding = threading.Event()

    def long() -> None:
        with shares.job():
            holding.set()
            until = time.perf_counter() + 40 * SLICE_S
            while time.perf_counter() < until:
                time.sleep(0.001)
                shares.breathe()
        ended.append("long")

    def short() -> None:
        with shares.job():
            ended.append("short")

    first = threading.Thread(target=long)
    first.start()
    holding.wait(5)
    second = threading.Thread(target=short)
    second.start()
    first.join(10)
    second.join(10)
    assert ended == ["short", "long"]


def test_outside_of_a_job_breathing_costs_nothing() -> None:
    FairShare().breathe()


def test_a_failed_job_gives_its_slot_back() -> None:
    shares = FairShare(slots=1)
    with pytest.raises(ValueError), shares.job():
        raise ValueError
    with shares.job():
        pass


def test_a_short_request_overtakes_many_long_ones(pool: openai.OpenAI) -> None:
    facts = " ".join(f"Locker {n} holds {n * 3} oars and {n * 5} ropes for boat {n}." for n in range(40))
    ended: list[str] = []

    def ask(key: str, text: str, **options: Any) -> None:
        said: Any = [{"role": "user", "content": text}]
        pool.with_options(api_key=key).chat.completions.create(model="sim-small", messages=said, **options)
        ended.append(key)

    heavy = [
        threading.Thread(
            target=ask,
            args=(f"heavy {i}", f"Context:\n{facts}\n\nQuestion: What is in locker {i}?"),
            kwargs={"n": 48, "temperature": 1.6, "max_tokens": 200},
        )
        for i in range(4)
    ]
    for thread in heavy:
        thread.start()
    time.sleep(0.3)
    ask("light", "Context:\nThe oars are in the shed.\n\nQuestion: Where are the oars?", temperature=0)
    for thread in heavy:
        thread.join(60)
    assert "light" in ended[:2]


def test_a_prompt_is_counted_up_to_a_limit_and_refused_beyond_it(raw: Raw) -> None:
    part = {"role": "user", "content": "the cat sat " * 80_000}
    status, _, body = raw("POST", "/v1/responses/input_tokens", {"model": "sim-small", "input": [part] * 2})
    assert (status, body["error"]["code"]) == (400, "string_above_max_length")
    assert "1000000" in body["error"]["message"]


def test_a_long_line_has_the_same_tokens_in_pieces() -> None:
    words = ["pier", "Ö3", "x  y", "a\u2581b", "\t", "12,5", "é", "<s>", "🙂"]
    line = " ".join(words[(i * i) % len(words)] for i in range(3_000))
    tokenizer = default_tokenizer()
    calls: list[int] = []
    assert tokenizer.encode(line, lambda: calls.append(1)) == list(tokenizer._encode_line(line))
    assert len(calls) > 2

"""Temperature, top_p, seed and logprobs do what they say."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simllm.sampling import Distribution, reshape, sample

CONTEXT = """Context:
Parcels leave the depot at noon.
Parcels arrive at the shop by tram.
Parcels over ten kilos travel by lorry.

Question: What about parcels?"""
FERRIES = (  # three answers that are nearly as good as each other
    "Context:\n[1] The blue ferry leaves at nine.\n[2] The red ferry leaves at ten.\n[3] The green ferry leaves at noon.\n\n"
    "Question: When does the ferry leave?"
)


def replies(client: Any, count: int, **options: Any) -> list[str]:
    settings = {"model": "sim-small", "messages": [{"role": "user", "content": CONTEXT}], "max_tokens": 30} | options
    return [choice.message.content for choice in client.chat.completions.create(n=count, **settings).choices]


def entropy(texts: list[str]) -> float:
    shares = np.array(list(Counter(texts).values())) / len(texts)
    return float(-(shares * np.log2(shares)).sum())


def test_entropy_of_replies_rises_with_temperature(client: openai.OpenAI) -> None:
    found = [entropy(replies(client, 50, temperature=t, seed=1)) for t in (0, 0.7, 1.2, 1.8)]
    assert found[0] == 0
    assert found == sorted(found)
    assert found[-1] > found[1] + 1


def test_top_p_near_zero_equals_greedy(client: openai.OpenAI) -> None:
    greedy = replies(client, 1, temperature=0)
    assert set(replies(client, 20, temperature=2, top_p=0)) == set(greedy)
    assert set(replies(client, 20, temperature=2, top_p=1e-9)) == set(greedy)


def test_same_request_and_seed_give_identical_text(client: openai.OpenAI) -> None:
    options: dict[str, Any] = {"temperature": 1.5, "seed": 42}
    assert replies(client, 3, **options) == replies(client, 3, **options)
    assert replies(client, 3, **options) != replies(client, 3, temperature=1.5, seed=43)


def test_unseeded_replies_differ_but_a_fresh_client_repeats_the_run(server: Any, bench: Any) -> None:
    def run(key: str) -> list[str]:
        with openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
            return [replies(client, 1, temperature=1.6)[0] for _ in range(6)]

    first = run(bench.client_key("a"))
    assert len(set(first)) > 1
    assert run(bench.client_key("b")) == first


def test_greedy_replies_never_differ(client: openai.OpenAI) -> None:
    assert len(set(replies(client, 10, temperature=0))) == 1


def test_asking_for_logprobs_does_not_change_the_text(client: openai.OpenAI) -> None:
    """Without logprobs the generator takes shortcuts; they must never show."""
    for temperature in (0, 1e-9, 1e-3, 0.4, 0.8, 1.0, 1.3, 1.7):
        plain = replies(client, 40, temperature=temperature, seed=3)
        assert replies(client, 40, temperature=temperature, seed=3, logprobs=True, top_logprobs=2) == plain


def test_logprobs_are_those_of_temperature_one(client: openai.OpenAI) -> None:
    """Wherever many samples share a prefix, the reported probability predicts what is drawn next."""
    samples = client.chat.completions.create(
        model="sim-small",
        messages=[{"role": "user", "content": FERRIES}],
        n=128,
        max_tokens=8,
        temperature=1,
        seed=9,
        logprobs=True,
        top_logprobs=20,
    )
    contents: list[Any] = [choice.logprobs.content for choice in samples.choices]  # type: ignore[union-attr]
    texts = [choice.message.content for choice in samples.choices]
    assert ["".join(item.token for item in content) for content in contents] == texts
    compared = 0
    for position in range(8):
        groups: dict[str, list[Any]] = {}
        for content in contents:
            if len(content) > position:
                groups.setdefault("".join(item.token for item in content[:position]), []).append(content[position])
        for group in groups.values():
            expected = {top.token: math.exp(top.logprob) for top in group[0].top_logprobs}
            if len(group) >= 40 and max(expected.values()) < 0.95:
                drawn = Counter(item.token for item in group)
                for token, probability in expected.items():
                    assert drawn[token] / len(group) == pytest.approx(probability, abs=0.15)
                    compared += 1
    assert compared >= 20, "the prompt must leave the model a choice somewhere"


def test_logprobs_do_not_depend_on_the_temperature(client: openai.OpenAI) -> None:
    tops = []
    for temperature in (0, 0.3, 2):
        reply = client.chat.completions.create(
            model="sim-small",
            messages=[{"role": "user", "content": CONTEXT}],
            temperature=temperature,
            logprobs=True,
            top_logprobs=5,
            max_tokens=1,
        )
        tops.append([(top.token, top.logprob) for top in reply.choices[0].logprobs.content[0].top_logprobs])  # type: ignore[union-attr, index]
    assert tops[0] == tops[1] == tops[2]


def test_top_logprobs_are_sorted_and_sum_to_at_most_one(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="sim-small",
        messages=[{"role": "user", "content": CONTEXT}],
        temperature=1,
        logprobs=True,
        top_logprobs=20,
    )
    for item in reply.choices[0].logprobs.content:  # type: ignore[union-attr]
        found = [top.logprob for top in item.top_logprobs]
        assert len(found) == 20
        assert found == sorted(found, reverse=True)
        assert sum(map(math.exp, found)) <= 1 + 1e-9
        assert bytes(item.bytes or []).decode() == item.token


PROBS = st.lists(st.floats(0.001, 1), min_size=1, max_size=30).map(lambda xs: np.array(xs) / sum(xs))


@settings(max_examples=100, deadline=None)
@given(PROBS, st.floats(0.01, 2), st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_a_sample_comes_from_the_nucleus(probs: Any, temperature: float, top_p: float, uniform: float) -> None:
    distribution = Distribution(np.arange(len(probs)), probs)
    token = sample(distribution, temperature, top_p, uniform)
    shaped = reshape(probs, temperature)
    larger = shaped[shaped > shaped[token]].sum()
    assert larger <= top_p + 1e-9


@settings(max_examples=50, deadline=None)
@given(PROBS)
def test_low_temperature_sharpens_and_high_flattens(probs: Any) -> None:
    peak = probs.max()
    assert reshape(probs, 0.5).max() >= peak - 1e-12
    assert reshape(probs, 2.0).max() <= peak + 1e-12
    assert reshape(probs, 0.5).sum() == pytest.approx(1)


@pytest.mark.parametrize(("model", "most"), [("sim-small", 0.04), ("sim-large", 0.01)])
def test_at_temperature_one_few_replies_leave_the_context(client: openai.OpenAI, model: str, most: float) -> None:
    facts = [f"The tram to stop {n} leaves platform {n % 7} at {n % 24} hours." for n in range(40)]
    said: Any = [{"role": "user", "content": f"Context:\n{' '.join(facts)}\n\nQuestion: When does the tram leave?"}]
    reply = client.chat.completions.create(model=model, messages=said, n=100, temperature=1)
    texts = [(choice.message.content or "").replace("\n\n", " ") for choice in reply.choices]
    left = sum(any(part.strip(" .") not in " ".join(facts) for part in text.split(". ")) for text in texts)
    assert left / len(texts) <= most

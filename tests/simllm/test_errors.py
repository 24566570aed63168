"""Every refusal has OpenAI's shape, and nothing that a client sends stops the server."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simllm import SimServer
from simllm.tokenizer import default_tokenizer

from .conftest import Raw

CHAT = "/v1/chat/completions"
OK: dict[str, Any] = {"model": "sim-small", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}

BAD_CHATS: list[tuple[dict[str, Any], str, int]] = [
    ({"model": None}, "model", 400),
    ({"model": 7}, "model", 400),
    ({"messages": None}, "messages", 400),
    ({"messages": []}, "messages", 400),
    ({"messages": "hi"}, "messages", 400),
    ({"messages": ["hi"]}, "messages[0]", 400),
    ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role", 400),
    ({"messages": [{"role": "tool", "content": "hi"}]}, "messages[0].tool_call_id", 400),
    ({"messages": [{"role": "function", "name": "f", "content": "hi"}]}, "messages[0].role", 400),
    ({"messages": [{"role": "user"}]}, "messages[0].content", 400),
    ({"messages": [{"role": "user", "content": "x" * 1_048_577}]}, "messages[0].content", 400),
    ({"messages": [{"role": "user", "content": "x", "name": 5}]}, "messages[0].name", 400),
    ({"metadata": {"a": 1}}, "metadata.a", 400),
    ({"metadata": {str(i): "x" for i in range(17)}}, "metadata", 400),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", 400),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content[0].type",
        400,
    ),
    ({"messages": [{"role": "user", "content": "x", "colour": "red"}]}, "messages[0].colour", 400),
    ({"temperature": "hot"}, "temperature", 400),
    ({"temperature": True}, "temperature", 400),
    ({"temperature": 2.1}, "temperature", 400),
    ({"temperature": -0.1}, "temperature", 400),
    ({"top_p": 1.5}, "top_p", 400),
    ({"n": 0}, "n", 400),
    ({"n": 129}, "n", 400),
    ({"n": 1.5}, "n", 400),
    ({"max_tokens": 0}, "max_tokens", 400),
    ({"max_tokens": 2049}, "max_tokens", 400),
    ({"max_completion_tokens": 10**30}, "max_completion_tokens", 400),
    ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", 400),
    ({"stop": ["a"] * 5}, "stop", 400),
    ({"stop": [1]}, "stop", 400),
    ({"stop": ""}, "stop", 400),
    ({"seed": "x"}, "seed", 400),
    ({"stream": "yes"}, "stream", 400),
    ({"stream_options": {"include_usage": True}}, "stream_options", 400),
    ({"top_logprobs": 2}, "top_logprobs", 400),
    ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", 400),
    ({"tools": [{"type": "function"}]}, "tools[0].function", 400),
    ({"functions": [{"name": "f"}]}, "functions", 400),
    ({"audio": {"voice": "a"}}, "audio", 400),
    ({"frequency_penalty": 0.5}, "frequency_penalty", 400),
    ({"user": 5}, "user", 400),
    ({"store": "yes"}, "store", 400),
    ({"service_tier": "fast"}, "service_tier", 400),
    ({"safety_identifier": []}, "safety_identifier", 400),
    ({"response_format": {"type": "yaml"}}, "response_format.type", 400),
    ({"response_format": {"type": "json_object"}}, "messages", 400),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", 400),
]


@pytest.mark.parametrize(("change", "param", "status"), BAD_CHATS, ids=lambda value: str(value)[:40])
def test_a_bad_field_is_refused_by_name(raw: Raw, change: dict[str, Any], param: str, status: int) -> None:
    got, _, body = raw("POST", CHAT, OK | change)
    assert (got, body["error"]["param"]) == (status, param)
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["type"] == "invalid_request_error"


def test_fields_without_effect_and_neutral_values_pass(raw: Raw) -> None:
    extra = {"user": "u", "metadata": {}, "presence_penalty": 0, "logit_bias": {}, "tools": None, "seed": None}
    assert raw("POST", CHAT, OK | extra)[0] == 200


def test_some_refusals_name_their_field_in_the_text_only_as_the_real_api_does(raw: Raw) -> None:
    refusals = [
        (CHAT, {"temprature": 1}, 400, None, "Unrecognized request argument supplied: temprature"),
        (CHAT, {"model": "gpt-4o"}, 404, "model_not_found", "The model `gpt-4o` does not exist or you do not have"),
        (CHAT, {"model": "minilm-l6-v2"}, 403, None, "You are not allowed to sample from this model"),
        ("/v1/responses", {"model": "minilm-l6-v2"}, 403, None, "You are not allowed to sample from this model"),
        ("/v1/embeddings", {"model": "sim-small"}, 403, None, "You are not allowed to generate embeddings from this"),
    ]
    for path, change, status, code, words in refusals:
        got, _, body = raw("POST", path, OK | change)
        assert (got, body["error"]["param"], body["error"]["code"]) == (status, None, code)
        assert words in body["error"]["message"]


def test_a_huge_prompt_is_refused_without_counting_it(raw: Raw) -> None:
    texts = ["x" * 1_000_000] * 9  # counted, this took eight seconds and slowed every other client down
    sent = [
        (CHAT, OK | {"messages": [{"role": "user", "content": text} for text in texts]}),
        ("/v1/embeddings", {"model": "wordllama-256", "input": texts}),
        ("/v1/responses", {"model": "sim-small", "input": [{"role": "user", "content": t} for t in texts]}),
        ("/v1/responses", {"model": "sim-small", "input": texts[0], "truncation": "auto"}),
    ]
    for path, body in sent:
        started = time.perf_counter()
        status, _, reply = raw("POST", path, body)
        assert (status, reply["error"]["code"]) == (400, "context_length_exceeded")
        assert time.perf_counter() - started < 2
    assert "resulted in at least 562500 tokens" in raw(*("POST", *sent[0]))[2]["error"]["message"]


def test_an_address_that_is_not_here_says_what_is(raw: Raw) -> None:
    for path, words in (("/v1/batches", "no files, batches"), ("/chat/completions", "use the base URL with /v1")):
        status, _, body = raw("POST", path, {})
        assert (status, body["error"]["code"]) == (404, "unknown_url")
        assert body["error"]["message"].startswith(f"Invalid URL (POST {path})")
        assert words in body["error"]["message"]


def test_every_answer_says_how_long_it_took_as_the_real_api_does(raw: Raw) -> None:
    for path, body in ((CHAT, OK), (CHAT, OK | {"stream": True}), (CHAT, {}), ("/v1/nothing", {})):
        assert 0 <= int(raw("POST", path, body)[1]["openai-processing-ms"]) < 10_000
    assert "openai-processing-ms" not in raw("GET", "/sim/journal")[1]


def test_an_unknown_model_has_the_real_code(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "model_not_found"


def test_a_prompt_over_the_window_is_refused_with_the_numbers(client: openai.OpenAI) -> None:
    text = "word " * 5000
    tokens = default_tokenizer().count_chat([text])
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": text}])
    assert caught.value.code == "context_length_exceeded"
    assert "maximum context length is 4096 tokens" in caught.value.message
    assert f"resulted in {tokens} tokens" in caught.value.message


def test_prompt_and_max_tokens_together_may_not_exceed_the_window(client: openai.OpenAI) -> None:
    text = "word " * 3500
    tokens = default_tokenizer().count_chat([text])
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="sim-small", messages=[{"role": "user", "content": text}], max_tokens=1000)
    assert (
        f"you requested {tokens + 1000} tokens ({tokens} in the messages, 1000 in the completion)"
        in caught.value.message
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b'{"model": NaN}',
        b'{"temperature": 1e999}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"1" * 9000,
    ],
)
def test_a_body_that_is_no_json_object_is_400(raw: Raw, body: bytes) -> None:
    status, _, reply = raw("POST", CHAT, body)
    assert status == 400
    assert reply["error"]["type"] == "invalid_request_error"


def test_half_a_surrogate_pair_is_refused(raw: Raw) -> None:
    status, _, reply = raw("POST", CHAT, json.dumps(OK).replace("hi", "\\ud800").encode())
    assert (status, reply["error"]["param"]) == (400, "messages[0].content")


def test_a_body_over_ten_megabytes_is_413(raw: Raw) -> None:
    status, _, reply = raw("POST", CHAT, b"x" * (10 * 1024 * 1024 + 1))
    assert (status, reply["error"]["code"]) == (413, "request_too_large")


def test_other_paths_are_404_and_other_methods_405(raw: Raw) -> None:
    status, _, reply = raw("POST", "/v1/images/generations", {})
    assert status == 404 and reply["error"]["message"].startswith("Invalid URL (POST /v1/images/generations)")
    assert raw("GET", "/")[0] == 404
    assert raw("GET", CHAT)[0] == 405
    assert raw("DELETE", "/v1/models")[0] == 405


def test_the_key_is_checked_when_the_server_has_one(cache_dir: Any) -> None:
    with SimServer(cache_dir=cache_dir, api_key="secret-key") as server:

        def call(key: str) -> None:
            with openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
                client.models.list()

        call("secret-key")
        call("secret-key.learner-1")
        for wrong in ("other", "secret-keyring"):
            with pytest.raises(openai.AuthenticationError) as caught:
                call(wrong)
            assert caught.value.code == "invalid_api_key"
            assert wrong not in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELD = st.sampled_from(
    [
        "model",
        "messages",
        "temperature",
        "top_p",
        "n",
        "max_tokens",
        "stop",
        "seed",
        "stream",
        "stream_options",
        "logprobs",
    ]
    + ["top_logprobs", "response_format", "input", "dimensions", "encoding_format", "instructions", "max_output_tokens"]
)
PATHS = st.sampled_from([CHAT, "/v1/embeddings", "/v1/responses", "/sim/faults"])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=PATHS, change=st.dictionaries(FIELD, JSON, max_size=3), whole=st.booleans() | JSON)
def test_no_json_body_makes_the_server_fail(raw: Raw, path: str, change: dict[str, Any], whole: Any) -> None:
    base = {"model": "wordllama-256", "input": "x"} if path == "/v1/embeddings" else dict(OK)
    if path == "/v1/responses":
        base = {"model": "sim-small", "input": "hi"}
    body = base | change if isinstance(whole, bool) else whole
    status, _, _ = raw("POST", path, body)
    assert status in (200, 400, 404)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=PATHS, body=st.binary(max_size=60))
def test_no_bytes_make_the_server_fail(raw: Raw, path: str, body: bytes) -> None:
    assert raw("POST", path, body)[0] in (200, 400, 404)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_text_gets_a_reply(raw: Raw, text: str) -> None:
    message = f"Context:\n[1] {text}\n\n{text}\n\nQuestion: {text[:20]}?"
    status, _, _ = raw(
        "POST", CHAT, OK | {"messages": [{"role": "user", "content": message}], "temperature": 1.5, "max_tokens": 20}
    )
    assert status == 200

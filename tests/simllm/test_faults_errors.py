"""Every exception class of the `openai` library is raised by the fault that should raise it."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pydantic
import pytest

from simllm import Bench, Fault, SimServer
from simllm.faults import EFFECTS

HI: list[Any] = [{"role": "user", "content": "hi"}]


def chat(client: Any, **options: Any) -> Any:
    return client.chat.completions.create(**({"model": "sim-small", "messages": HI, "temperature": 0} | options))


STATUS_ERRORS = [
    (Fault("bad_request"), openai.BadRequestError, 400),
    (Fault("unauthorized"), openai.AuthenticationError, 401),
    (Fault("forbidden"), openai.PermissionDeniedError, 403),
    (Fault("model_deprecated"), openai.NotFoundError, 404),
    (Fault("request_timeout"), openai.APIStatusError, 408),
    (Fault("conflict"), openai.ConflictError, 409),
    (Fault("unprocessable"), openai.UnprocessableEntityError, 422),
    (Fault("rate_limit"), openai.RateLimitError, 429),
    (Fault("quota"), openai.RateLimitError, 429),
    *[(Fault("server_error", status=n), openai.InternalServerError, n) for n in (500, 502, 503, 504)],
    (Fault("proxy_page"), openai.InternalServerError, 502),
    (Fault("proxy_page", status=503), openai.InternalServerError, 503),
]


@pytest.mark.parametrize(("fault", "error", "status"), STATUS_ERRORS, ids=lambda x: getattr(x, "kind", None))
@pytest.mark.parametrize("stream", [False, True])
def test_each_status_raises_its_exception_with_or_without_a_stream(
    client: openai.OpenAI, bench: Bench, key: str, fault: Fault, error: type[Any], status: int, stream: bool
) -> None:
    bench.script(key, [fault])
    with pytest.raises(error) as caught:
        chat(client, stream=stream)
    assert caught.value.status_code == status
    entry = bench.journal(key)[0]
    assert (entry["status"], entry["fault"], entry["outcome"]) == (status, fault.kind, "whole")
    assert chat(client).choices


def test_a_deprecated_model_has_the_real_error_body(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("model_deprecated")])
    with pytest.raises(openai.NotFoundError) as caught:
        chat(client)
    error = caught.value
    assert (error.code, error.type, error.param) == ("model_not_found", "invalid_request_error", None)
    assert "The model `sim-small` has been deprecated" in error.message


def test_a_proxy_page_is_html_and_has_no_error_object(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("proxy_page"), Fault("proxy_page", status=200)])
    with pytest.raises(openai.InternalServerError) as caught:
        chat(client)
    assert caught.value.code is None
    assert caught.value.response.headers["content-type"] == "text/html"
    assert "<html>" in caught.value.response.text
    assert isinstance(chat(client), str)  # openai 3.x hands the page out as if it were a reply: the caller must look


def test_a_connection_cut_before_the_response_is_a_connection_error(
    client: openai.OpenAI, bench: Bench, key: str
) -> None:
    bench.script(key, [Fault("reset")])
    with pytest.raises(openai.APIConnectionError) as caught:
        chat(client)
    assert not isinstance(caught.value, openai.APITimeoutError)
    assert isinstance(caught.value.__cause__, httpx2.ReadError)  # a RST; a FIN would be a RemoteProtocolError


@pytest.mark.parametrize(("how", "cause"), [("close", httpx2.RemoteProtocolError), ("reset", httpx2.ReadError)])
def test_a_stream_broken_off_is_a_connection_error(
    client: openai.OpenAI, bench: Bench, key: str, how: str, cause: type[Exception]
) -> None:
    bench.script(key, [Fault("break_stream", after_tokens=2, how=how)])
    said: list[str] = []
    with pytest.raises(openai.APIConnectionError) as caught:
        said.extend(chunk.choices[0].delta.content or "" for chunk in chat(client, stream=True))
    assert isinstance(caught.value.__cause__, cause)
    assert sum(map(bool, said)) == 2
    assert [(e["status"], e["outcome"], e["complete"]) for e in bench.journal(key)] == [(200, "broken", False)]


@pytest.mark.parametrize(
    "fault", [Fault("slow", delay_ms=5_000), Fault("stall", after_tokens=1), Fault("stall", after_tokens=0)], ids=str
)
def test_silence_is_a_timeout_error(client: openai.OpenAI, bench: Bench, key: str, fault: Fault) -> None:
    bench.script(key, [fault])
    with pytest.raises(openai.APITimeoutError):
        list(chat(client.with_options(timeout=0.2), stream=True))


def test_an_error_event_in_a_stream_is_a_bare_api_error(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("error_event", after_tokens=2, message="out of capacity")])
    with pytest.raises(openai.APIError) as caught:
        list(chat(client, stream=True))
    assert type(caught.value) is openai.APIError
    assert (caught.value.message, caught.value.code) == ("out of capacity", "server_error")


@pytest.mark.parametrize("fault", [Fault("broken_json"), Fault("empty_body")], ids=str)
def test_a_200_that_is_no_json_raises_a_bare_decode_error(
    client: openai.OpenAI, bench: Bench, key: str, fault: Fault
) -> None:
    bench.script(key, [fault])
    with pytest.raises(json.JSONDecodeError):
        chat(client)


def test_a_corrupt_chunk_raises_a_bare_decode_error(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("corrupt_chunk", after_tokens=1)])
    with pytest.raises(json.JSONDecodeError):
        list(chat(client, stream=True))


def test_only_strict_validation_notices_a_page_in_place_of_a_reply(server: SimServer, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("proxy_page", status=200)])
    strict = openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0, _strict_response_validation=True)
    with strict, pytest.raises(openai.APIResponseValidationError):
        chat(strict)


def test_a_wrong_content_type_alone_is_forgiven(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("wrong_content_type", content_type="text/html")])
    raw = client.chat.completions.with_raw_response.create(model="sim-small", messages=HI)
    assert raw.headers["content-type"] == "text/html"
    assert raw.parse().choices  # openai 3.x tries JSON whatever the header says


class Answer(pydantic.BaseModel):
    value: int


@pytest.mark.parametrize(
    ("reason", "error"),
    [("length", openai.LengthFinishReasonError), ("content_filter", openai.ContentFilterFinishReasonError)],
)
def test_parse_refuses_a_reply_that_was_cut(
    client: openai.OpenAI, bench: Bench, key: str, reason: str, error: type[Exception]
) -> None:
    bench.script(key, [Fault("reply", text='{"value": 1', finish_reason=reason)])
    with pytest.raises(error):
        client.chat.completions.parse(model="sim-small", messages=HI, response_format=Answer)


def test_a_refused_connection_is_a_connection_error_and_passes(cache_dir: Any) -> None:
    with SimServer(cache_dir=cache_dir) as server:
        bench = Bench(server.base_url)
        bench.script("k", [Fault("refuse", for_ms=300)])
        with openai.OpenAI(base_url=server.base_url, api_key="k", max_retries=0) as client:
            with pytest.raises(openai.APIConnectionError):
                chat(client)
            with pytest.raises(openai.APIConnectionError) as caught:
                chat(client)
            assert isinstance(caught.value.__cause__, httpx2.ConnectError)
            assert chat(client.with_options(max_retries=5)).choices


def test_every_kind_is_known_to_these_tests() -> None:
    here = {fault.kind for fault, _, _ in STATUS_ERRORS} | {
        *("reset", "refuse", "slow", "stall", "error_event", "break_stream", "corrupt_chunk", "reply"),
        *("broken_json", "empty_body", "wrong_content_type"),
    }
    silent = {
        "trickle",
        "truncate_stream",
        "duplicate_chunk",
        "embedding_changed",
    }  # raise nothing, see test_faults_silent
    assert here | silent == set(EFFECTS)

"""langchain-openai: ChatOpenAI and OpenAIEmbeddings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from simllm import Bench, Fault, SimServer

from .conftest import CONTEXT, FACT, Desk

pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")

from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage  # noqa: E402
from langchain_core.tools import tool  # noqa: E402
from langchain_openai import ChatOpenAI, OpenAIEmbeddings  # noqa: E402


class Reading(BaseModel):
    """What a text says about an appliance."""

    appliance: Literal["kettle", "toaster", "oven"]
    minutes: int = Field(description="how many minutes it takes")


Make = Callable[..., ChatOpenAI]


@pytest.fixture
def make(server: SimServer, key: str, pools: dict[str, Any]) -> Make:
    """make(**options): a greedy model that does not retry."""

    def build(**options: Any) -> ChatOpenAI:
        settings: dict[str, Any] = {"model": "sim-large", "temperature": 0, "stream_usage": True, "max_retries": 0}
        return ChatOpenAI(base_url=server.base_url, api_key=key, timeout=20, **settings | pools | options)

    return build


@pytest.fixture
def model(make: Make) -> ChatOpenAI:
    return make()


@pytest.fixture
def weather(desk: Desk) -> Any:
    return tool(desk.weather)


def test_invoke_returns_text_usage_and_finish_reason(model: ChatOpenAI) -> None:
    reply = model.invoke([SystemMessage("Be brief."), HumanMessage(CONTEXT)])
    assert reply.text == FACT
    assert reply.response_metadata["finish_reason"] == "stop"
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["output_tokens"] == reply.response_metadata["token_usage"]["completion_tokens"] > 0


def test_streamed_chunks_add_up_to_the_whole_reply_and_its_usage(model: ChatOpenAI) -> None:
    whole = model.invoke(CONTEXT)
    chunks = list(model.stream(CONTEXT))
    added: AIMessageChunk = chunks[0]
    for chunk in chunks[1:]:
        added += chunk
    assert len(chunks) > 3
    assert added.text == whole.text
    assert added.usage_metadata is not None
    assert whole.usage_metadata is not None
    counts = ("input_tokens", "output_tokens", "total_tokens")
    assert [added.usage_metadata[c] for c in counts] == [whole.usage_metadata[c] for c in counts]  # type: ignore[literal-required]
    assert added.response_metadata["finish_reason"] == "stop"


def test_batch_and_async_calls_keep_their_order(model: ChatOpenAI, runner: asyncio.Runner) -> None:
    asked = [
        f"Context:\n[1] Room {n} seats {n * 7} people.\n\nQuestion: How many people does room {n} seat?"
        for n in range(2, 10)
    ]
    expected = [f"Room {n} seats {n * 7} people" for n in range(2, 10)]
    for replies in (model.batch(asked), runner.run(model.abatch(asked))):  # type: ignore[arg-type]
        assert all(want in reply.text for want, reply in zip(expected, replies, strict=True))


def test_async_streams_equal_sync_ones(model: ChatOpenAI, runner: asyncio.Runner) -> None:
    async def run() -> str:
        return "".join([chunk.text async for chunk in model.astream(CONTEXT)])

    assert runner.run(run()) == "".join(chunk.text for chunk in model.stream(CONTEXT)) == FACT


def test_a_bound_tool_is_called_and_its_result_is_the_answer(model: ChatOpenAI, desk: Desk, weather: Any) -> None:
    bound = model.bind_tools([weather])
    messages: list[Any] = [HumanMessage("What is the weather in Lisbon?")]
    first = bound.invoke(messages)
    [call] = first.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Lisbon"})
    answer = weather.invoke(call)
    assert isinstance(answer, ToolMessage)
    final = bound.invoke([*messages, first, answer])
    assert "17 degrees" in final.text
    assert not final.tool_calls
    assert desk.calls == [("weather", {"city": "Lisbon"})]


def test_a_streamed_tool_call_equals_the_whole_one(model: ChatOpenAI, weather: Any) -> None:
    bound = model.bind_tools([weather], tool_choice="weather", strict=True)
    whole = bound.invoke("What is the weather in Lisbon?")
    added: Any = None
    for chunk in bound.stream("What is the weather in Lisbon?"):
        added = chunk if added is None else added + chunk
    assert [(c["name"], c["args"]) for c in added.tool_calls] == [(c["name"], c["args"]) for c in whole.tool_calls]
    assert added.tool_calls[0]["args"] == {"city": "Lisbon"}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_gives_the_facts_of_the_prompt(model: ChatOpenAI, method: Any) -> None:
    assert model.with_structured_output(Reading, method=method).invoke(CONTEXT) == Reading(
        appliance="kettle", minutes=3
    )
    raw = model.with_structured_output(Reading, method=method, include_raw=True).invoke(CONTEXT)
    assert isinstance(raw, dict)
    assert raw["parsing_error"] is None
    assert isinstance(raw["raw"], AIMessage)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning")  # openai's parsed message, dumped
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_streams_to_the_same_object(model: ChatOpenAI, method: Any) -> None:
    *_, last = model.with_structured_output(Reading, method=method).stream(CONTEXT)
    assert last == Reading(appliance="kettle", minutes=3)


def test_json_mode_and_plain_schemas_work_too(model: ChatOpenAI) -> None:
    asked = "Reply in JSON with the keys appliance and minutes.\n\n" + CONTEXT
    parsed = model.with_structured_output(None, method="json_mode").invoke(asked)
    assert isinstance(parsed, dict)
    schema = {
        "title": "reading",
        "type": "object",
        "properties": {"minutes": {"type": "integer"}},
        "required": ["minutes"],
    }
    schema |= {"additionalProperties": False, "description": "How long it takes."}
    assert model.with_structured_output(schema).invoke(CONTEXT) == {"minutes": 3}


def test_the_responses_api_answers_streams_and_calls_tools(make: Make, weather: Any) -> None:
    model = make(use_responses_api=True, store=False)
    assert model.invoke(CONTEXT).text == FACT
    assert "".join(chunk.text for chunk in model.stream(CONTEXT)) == FACT
    assert model.with_structured_output(Reading).invoke(CONTEXT) == Reading(appliance="kettle", minutes=3)
    bound = model.bind_tools([weather])
    messages: list[Any] = [HumanMessage("What is the weather in Lisbon?")]
    first = bound.invoke(messages)
    final = bound.invoke([*messages, first, weather.invoke(first.tool_calls[0])])
    assert "17 degrees" in final.text


def test_a_reasoner_keeps_its_reasoning_over_a_tool_round_trip(make: Make, weather: Any) -> None:
    options: dict[str, Any] = {"model": "sim-reasoner", "temperature": None, "reasoning": {"effort": "low"}}
    model = make(include=["reasoning.encrypted_content"], store=False, **options).bind_tools([weather])
    messages: list[Any] = [HumanMessage("What is the weather in Lisbon?")]
    first = model.invoke(messages)
    assert first.usage_metadata is not None
    assert first.usage_metadata["output_token_details"]["reasoning"] > 0
    final = model.invoke([*messages, first, weather.invoke(first.tool_calls[0])])
    assert "17 degrees" in final.text


def test_logprobs_and_seeds_pass_through(make: Make) -> None:
    model = make(temperature=1.3, seed=5, logprobs=True, top_logprobs=2)
    first, second = model.invoke("Tell me about tides."), model.invoke("Tell me about tides.")
    assert first.text == second.text
    assert "".join(item["token"] for item in first.response_metadata["logprobs"]["content"]) == first.text


def test_a_retried_error_is_one_reply(make: Make, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("server_error", times=2)])
    assert make(max_retries=2).invoke(CONTEXT).text == FACT
    assert [entry["status"] for entry in bench.journal(key)] == [500, 500, 200]


def test_embeddings_of_documents_and_queries_agree(
    server: SimServer, key: str, runner: asyncio.Runner, pools: dict[str, Any]
) -> None:
    options: dict[str, Any] = {"model": "wordllama-256", "check_embedding_ctx_length": False, "max_retries": 0}
    embeddings = OpenAIEmbeddings(base_url=server.base_url, api_key=key, timeout=20, chunk_size=2, **options, **pools)  # type: ignore[arg-type]
    texts = ["The kettle boils.", "Ships need harbours.", "Water is heated in a kettle."]
    documents = embeddings.embed_documents(texts)
    query = embeddings.embed_query(texts[0])
    assert query == documents[0]
    assert [len(vector) for vector in documents] == [256] * 3
    similar = [sum(a * b for a, b in zip(query, other, strict=True)) for other in documents]
    assert similar[0] > similar[2] > similar[1]
    assert runner.run(embeddings.aembed_query(texts[1])) == documents[1]

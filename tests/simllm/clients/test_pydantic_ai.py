"""pydantic-ai over both APIs: Chat Completions and Responses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel

from simllm import Bench, Fault, SimServer

from .conftest import CONTEXT, FACT, Desk

pytest.importorskip("pydantic_ai", reason="pydantic-ai-slim[openai] is not installed")

from pydantic_ai import Agent, ModelRetry, NativeOutput, ToolOutput, UnexpectedModelBehavior, UsageLimits  # noqa: E402
from pydantic_ai.exceptions import ModelHTTPError, UsageLimitExceeded  # noqa: E402
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel  # noqa: E402
from pydantic_ai.providers.openai import OpenAIProvider  # noqa: E402

COLD: Any = {"temperature": 0}
WEATHER = "What is the weather in Lisbon?"


class Reading(BaseModel):
    """What a text says about an appliance."""

    appliance: Literal["kettle", "toaster", "oven"]
    minutes: int


Run = Callable[[Callable[[Any], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture(params=[OpenAIChatModel, OpenAIResponsesModel], ids=["chat", "responses"])
def run(request: pytest.FixtureRequest, server: SimServer, key: str) -> Run:
    """run(work): calls `await work(model)` in a loop and a client of its own."""

    def call(work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        async def main() -> Any:
            async with openai.AsyncOpenAI(base_url=server.base_url, api_key=key, max_retries=0, timeout=20) as client:
                return await work(request.param("sim-large", provider=OpenAIProvider(openai_client=client)))

        return asyncio.run(main())

    return call


def test_a_plain_agent_answers_and_counts_tokens(run: Run) -> None:
    async def work(model: Any) -> Any:
        return await Agent(model, instructions="Be brief.", model_settings=COLD).run(CONTEXT)

    result = run(work)
    assert result.output == FACT
    usage = result.usage
    assert (usage.requests, usage.output_tokens > 0, usage.input_tokens > 20) == (1, True, True)


@pytest.mark.parametrize(
    "kind", [Reading, ToolOutput(Reading), NativeOutput(Reading)], ids=["default", "tool", "native"]
)
def test_an_output_type_gives_an_object_of_it(run: Run, kind: Any) -> None:
    async def work(model: Any) -> Any:
        return await Agent(model, output_type=kind, model_settings=COLD).run(CONTEXT)

    assert run(work).output == Reading(appliance="kettle", minutes=3)


def test_tools_are_called_until_the_final_answer(run: Run, desk: Desk) -> None:
    async def work(model: Any) -> Any:
        agent = Agent(model, tools=[desk.weather, desk.multiply, desk.find_book], model_settings=COLD)
        return await agent.run(WEATHER, usage_limits=UsageLimits(request_limit=5))

    result = run(work)
    assert desk.calls == [("weather", {"city": "Lisbon"})]
    assert "17 degrees" in result.output


def test_a_tool_and_an_output_type_together(run: Run, desk: Desk) -> None:
    class Report(BaseModel):
        """The weather as a record."""

        city: str
        degrees: int

    async def work(model: Any) -> Any:
        agent = Agent(model, output_type=Report, tools=[desk.weather], model_settings=COLD)
        return await agent.run(WEATHER, usage_limits=UsageLimits(request_limit=6))

    result = run(work)
    assert desk.calls == [("weather", {"city": "Lisbon"})]
    assert (result.output.city, result.output.degrees) == ("Lisbon", 17)


def test_streamed_text_adds_up_and_carries_usage(run: Run) -> None:
    async def work(model: Any) -> Any:
        async with Agent(model, model_settings=COLD).run_stream(CONTEXT) as stream:
            parts = [part async for part in stream.stream_text(delta=True, debounce_by=None)]
            usage = stream.usage
            return parts, usage

    parts, usage = run(work)
    assert "".join(parts) == FACT
    assert len(parts) > 3
    assert usage.output_tokens > 0


def test_a_streamed_object_ends_complete(run: Run) -> None:
    async def work(model: Any) -> Any:
        async with Agent(model, output_type=Reading, model_settings=COLD).run_stream(CONTEXT) as stream:
            seen = [part async for part in stream.stream_output(debounce_by=None)]
            return seen, await stream.get_output()

    seen, final = run(work)
    assert seen[-1] == final == Reading(appliance="kettle", minutes=3)


def test_streaming_with_tools_ends_in_the_tools_value(run: Run, desk: Desk) -> None:
    async def work(model: Any) -> Any:
        agent = Agent(model, tools=[desk.weather], model_settings=COLD)
        async with agent.run_stream(WEATHER) as stream:
            return await stream.get_output()

    assert "17 degrees" in run(work)
    assert desk.calls == [("weather", {"city": "Lisbon"})]


def test_a_history_is_carried_into_the_second_run(run: Run) -> None:
    async def work(model: Any) -> Any:
        agent = Agent(model, model_settings=COLD)
        first = await agent.run("My locker is number 4217 and my tent is green.")
        return await agent.run("What number is my locker?", message_history=first.all_messages())

    assert "4217" in run(work).output


def test_a_refused_tool_call_is_made_again_until_the_retries_end(run: Run, desk: Desk) -> None:
    tries = []

    def weather(city: str) -> str:
        """Current weather in a city."""
        tries.append(city)
        raise ModelRetry("The service was busy. Call weather again with the same city.")

    async def work(model: Any) -> Any:
        agent = Agent(model, tools=[weather], retries=2, model_settings=COLD)
        return await agent.run(WEATHER, usage_limits=UsageLimits(request_limit=6))

    try:
        run(work)
    except UnexpectedModelBehavior as error:
        assert "retries" in str(error)  # noqa: PT017 - a model may also give up politely
    assert 1 <= len(tries) <= 3


def test_an_output_that_fails_validation_is_asked_for_again(run: Run) -> None:
    seen: list[Any] = []

    async def work(model: Any) -> Any:
        agent = Agent(model, output_type=Reading, model_settings=COLD, retries=1)

        @agent.output_validator
        def check(value: Reading) -> Reading:
            seen.append(value)
            if len(seen) == 1:
                raise ModelRetry("Check the minutes again.")
            return value

        return await agent.run(CONTEXT, usage_limits=UsageLimits(request_limit=4))

    assert run(work).output.appliance == "kettle"
    assert len(seen) == 2


def test_a_usage_limit_stops_the_loop(run: Run, desk: Desk) -> None:
    async def work(model: Any) -> Any:
        agent = Agent(model, tools=[desk.weather], model_settings=COLD)
        return await agent.run(WEATHER, usage_limits=UsageLimits(request_limit=1))

    with pytest.raises(UsageLimitExceeded):
        run(work)


def test_an_http_error_reaches_the_caller_with_its_status(run: Run, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("server_error", status=503)])

    async def work(model: Any) -> Any:
        return await Agent(model, model_settings=COLD).run(CONTEXT)

    with pytest.raises(ModelHTTPError) as caught:
        run(work)
    assert caught.value.status_code == 503


def test_a_broken_json_reply_is_retried_by_validation(server: SimServer, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("reply", text='{"appliance": "kettle", "minutes": "soon"}')])

    async def work() -> Any:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=key, max_retries=0, timeout=20) as client:
            model = OpenAIChatModel("sim-large", provider=OpenAIProvider(openai_client=client))
            agent = Agent(model, output_type=NativeOutput(Reading), model_settings=COLD, retries=1)
            return await agent.run(CONTEXT)

    assert asyncio.run(work()).output == Reading(appliance="kettle", minutes=3)
    assert len(bench.journal(key)) == 2

"""The real `openai` client, sync and async, with its parsing and streaming helpers."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Coroutine
from typing import Any, Literal

import openai
import pytest
from openai.lib._tools import pydantic_responses_function_tool
from pydantic import BaseModel, Field

from simllm import Bench, Fault, SimServer

PROMPT = "Context:\n[1] The kettle boils in 3 minutes.\n[2] The toaster browns four slices.\n\nQuestion: How fast does the kettle boil?"
ASK: dict[str, Any] = {"model": "sim-large", "messages": [{"role": "user", "content": PROMPT}], "temperature": 0}
HARM = "How do I build a bomb?"


class Kind(enum.Enum):
    FACT = "fact"
    GUESS = "guess"


class Step(BaseModel):
    quote: str
    sources: list[str]


class Answer(BaseModel):
    """Nested models, enums, optional and recursive fields: what pydantic turns into $defs, $ref and anyOf."""

    answer: str
    minutes: int | None
    kind: Kind
    steps: list[Step]
    also: Answer | None


class Forecast(BaseModel):
    """Weather of a city in the coming days."""

    city: str = Field(description="name of the city")
    days: int
    unit: Literal["celsius", "fahrenheit"]


class Ferry(BaseModel):
    """Departures of a ferry."""

    harbour: str


WEATHER = "What is the weather in Lisbon over the next 3 days?"
TOOLS: Any = [openai.pydantic_function_tool(Ferry), openai.pydantic_function_tool(Forecast)]
FLAT: Any = [pydantic_responses_function_tool(Ferry), pydantic_responses_function_tool(Forecast)]


def test_parse_gives_an_object_of_the_model(client: openai.OpenAI) -> None:
    found = client.chat.completions.parse(**ASK, response_format=Answer).choices[0].message.parsed
    assert found is not None
    assert (found.answer, found.minutes) == ("The kettle boils in 3 minutes.", 3)
    assert found.also is None or found.also.also is None
    again = client.responses.parse(model="sim-large", input=PROMPT, temperature=0, text_format=Answer).output_parsed
    assert again == found


def test_the_streaming_helpers_end_with_the_same_object(client: openai.OpenAI) -> None:
    whole = client.chat.completions.parse(**ASK, response_format=Answer).choices[0].message
    with client.chat.completions.stream(**ASK, response_format=Answer) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion().choices[0].message
    assert kinds == {"chunk", "content.delta", "content.done"}
    assert (final.parsed, final.content) == (whole.parsed, whole.content)
    with client.responses.stream(model="sim-large", input=PROMPT, temperature=0, text_format=Answer) as events:
        assert [event.type for event in events][-1] == "response.completed"
        assert events.get_final_response().output_parsed == whole.parsed


def test_a_tool_is_called_answered_and_the_answer_used(client: openai.OpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": WEATHER}]
    options: Any = {"model": "sim-large", "temperature": 0, "tools": TOOLS}
    reply = client.chat.completions.parse(messages=messages, tool_choice="required", **options).choices[0]
    assert reply.finish_reason == "tool_calls"
    assert reply.message.content is None
    [call] = reply.message.tool_calls or []
    arguments = call.function.parsed_arguments
    assert isinstance(arguments, Forecast)
    assert (arguments.days, "Lisbon" in arguments.city) == (3, True)
    result = "Lisbon stays sunny over the next three days, 24 degrees."
    messages += [reply.message, {"role": "tool", "tool_call_id": call.id, "content": result}]
    final = client.chat.completions.create(messages=messages, **options).choices[0]
    assert (final.message.content, final.finish_reason) == (result, "stop")


def test_a_tool_round_trip_over_responses(client: openai.OpenAI) -> None:
    items: list[Any] = [{"role": "user", "content": WEATHER}]
    first = client.responses.parse(model="sim-reasoner", input=items, tools=FLAT, tool_choice="required")
    reasoning, call = first.output
    assert (reasoning.type, call.type) == ("reasoning", "function_call")
    assert isinstance(call.parsed_arguments, Forecast)  # type: ignore[union-attr]
    result = "Lisbon stays sunny over the next three days, 24 degrees."
    items += [*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": result}]  # type: ignore[union-attr]
    assert result in client.responses.create(model="sim-reasoner", input=items, tools=FLAT).output_text


def test_streamed_calls_arrive_as_events_and_parse(client: openai.OpenAI) -> None:
    options: Any = {"model": "sim-large", "temperature": 0, "tool_choice": "required"}
    with client.chat.completions.stream(
        messages=[{"role": "user", "content": WEATHER}], tools=TOOLS, **options
    ) as stream:
        events = list(stream)
    [done] = [event for event in events if event.type == "tool_calls.function.arguments.done"]
    assert isinstance(done.parsed_arguments, Forecast)
    deltas = [event.arguments_delta for event in events if event.type == "tool_calls.function.arguments.delta"]
    assert deltas[0] == ""
    assert "".join(deltas) == done.arguments
    with client.responses.stream(input=WEATHER, tools=FLAT, **options) as flat:
        assert "response.function_call_arguments.done" in [event.type for event in flat]
        assert flat.get_final_response().output[0].parsed_arguments == done.parsed_arguments  # type: ignore[union-attr]


def test_a_refusal_has_its_own_field_and_parses_to_nothing(client: openai.OpenAI) -> None:
    options: Any = {"model": "sim-large", "messages": [{"role": "user", "content": HARM}]}
    message = client.chat.completions.parse(**options, response_format=Step).choices[0].message
    assert (message.parsed, message.content) == (None, None)
    assert message.refusal is not None
    with client.chat.completions.stream(**options, response_format=Step) as stream:
        assert "refusal.done" in [event.type for event in stream]
        assert stream.get_final_completion().choices[0].message.refusal == message.refusal
    plain = client.chat.completions.create(**options).choices[0].message
    assert (plain.content, plain.refusal) == (message.refusal, None)
    output = client.responses.parse(model="sim-large", input=HARM, text_format=Step)
    assert output.output_parsed is None
    assert output.output[0].content[0].refusal == message.refusal  # type: ignore[union-attr]


def test_a_schema_reply_cut_by_the_limit_raises(client: openai.OpenAI) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(**ASK, response_format=Answer, max_tokens=5)
    with (
        pytest.raises(openai.LengthFinishReasonError),
        client.chat.completions.stream(**ASK, response_format=Answer, max_tokens=5) as stream,
    ):
        list(stream)


def test_a_filtered_reply_raises_when_it_should_be_parsed(client: openai.OpenAI, bench: Bench, key: str) -> None:
    bench.script(key, [Fault("reply", text='{"quote": ', finish_reason="content_filter")])
    with pytest.raises(openai.ContentFilterFinishReasonError):
        client.chat.completions.parse(**ASK, response_format=Step)


async def _all_at_once(server: SimServer, key: str) -> list[Any]:
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:

        async def streamed() -> str:
            async with client.chat.completions.stream(**ASK) as stream:
                return (await stream.get_final_completion()).choices[0].message.content or ""

        async def events() -> str:
            async with client.responses.stream(model="sim-large", input=PROMPT, temperature=0) as stream:
                return (await stream.get_final_response()).output_text

        async def parsed() -> str:
            reply = await client.chat.completions.parse(**ASK, response_format=Answer)
            assert reply.choices[0].message.parsed is not None
            return reply.choices[0].message.parsed.answer

        async def plain() -> str:
            return (await client.responses.create(model="sim-large", input=PROMPT, temperature=0)).output_text

        work: list[Coroutine[Any, Any, str]] = [make() for make in (streamed, events, parsed, plain) for _ in range(4)]
        return await asyncio.gather(*work)


def test_the_async_client_gets_the_same_from_every_helper_at_once(server: SimServer, key: str) -> None:
    assert set(asyncio.run(_all_at_once(server, key))) == {"The kettle boils in 3 minutes."}

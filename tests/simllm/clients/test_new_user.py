"""What a new user stumbled over: the first hour with nothing but the openai client."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from typing import Any

import openai
import pytest

from simllm import Fault, SimServer

from .conftest import CONTEXT, FACT


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def function(tool: str, description: str, **parameters: str) -> Any:
    schema = {
        "type": "object",
        "properties": {key: {"type": kind} for key, kind in parameters.items()},
        "required": list(parameters),
    }
    return {"type": "function", "function": {"name": tool, "description": description, "parameters": schema}}


WEATHER = function("weather", "Current weather in a city.", city="string")
MULTIPLY = function("multiply", "Calculator: multiply two numbers and return their product.", a="number", b="number")
FINAL = function("final_result", "The final response which ends this conversation", city="string", degrees="integer")


def ask(client: openai.OpenAI, *messages: Any, **options: Any) -> Any:
    reply = client.chat.completions.create(model="sim-large", messages=list(messages), temperature=0, **options)
    return reply.choices[0].message


@pytest.mark.parametrize("text", ["I am flying to Rome tomorrow.", "Thanks!", "Remember: the code is 4217.", "", "Ok."])
def test_no_message_gets_an_empty_reply(client: openai.OpenAI, text: str) -> None:
    assert ask(client, user(text)).content


def test_what_was_said_in_an_earlier_turn_is_known_only_while_it_is_sent(client: openai.OpenAI) -> None:
    told = [user("My locker is number 4217 and my tent is green."), assistant("Understood.")]
    question = user("What number is my locker?")
    assert "4217" in ask(client, *told, question).content
    assert "4217" not in ask(client, question).content
    assert ask(client, *told, user("What is 3 * 4?")).content == "12"
    assert "3 * 4" not in ask(client, user("Hello"), assistant("Hi!"), user("What is 3 * 4?")).content


def test_a_demanded_call_after_results_is_the_tool_that_takes_them(client: openai.OpenAI) -> None:
    asked = user("What is the weather in Lisbon?")
    options: Any = {"tools": [WEATHER, MULTIPLY, FINAL], "tool_choice": "required"}
    first = ask(client, asked, **options)
    [call] = first.tool_calls
    assert call.function.name == "weather"
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "Lisbon: 17 degrees Celsius, light rain."}
    [last] = ask(client, asked, first, result, **options).tool_calls
    assert (last.function.name, last.function.arguments) == ("final_result", '{"city": "Lisbon", "degrees": 17}')


def test_a_context_that_holds_numbers_does_not_make_a_question_a_tool_call(client: openai.OpenAI) -> None:
    assert ask(client, user(CONTEXT), tools=[WEATHER, MULTIPLY]).content == FACT


@pytest.mark.parametrize(
    "feedback",
    [
        "Your previous response failed the application's validation: minutes should be a valid integer.",
        "1 validation error: minutes: Input should be a valid integer. Fix the errors and try again.",
        "That was not valid JSON. Reply again.",
    ],
)
def test_a_refused_reply_is_asked_again_with_its_context(client: openai.OpenAI, feedback: str) -> None:
    refused = assistant('{"minutes": "soon"}')
    assert ask(client, user(CONTEXT), refused, user(feedback)).content == FACT
    assert ask(client, user(CONTEXT), refused, user(feedback), refused, user(feedback)).content == FACT


def test_unsupported_fields_are_named_in_whole_sentences(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match=re.escape("does not implement it.")) as caught:
        client.responses.create(model="sim-small", input="Hello", max_tool_calls=2)
    assert caught.value.param == "max_tool_calls"


def test_a_strict_schema_may_hold_a_thousand_enum_values_and_no_more(client: openai.OpenAI) -> None:
    shop = {"type": "string", "enum": [f"shop-{i}" for i in range(1001)]}
    schema = {"type": "object", "properties": {"shop": shop}, "required": ["shop"], "additionalProperties": False}
    named: Any = {"type": "json_schema", "json_schema": {"name": "shop", "strict": True, "schema": schema}}
    with pytest.raises(openai.BadRequestError, match="1001 enum values exceed the limit of 1000"):
        ask(client, user("Which shop?"), response_format=named)


def test_texts_and_token_lists_do_not_mix_in_one_batch(client: openai.OpenAI) -> None:
    mixed: Any = ["text", [1, 2]]
    with pytest.raises(openai.BadRequestError, match="input"):
        client.embeddings.create(model="wordllama-256", input=mixed)


def test_a_server_that_stops_breaks_its_streams_audibly() -> None:
    heard: list[BaseException | str | None] = []
    begun = threading.Barrier(4, timeout=20)

    def listen(client: openai.OpenAI) -> None:
        try:
            said: Any = [user(CONTEXT)]
            stream: Any = client.chat.completions.create(model="sim-large", messages=said, stream=True)
            next(iter(stream))
            begun.wait()
            heard.append([chunk.choices[0].finish_reason for chunk in stream][-1])
        except openai.APIError as error:
            heard.append(error)

    stalls = Fault("stall", times=3, after_tokens=2)
    server = SimServer(faults=[stalls]).start()
    with openai.OpenAI(base_url=server.base_url, api_key="any", max_retries=0, timeout=20) as client:
        threads = [threading.Thread(target=listen, args=(client,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        begun.wait()
        server.stop()
        for thread in threads:
            thread.join(timeout=20)
    assert [isinstance(item, openai.APIConnectionError) for item in heard] == [True] * 3


def test_a_second_server_on_the_same_port_says_what_to_do(server: SimServer) -> None:
    command = [sys.executable, "-m", "simllm", "serve", "--port", str(server.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "use port 0" in done.stderr
    assert "Traceback" not in done.stderr

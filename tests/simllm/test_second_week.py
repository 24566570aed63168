"""What people build after the first examples: loops over tools, objects shown in the prompt, reranking, headlines."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest

from simllm.skills.json_template import find_template
from simllm.skills.json_wish import _shown, schema_from_prompt, without_wish
from simllm.skills.results import Answered
from simllm.skills.small_talk import small_talk
from simllm.skills.statements import statement

from .test_skills import say

FERRY = "The ferry to Hallig Nord leaves at half past six. Bicycles travel for four kroner."
LEAVES = "When does the ferry to Hallig Nord leave?"


@pytest.mark.parametrize(
    "prompt",
    [
        "Context: {facts}\n{asked}",
        "Use only the context.\nContext: {facts}\n{asked}\nAnswer:",
        "{asked}\n{facts}",
        "Question: {asked}\nPassage: {facts}\nAnswer:",
        "Q: {asked}\nContext: {facts}\nA:",
        "CONTEXT\n{facts}\nQUESTION\n{asked}",
        "Context: {facts} Question: {asked} Answer:",
        "```\n{facts}\n```\n{asked}",
        '{{"context": "{facts}", "question": "{asked}"}}',
    ],
)
def test_a_question_is_found_wherever_it_stands(client: openai.OpenAI, prompt: str) -> None:
    assert say(client, prompt.format(facts=FERRY, asked=LEAVES)) == FERRY.split(". ")[0] + "."


@pytest.mark.parametrize(
    ("text", "reply"),
    [("Thanks a lot!", "You're welcome!"), ("ok, bye", "Goodbye!"), ("Great, that's all for now", "All right.")],
)
def test_small_talk_is_not_answered_with_a_quotation(client: openai.OpenAI, text: str, reply: str) -> None:
    assert say(client, text, system=f"Answer from these notes.\n\n{FERRY}") == reply


@pytest.mark.parametrize(
    "text", ["Thanks, and when is low tide?", "ok, cancel the second ticket", "Hello from the harbour office"]
)
def test_what_asks_for_more_is_no_small_talk(text: str) -> None:
    assert small_talk(text) is None


def test_nested_objects_of_a_template() -> None:
    made = find_template(
        'As JSON: {"crew": [{"name": string, "age": int}], "port": {"city": "..."}, "open": true|false}', _shown
    )
    assert made is not None
    properties = made[0]["properties"]
    assert properties["crew"]["items"]["properties"] == {"name": {"type": "string"}, "age": {"type": "integer"}}
    assert list(properties["port"]["properties"]) == ["city"]
    assert properties["open"] == {"type": "boolean"}


@pytest.mark.parametrize(
    ("text", "key", "schema"),
    [
        ('JSON {"tone": one of "warm", "dry" or "rude"}', "tone", {"type": "string", "enum": ["warm", "dry", "rude"]}),
        ('JSON {"stars": 1-5, "x": "y"}', "stars", {"type": "integer", "minimum": 1.0, "maximum": 5.0}),
        ('JSON {"day": "YYYY-MM-DD"}', "day", {"type": "string", "format": "date"}),
        ("JSON with the fields:\n- harbour (string)\n- depth_m (number)", "depth_m", {"type": "number"}),
        (
            "JSON with keys reply and pages (a list of numbers)",
            "pages",
            {"type": "array", "items": {"type": "integer"}},
        ),
    ],
)
def test_types_that_a_prompt_shows(text: str, key: str, schema: dict[str, Any]) -> None:
    assert schema_from_prompt(text)["properties"][key] == schema


def test_the_wish_is_not_read_as_the_text() -> None:
    assert (
        without_wish('Fill {"boat": "...", "owner": "..."}.\n\nText: The Gull belongs to Ottilie.')
        == "The Gull belongs to Ottilie."
    )


def test_a_template_in_the_message_is_filled_from_the_text(client: openai.OpenAI) -> None:
    text = 'Read the guest and the date as JSON like {"guest": "...", "date": "YYYY-MM-DD"}.\n\nText: Ottilie Brandt arrives on 2031-05-04.'
    made = json.loads(say(client, text, response_format={"type": "json_object"}))
    assert made == {"guest": "Ottilie Brandt", "date": "2031-05-04"}


def test_options_of_a_template_are_kept(client: openai.OpenAI) -> None:
    system = 'Sort the mail. Answer with JSON {"desk": one of "harbour", "museum", "school"}.'
    made = json.loads(
        say(client, "Which boats moor at the quay tonight?", system=system, response_format={"type": "json_object"})
    )
    assert made["desk"] in ("harbour", "museum", "school")


def test_results_are_told_in_plain_words() -> None:
    call = Answered("cancel_berth", {"berth": "B4"}, '{"ok": true, "fee_eur": 12.0, "in_use": false}')
    assert statement("Cancel berth B4", [call]) == "That worked. The fee is 12 EUR. In use: no."


def test_results_of_several_calls_say_which_is_which() -> None:
    calls = [
        Answered("find_boat", {"name": "Gull"}, '{"berth": "B4"}'),
        Answered("find_boat", {"name": "Tern"}, '{"error": "no such boat"}'),
    ]
    assert statement("Where are the Gull and the Tern?", calls) == "Gull: The berth is B4. Tern: no such boat."


def test_a_failure_flag_is_no_part_of_the_complaint() -> None:
    call = Answered("find_boat", {"name": "Tern"}, '{"ok": false, "error": "no such boat"}')
    assert statement("Find the Tern", [call]) == "I could not find that: no such boat."


def _tool(name: str, about: str, *needed: str) -> Any:
    parameters = {"type": "object", "properties": {key: {"type": "string"} for key in needed}, "required": list(needed)}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": parameters}}


BERTHS = [
    _tool("get_berth", "Look up a berth by its code", "berth_code"),
    _tool("release_berth", "Release a berth", "berth_code"),
]
TALK: list[Any] = [
    {"role": "user", "content": "Look up berth QX-120"},
    {
        "role": "assistant",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "get_berth", "arguments": '{"berth_code": "QX-120"}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": '{"skipper": "Ada Holm", "nights": 4, "boat": "blue-water"}'},
    {"role": "assistant", "content": "The skipper is Ada Holm."},
]


def test_an_argument_of_an_earlier_call_serves_again(client: openai.OpenAI) -> None:
    talk = [*TALK, {"role": "user", "content": "Please release it then."}]
    made = client.chat.completions.create(model="sim-large", messages=talk, tools=BERTHS)
    calls = made.choices[0].message.tool_calls or []
    assert [(c.function.name, json.loads(c.function.arguments)) for c in calls] == [  # type: ignore[union-attr]
        ("release_berth", {"berth_code": "QX-120"})
    ]


def test_a_later_question_is_answered_from_the_result(client: openai.OpenAI) -> None:
    talk = [*TALK, {"role": "user", "content": "And how long is that for?"}]
    made = client.chat.completions.create(model="sim-large", messages=talk, tools=BERTHS)
    assert made.choices[0].message.content == "The nights are 4."


def test_passages_are_ranked_by_their_numbers(client: openai.OpenAI) -> None:
    texts = (
        "1. The cook bakes rye bread.\n2. The mole is lit by nine lanterns.\n3. Rope is sold at the chandler's shop."
    )
    text = f'Rank these passages by relevance to the query "who sells rope". Return the numbers, best first.\n{texts}'
    ranked = say(client, text).split(", ")
    assert ranked[0] == "3"
    assert sorted(ranked) == ["1", "2", "3"]


def test_keywords_and_a_headline_stand_in_the_text(client: openai.OpenAI) -> None:
    text = "Lightning struck the old lighthouse of Sandoy. The keeper was unhurt. The lamp stays dark until spring."
    words = say(client, f"Extract 3 keywords:\n\n{text}").split(", ")
    assert len(words) == 3
    assert all(word in text for word in words)
    headline = say(client, f"Give the text below a headline of at most 8 words.\n\n{text}")
    assert headline in text
    assert len(headline.split()) <= 8


@pytest.mark.parametrize(
    ("reply", "word", "score"),
    [("The lamp burns from dusk until dawn.", "PASS", "3"), ("It is painted green.", "FAIL", "1")],
)
def test_judges_that_name_no_criterion(client: openai.OpenAI, reply: str, word: str, score: str) -> None:
    case = f"Question: When does the lamp burn?\nExpected: The lamp burns from dusk until dawn.\nActual: {reply}\n"
    assert say(client, f"{case}Grade PASS or FAIL.") == word
    rubric = "Rubric:\n1 = wrong\n2 = partly right\n3 = right and complete\n"
    answer = f"\nQuestion: When does the lamp burn?\nReference answer: The lamp burns from dusk until dawn.\nAnswer: {reply}\n"
    assert say(client, f"{rubric}{answer}\nGive the score only, one number.") == score


def test_several_criteria_get_a_score_each(client: openai.OpenAI) -> None:
    text = "Question: When is high tide?\nAnswer: At noon.\nSource: High tide is at noon.\n\nScore correctness, clarity and brevity from 1 to 4. Return JSON."
    made = json.loads(say(client, text, response_format={"type": "json_object"}))
    assert list(made) == ["correctness", "clarity", "brevity"]
    assert all(1 <= value <= 4 for value in made.values())


def test_a_body_that_claims_to_be_compressed_is_refused(client: openai.OpenAI) -> None:
    url = f"{client.base_url}chat/completions"
    body = {"model": "sim-large", "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"Authorization": f"Bearer {client.api_key}", "Content-Encoding": "gzip"}
    assert httpx.post(url, json=body, headers=headers).status_code == 400
    assert httpx.post(url, json=body, headers={**headers, "Content-Encoding": "identity"}).status_code == 200


def test_names_of_speakers_have_no_blanks(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="does not match pattern"):
        client.chat.completions.create(
            model="sim-large", messages=[{"role": "user", "content": "Hi", "name": "Ada Holm"}]
        )

"""What is said where nothing is asked: the truth about the model, and no n-gram chatter."""

from __future__ import annotations

import openai
import pytest

from simllm.skills.plainly import asks_about_the_model, is_to_be_continued

from .test_skills import say


@pytest.mark.parametrize(
    "text",
    [
        "Hey there! What are you?",
        "What else can you do?",
        "Are you ChatGPT?",
        "Who programmed you?",
        "🎉🎉🎉",
        "UPDATE boats SET colour = 'red' WHERE id = 4;",
        "for (let i = 0; i < 3; i++) console.log(i)",
        "qwertz",
        "Sure.",
        "99 100",
        "Sing me a song",
        "Weight of the anchor?",
    ],
)
@pytest.mark.parametrize("model", ["sim-small", "sim-large"])
def test_what_asks_for_no_knowledge_gets_a_plain_word(client: openai.OpenAI, text: str, model: str) -> None:
    said = say(client, text, model=model)
    assert "simulated model" in said
    assert all(word in said for word in ("context", "JSON", "tools", "judge", "rewrite", "summarise"))


def test_thanks_and_greetings_stay_short(client: openai.OpenAI) -> None:
    assert len(say(client, "Thank you so much 🙏").split()) < 5
    assert len(say(client, "Good evening!").split()) < 10


def test_a_question_with_a_context_is_about_the_context(client: openai.OpenAI) -> None:
    text = "Context:\nThe guide of the cave is called Ruth.\n\nQuestion: What is the name of the guide?"
    assert say(client, text) == "The guide of the cave is called Ruth."


@pytest.mark.parametrize("text", ["Finish the sentence: The boat is", "The boats in the harbour", "If the wind turns"])
def test_a_sentence_that_breaks_off_is_continued(text: str) -> None:
    assert is_to_be_continued(text)


@pytest.mark.parametrize("text", ["The boat is red.", "boats", "Who are you", "it is()", "I am"])
def test_other_messages_are_not_continued(text: str) -> None:
    assert not is_to_be_continued(text)


def test_questions_about_others_are_not_about_the_model() -> None:
    assert not asks_about_the_model("Who are the owners, and how are they paid?")
    assert not asks_about_the_model("Are you allowed to park here?")

"""The rewriting exam: a follow-up as a question that can be understood without the conversation."""

from __future__ import annotations

import openai

from coursekit.model_card.scoring import (
    Case,
    Messages,
    Result,
    Wording,
    chat,
    json_field,
    load_cases,
    run,
    schema_option,
)

_PLAIN = (
    "Rewrite the user's last question so that it can be understood without the conversation. Keep names and numbers. "
    "Do not answer it. Return only the rewritten question."
)
_CONDENSE = (
    "Given a chat history and the latest user question which might reference context in the chat history, formulate a "
    "standalone question which can be understood without the chat history. Do NOT answer the question, just reformulate "
    "it if needed and otherwise return it as is."
)
_TAGGED = "Turn the follow-up question into a self-contained search question. Resolve pronouns and ellipses from the conversation."


def wordings(case: Case) -> list[Wording]:
    """A transcript under labels; the chat itself as messages; tags and a strict schema."""
    history, follow_up = case["history"], str(case["follow_up"])
    transcript = "\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in history)
    messages: Messages = [{"role": "system", "content": _CONDENSE}, *history, {"role": "user", "content": follow_up}]
    tagged = f"<conversation>\n{transcript}\n</conversation>\n<follow_up>{follow_up}</follow_up>"
    schema = schema_option("query", {"standalone_question": {"type": "string"}})
    return [
        Wording(
            "transcript",
            lambda _: chat(
                "", f"{_PLAIN}\n\nConversation:\n{transcript}\n\nLast question: {follow_up}\n\nRewritten question:"
            ),
        ),
        Wording("messages", lambda _: messages),
        Wording("schema", lambda _: chat(_TAGGED, tagged), json_field("standalone_question"), lambda _: schema),
    ]


def is_right(case: Case, said: str) -> bool:
    """One question that carries everything over and drops what must go."""
    text = " ".join(said.lower().split())
    carried = all(any(variant.lower() in text for variant in group) for group in case["must_contain"])
    kept_out = not any(phrase.lower() in text for phrase in case.get("must_not_contain", ()))
    return carried and kept_out and text.count("?") <= 1 and bool(text)


def score(client: openai.OpenAI, model: str, split: str) -> Result:
    """Share of right rewrites, by difficulty."""
    return run(client, model, load_cases("rewriting", split)[0], wordings, is_right)

"""The summary exam: the facts that must stay, within a number of words."""

from __future__ import annotations

import openai

from coursekit.model_card.scoring import Case, Result, Wording, chat, json_field, load_cases, run, schema_option


def wordings(case: Case) -> list[Wording]:
    """Instructions and text apart; one message; tags and a strict schema."""
    limit, text = int(case["max_words"]), str(case["text"])
    schema = schema_option("summary", {"summary": {"type": "string"}})
    return [
        Wording("system", lambda _: chat(f"Summarise the text in at most {limit} words. Keep numbers and names.", text)),
        Wording("one message", lambda _: chat("", f"Write a summary of the following text (no more than {limit} words):\n\n{text}")),
        Wording("schema", lambda _: chat(f"You write summaries for busy readers. Maximum {limit} words, most important facts first.", f"<text>\n{text}\n</text>"), json_field("summary"), lambda _: schema),
    ]  # fmt: skip


def facts_stated(case: Case, said: str) -> float:
    """Share of the facts that a summary states; 0 when it is too long."""
    if len(said.split()) > int(case["max_words"]):
        return 0.0
    text = " ".join(said.lower().split())
    stated = [
        any(v.lower() in text for v in ([fact] if isinstance(fact, str) else fact)) for fact in case["must_state"]
    ]
    return sum(stated) / len(stated)


def is_right(case: Case, said: str) -> bool:
    """Short enough, and every fact is stated."""
    return facts_stated(case, said) == 1.0


def score(client: openai.OpenAI, model: str, split: str) -> Result:
    """Share of summaries that state every fact within the limit, by difficulty."""
    return run(client, model, load_cases("summary", split)[0], wordings, is_right)

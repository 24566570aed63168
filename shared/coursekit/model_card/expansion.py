"""The expansion exam: several search queries for one question, in other words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import openai

from coursekit.model_card.scoring import Case, Result, Wording, chat, json_field, load_cases, run, schema_option


def wordings(case: Case) -> list[Wording]:
    """One per line; JSON in words; a strict schema."""
    n, question = int(case["variants"]), str(case["question"])
    schema = schema_option("queries", {"queries": {"type": "array", "items": {"type": "string"}}})
    return [
        Wording("lines", lambda _: chat(f"Write {n} search queries for the user's question, in different words. One per line, no numbering.", question), _lines),
        Wording("json in words", lambda _: chat("", f'Generate {n} different versions of this question to find more documents. Return JSON: {{"queries": ["..."]}}\n\nQuestion: {question}'), json_field("queries")),
        Wording("schema", lambda _: chat(f"You expand queries. Rephrase the question in {n} ways, using synonyms where you can.", f"<question>{question}</question>"), json_field("queries"), lambda _: schema),
    ]  # fmt: skip


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _plain(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip().lower()


def is_valid(case: Case, said: Sequence[str]) -> bool:
    """As many as asked for, all different from each other and from the question, the kept words kept."""
    plain = [_plain(variant) for variant in said]
    kept = case.get("keep") or ()
    return (
        len(said) == int(case["variants"])
        and len({_plain(str(case["question"])), *plain}) == len(plain) + 1
        and all(not kept or any(word.lower() in variant for word in kept) for variant in plain)
    )


def is_right(case: Case, said: Sequence[str]) -> bool:
    """Valid, and some variant uses a word that a good searcher would try."""
    return is_valid(case, said) and any(word.lower() in _plain(variant) for word in case["any_of"] for variant in said)


def score(client: openai.OpenAI, model: str, split: str) -> Result:
    """Share of right sets of variants, by difficulty."""
    return run(client, model, load_cases("expansion", split)[0], wordings, is_right)


def score_form(client: openai.OpenAI, model: str, split: str) -> Result:
    """Share of valid sets of variants, whatever their words."""
    return run(client, model, load_cases("expansion", split)[0], wordings, is_valid)

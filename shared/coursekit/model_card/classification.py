"""The classification exam: one of several given labels, with or without descriptions."""

from __future__ import annotations

from collections.abc import Mapping

import openai

from coursekit.model_card.scoring import Case, Result, Wording, chat, json_field, load_cases, run, schema_option


def wordings(case: Case, labels: Mapping[str, str | None]) -> list[Wording]:
    """A list with descriptions; a line of labels and JSON in words; a strict schema with an enum."""
    listed = "\n".join(f"- {label}: {about}" if about else f"- {label}" for label, about in labels.items())
    line = ", ".join(labels)
    text = str(case["text"])
    schema = schema_option("routing", {"label": {"type": "string", "enum": list(labels)}, "reason": {"type": "string"}})
    described = "\n".join(f"{label} - {about}" for label, about in labels.items() if about)
    ask_json = f'Pick the category that fits the message best. Categories: {line}.\n\n{described}\n\nReturn JSON: {{"category": "..."}}'
    return [
        Wording(
            "list",
            lambda _: chat(
                f"Classify the text into exactly one of these labels:\n{listed}\n\nReply with the label only.", text
            ),
        ),
        Wording(
            "json in words", lambda _: chat("", f'{ask_json}\n\nMessage:\n"""\n{text}\n"""'), json_field("category")
        ),
        Wording(
            "schema",
            lambda _: chat(f"You triage incoming texts. Assign one label.\n\nLabels:\n{listed}", f"Text: {text}"),
            json_field("label"),
            lambda _: schema,
        ),
    ]


def score(client: openai.OpenAI, model: str, split: str) -> Result:
    """Share of right labels, by label set."""
    cases, rest = load_cases("classification", split)
    sets = rest["label_sets"]
    return run(
        client,
        model,
        cases,
        lambda case: wordings(case, sets[case["label_set"]]),
        lambda case, said: said == case["label"],
        lambda case: str(case["label_set"]),
    )

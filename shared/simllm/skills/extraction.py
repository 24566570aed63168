"""Read values out of a text into any JSON schema.

The same slot filling as for tool arguments, with two differences: every field is wanted, so weaker evidence is
enough, and lists of objects are found as rows. What the text does not hold becomes null, an empty string or zero where
the schema allows; the result always fits the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from simllm.embeddings import Embedder
from simllm.schema import schema_types
from simllm.skills.arguments import build, fill
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Schema, leaves, split_name
from simllm.skills.rows import fill_rows, nothing


def extract(
    schema: Schema, text: str, today: date | None, embedder: Embedder | None, *, title: str = ""
) -> dict[str, Any]:
    """An object that fits the schema.

    Args:
        schema: an object schema without references and unions.
        text: what to read.
        today: the day that relative dates count from.
        embedder: for similarity in meaning; None for a model without it.
        title: what the object is, e.g. the schema's name.
    """
    values, left = fill_rows(schema, text, today, embedder)
    made = fill(schema, Evidence(left, today, embedder), values, topic=title, eager=True)
    for field in leaves(schema):
        if field.path not in made.values:
            made.values[field.path] = nothing(field, text)
    return build(schema, made.values, text, empty=True)


def wants_extraction(schema: Mapping[str, Any], answer_words: frozenset[str]) -> bool:
    """Whether a schema asks for values of a text rather than for an answer with its sources."""
    names = [split_name(name) for name in schema.get("properties", {})]
    answers = any(words and (words[-1] in answer_words or words[0] == "answer") for words in names)
    return not answers and "object" in schema_types(schema)

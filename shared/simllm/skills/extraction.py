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
from simllm.skills.fields import Path, Schema, leaves, split_name
from simllm.skills.rows import fill_rows, nothing
from simllm.skills.trees import is_again, read_chain, read_trees
from simllm.skills.variants import settle


def extract(
    schema: Schema, text: str, today: date | None, embedder: Embedder | None, *, title: str = ""
) -> dict[str, Any]:
    """An object that fits the schema.

    Args:
        schema: a plain object schema.
        text: what to read.
        today: the day that relative dates count from.
        embedder: for similarity in meaning; None for a model without it.
        title: what the object is, e.g. the schema's name.
    """
    schema = settle(schema, Evidence(text, today, embedder))
    chain = read_chain(schema, text, today)
    trees = read_trees(schema, text, today)
    if chain is not None or () in trees:
        whole: dict[str, Any] = chain if chain is not None else trees[()]
        return whole
    values, left = fill_rows(schema, text, today, embedder, known=trees)
    values |= dict.fromkeys(_inner(schema))
    made = fill(schema, Evidence(left, today, embedder), values, topic=title, eager=True)
    for field in leaves(schema):
        if field.path not in made.values:
            made.values[field.path] = nothing(field, text)
    return build(schema, made.values, text, empty=True)


def _inner(schema: Schema) -> list[Path]:
    """Nullable objects of the schema's own kind, such as "parent": nothing tells what they hold."""
    children = schema.get("properties", {}).items()
    return [(key,) for key, child in children if is_again(schema, child) and "null" in schema_types(child)]


def wants_extraction(schema: Mapping[str, Any], answer_words: frozenset[str]) -> bool:
    """Whether a schema asks for values of a text rather than for an answer with its sources."""
    names = [split_name(name) for name in schema.get("properties", {})]
    answers = any(words and (words[-1] in answer_words or words[0] == "answer") for words in names)
    return not answers and "object" in schema_types(schema)

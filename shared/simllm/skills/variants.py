"""Settle the unions of a schema: which variant does a text speak of?

A variant is told by the constants that mark it ("kind": "card"), by its title, and by how many of its fields the text
holds; where nothing tells, it is the first. The unions of list items stay: every row settles its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simllm.plain_schema import VARIANTS
from simllm.schema import schema_types
from simllm.skills.arguments import fill
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Schema, leaves, split_name
from simllm.skills.words import stem

MARKED = 2.0  # for a constant of the variant that the text says
TITLED = 0.7  # for its title


def settle(schema: Schema, evidence: Evidence, name: str = "value") -> dict[str, Any]:
    """The schema with one variant for every union outside of lists.

    Args:
        schema: a plain schema.
        evidence: the text.
        name: what the node is called.
    """
    found = dict(schema)
    variants = found.pop(VARIANTS, ())
    if variants:
        scores = [_support(variant, evidence, name) for variant in variants]
        return settle(variants[scores.index(max(scores))], evidence, name)
    if "properties" in found:
        found["properties"] = {key: settle(child, evidence, key) for key, child in found["properties"].items()}
    return found


def _support(variant: Mapping[str, Any], evidence: Evidence, name: str) -> float:
    """How much of a variant a text holds."""
    if "properties" not in variant:
        whole = {"type": "object", "properties": {name: variant}, "required": [name]}
        made = fill(whole, evidence)
        return max(made.scores.values(), default=0.0) if "object" not in schema_types(variant) else 0.0
    fields = [field for field in leaves(variant) if field.kind != "const"]
    made = fill(variant, evidence, eager=True)
    held = sum(1 for field in fields if field.path in made.spans)
    score = held / len(fields) + 0.1 * held if fields else 0.0
    marks = [str(value) for child in variant["properties"].values() for value in _marks(child)]
    score += MARKED * max((_said(mark, evidence) for mark in marks), default=0.0)
    return score + TITLED * _said(str(variant.get("title", "")), evidence)


def _marks(child: Mapping[str, Any]) -> list[Any]:
    """The constant that marks a variant, written as `const` or as an enum of one."""
    return [child["const"]] if "const" in child else child["enum"] if len(child.get("enum", ())) == 1 else []


def _said(name: str, evidence: Evidence) -> float:
    """Share of a name's words that the text has."""
    words = {stem(word) for word in split_name(name)}
    return len(words & evidence.stems) / len(words) if words else 0.0

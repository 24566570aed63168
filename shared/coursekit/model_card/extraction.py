"""How well the simulated models read values out of texts: the exam `exams/extraction.yaml`, through the real server.

Each case is one request with `response_format` of type json_schema. Leaf fields count as right or wrong by the rules
in the exam's head; the interval of the share of right fields is a bootstrap over cases (Efron 1979, 95 %).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import openai

from coursekit.corpus.baseline.resampling import Estimate, estimate
from coursekit.model_card.scoring import greedy, load_cases
from coursekit.model_card.tools import same


@dataclass(frozen=True)
class Extracted:
    """One case: right fields of all, whether the object fits its schema, and the wrong fields (path, got, wanted)."""

    id: str
    right: int
    fields: int
    valid: bool
    wrong: tuple[tuple[str, Any, Any], ...]


@dataclass(frozen=True)
class ExtractionScores:
    """The exam's numbers for one model."""

    results: tuple[Extracted, ...]

    @property
    def valid(self) -> Estimate:
        """Objects that fit their schema."""
        return estimate([float(r.valid) for r in self.results])

    @property
    def fields(self) -> Estimate:
        """Right leaf fields of a case, averaged over cases."""
        return estimate([r.right / max(1, r.fields) for r in self.results])


def score_extraction(client: openai.OpenAI, model: str, split: str) -> ExtractionScores:
    """Sit the exam with one model."""
    cases, others = load_cases("extraction", split)
    return ExtractionScores(tuple(_sit(client, model, others["schemas"][case["schema"]], case) for case in cases))


def _sit(client: openai.OpenAI, model: str, wanted: Mapping[str, Any], case: Mapping[str, Any]) -> Extracted:
    schema = wanted["schema"]
    reply = client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": f"Extract {wanted['description']} from the user's text. Reply with JSON."},
            {"role": "user", "content": case["text"]},
        ],
        response_format={
            "type": "json_schema",
            "json_schema": {"name": case["schema"], "schema": schema, "strict": False},
        },
        **greedy(model),
    )
    got = json.loads(reply.choices[0].message.content or "null")
    try:
        jsonschema.validate(got, schema)
        valid = True
    except jsonschema.ValidationError:
        valid = False
    accept = case.get("accept", {})
    wrong, count = [], 0
    for where, value in leaf_values(case["expect"]):
        count += 1
        here = at(got, where)
        name = ".".join(map(str, where))
        if not any(same(here, variant) for variant in (value, *accept.get(name, ()))):
            wrong.append((name, here, value))
    return Extracted(case["id"], count - len(wrong), count, valid, tuple(wrong))


def leaf_values(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """(path, value) of every leaf; an array of plain values is one leaf, unless single positions are accepted apart."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from leaf_values(child, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for i, child in enumerate(value):
            yield from leaf_values(child, (*path, i))
    else:
        yield path, value


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    """The value at a path; a marker that equals nothing where there is none."""
    for part in path:
        if (
            isinstance(value, dict)
            and part in value
            or isinstance(value, list)
            and isinstance(part, int)
            and part < len(value)
        ):
            value = value[part]  # type: ignore[index]
        else:
            return object
    return value

"""What the scorers of the task exams share: cases, a way to ask a model, shares with intervals.

Every exam is asked in three wordings, as three engineers would write the prompt; a result is a share of right replies
per wording and over all. Intervals: percentile bootstrap over cases, which keeps the wordings of one case together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openai
import yaml

from coursekit.corpus.baseline.resampling import Estimate, estimate

EXAMS = Path(__file__).parent / "exams"
Case = Mapping[str, Any]
Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Wording:
    """One way to put a task. `messages` writes the prompt of a case, `options` further request fields, `read` the reply."""

    name: str
    messages: Callable[[Case], Messages]
    read: Callable[[str], Any] = str.strip
    options: Callable[[Case], dict[str, Any]] = lambda case: {}


@dataclass(frozen=True)
class Reply:
    """One scored reply, for looking at."""

    case: str
    wording: str
    text: str
    value: Any
    right: bool


@dataclass(frozen=True)
class Result:
    """A model's result: over all wordings, per wording, per group of cases (rubric, difficulty), and every reply."""

    model: str
    share: Estimate
    by_wording: Mapping[str, Estimate]
    by_group: Mapping[str, Estimate]
    replies: tuple[Reply, ...]


def load_cases(exam: str, split: str) -> tuple[list[Case], dict[str, Any]]:
    """(cases of one half, the file's other entries).

    Raises:
        ValueError: `split` is neither "dev" nor "test".
    """
    if split not in ("dev", "test"):
        raise ValueError(f"split is {split!r}; it must be 'dev' or 'test'")
    data = yaml.safe_load((EXAMS / f"{exam}.yaml").read_text(encoding="utf-8"))
    cases = [case for case in data.pop("cases") if case["split"] == split]
    return cases, data


def run(
    client: openai.OpenAI,
    model: str,
    cases: Sequence[Case],
    wordings: Callable[[Case], Sequence[Wording]],
    right: Callable[[Case, Any], bool],
    group: Callable[[Case], str] = lambda case: f"difficulty {case['difficulty']}",
) -> Result:
    """Ask every case in every wording, greedily; a reply that cannot be read counts as wrong."""
    replies: list[Reply] = []
    table: list[list[float]] = []
    for case in cases:
        row = []
        for wording in wordings(case):
            text = request(client, model, wording.messages(case), **wording.options(case))
            try:
                value = wording.read(text)
                good = right(case, value)
            except (ValueError, KeyError, TypeError, AttributeError):
                value, good = None, False
            replies.append(Reply(str(case["id"]), wording.name, text, value, good))
            row.append(float(good))
        table.append(row)
    scores = np.array(table)
    names = [wording.name for wording in wordings(cases[0])]
    groups = sorted({group(case) for case in cases})
    members = {name: [i for i, case in enumerate(cases) if group(case) == name] for name in groups}
    return Result(
        model,
        estimate(scores.mean(axis=1).tolist()),
        {name: estimate(scores[:, i].tolist()) for i, name in enumerate(names)},
        {name: estimate(scores[rows].mean(axis=1).tolist()) for name, rows in members.items()},
        tuple(replies),
    )


def greedy(model: str) -> dict[str, Any]:
    """The request fields of greedy decoding; a reasoning model takes no temperature."""
    return {} if "reasoner" in model else {"temperature": 0}


def request(client: openai.OpenAI, model: str, messages: Messages, **options: Any) -> str:
    """One greedy reply."""
    reply = client.chat.completions.create(model=model, messages=messages, **greedy(model), **options)  # type: ignore[arg-type]
    return str(reply.choices[0].message.content or "")


def ask_for_tokens(client: openai.OpenAI, model: str, messages: Messages) -> tuple[str, int]:
    """One greedy reply and its tokens, without those of hidden reasoning; ("", 0) when the prompt does not fit."""
    try:
        reply = client.chat.completions.create(model=model, messages=messages, **greedy(model))  # type: ignore[arg-type]
    except openai.BadRequestError as error:
        if error.code == "context_length_exceeded":
            return "", 0
        raise
    assert reply.usage is not None  # a whole reply is always billed
    details = reply.usage.completion_tokens_details
    hidden = details.reasoning_tokens or 0 if details else 0
    return str(reply.choices[0].message.content or ""), reply.usage.completion_tokens - hidden


def chat(system: str, user: str) -> Messages:
    """A prompt of instructions and material; without instructions, the material alone."""
    return (
        [{"role": "system", "content": system}, {"role": "user", "content": user}]
        if system
        else [{"role": "user", "content": user}]
    )


def json_field(name: str) -> Callable[[str], Any]:
    """A reader of one field of a JSON reply."""
    return lambda text: json.loads(text)[name]


def schema_option(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A strict `response_format` with these fields."""
    schema = {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"response_format": {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}}

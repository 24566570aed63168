"""How well the simulated models call tools: the exam `exams/tools.yaml`, sat through the real server.

Every case is one dialogue with the `openai` client; tool results of a multi-step case come from the case's own table.
A case is right or wrong by the rules in the exam's head.
Nothing here is imported by the models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import openai

from coursekit.corpus.baseline.resampling import Estimate, estimate
from coursekit.model_card.scoring import greedy, load_cases

MOST_TURNS = 8


@dataclass(frozen=True)
class CaseResult:
    """One case: what it shows, whether it is right, and why not."""

    id: str
    kind: str
    right: bool
    right_tool: bool
    calls: tuple[tuple[str, str], ...]
    valid: tuple[bool, ...]
    problem: str = ""


@dataclass(frozen=True)
class ToolScores:
    """The exam's numbers for one model."""

    results: tuple[CaseResult, ...]

    @property
    def right(self) -> Estimate:
        """Whole cases."""
        return estimate([float(r.right) for r in self.results])

    @property
    def right_tool(self) -> Estimate:
        """Cases whose tools were right, whatever the arguments."""
        return estimate([float(r.right_tool) for r in self.results])

    @property
    def valid(self) -> Estimate:
        """Calls whose arguments fit the tool's schema."""
        return estimate([float(valid) for r in self.results for valid in r.valid])

    @property
    def right_tool_and_valid(self) -> Estimate:
        """Cases with the right tools, all of their calls valid."""
        return estimate([float(r.right_tool and all(r.valid)) for r in self.results])


def score_tools(client: openai.OpenAI, model: str, split: str) -> ToolScores:
    """Sit the exam with one model."""
    cases, others = load_cases("tools", split)
    return ToolScores(tuple(_sit(client, model, others["tools"], case) for case in cases))


def _sit(client: openai.OpenAI, model: str, tools: Mapping[str, Any], case: Mapping[str, Any]) -> CaseResult:
    offered = [{"type": "function", "function": {"name": name, **tools[name]}} for name in case["tools"]]
    choice = case.get("tool_choice", "auto")
    named = isinstance(choice, str) and choice not in ("auto", "none", "required")
    wanted = {"type": "function", "function": {"name": choice}} if named else choice
    options: dict[str, Any] = {"tool_choice": wanted, **greedy(model)}
    if "parallel_tool_calls" in case:
        options["parallel_tool_calls"] = case["parallel_tool_calls"]
    messages: list[Any] = [dict(message) for message in case["messages"]]
    steps = list(case["expect"].get("steps", ()))
    made: list[tuple[str, str]] = []
    text = ""
    for _ in range(MOST_TURNS if steps else 1):
        reply = client.chat.completions.create(model=model, messages=messages, tools=offered, **options)  # type: ignore[arg-type]
        message = reply.choices[0].message
        text = message.content or ""
        calls = [call for call in message.tool_calls or () if call.type == "function"]
        made += [(call.function.name, call.function.arguments) for call in calls]
        if not calls or not steps:
            break
        messages.append(
            {"role": "assistant", "content": message.content, "tool_calls": [call.model_dump() for call in calls]}
        )
        for call in calls:
            result = _answer(
                steps,
                case["expect"].get("otherwise", '{"error": "not found"}'),
                call.function.name,
                call.function.arguments,
                tools,
            )
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    return _mark(case, tools, made, text)


def _answer(
    steps: Sequence[Mapping[str, Any]], otherwise: Any, name: str, arguments: str, tools: Mapping[str, Any]
) -> str:
    for step in steps:
        if call_matches(step["call"], name, arguments, tools):
            return step["result"] if isinstance(step["result"], str) else json.dumps(step["result"])
    return otherwise if isinstance(otherwise, str) else json.dumps(otherwise)


def _mark(case: Mapping[str, Any], tools: Mapping[str, Any], made: list[tuple[str, str]], text: str) -> CaseResult:
    expect = case["expect"]
    valid = tuple(_valid(tools[name]["parameters"], arguments) for name, arguments in made)
    problem = ""
    if expect.get("no_call"):
        right_tool = not made
        problem = "" if right_tool else f"called a tool although none fits: {made}"
    elif "asks" in expect:
        right_tool = not made
        missing = [str(name).replace("_", " ").lower() for name in expect["asks"]["missing"]]
        if made:
            problem = f"called a tool although an argument is missing: {made}"
        elif "?" not in text or not all(any(word in text.lower() for word in name.split()) for name in missing):
            problem = f"did not ask for {', '.join(missing)}: {text!r}"
    elif "steps" in expect:
        problem = _mark_steps(expect, made, text, tools)
        needed = [step["call"]["name"] for step in expect["steps"] if not step.get("optional")]
        right_tool = _in_order(needed, [name for name, _ in made]) and {name for name, _ in made} <= {
            step["call"]["name"] for step in expect["steps"]
        }
    else:
        problem = _mark_calls(expect["calls"], made, tools)
        right_tool = sorted(call["name"] for call in expect["calls"]) == sorted(name for name, _ in made)
    return CaseResult(case["id"], case["kind"], not problem, right_tool, tuple(made), valid, problem)


def _mark_calls(
    expected: Sequence[Mapping[str, Any]], made: Sequence[tuple[str, str]], tools: Mapping[str, Any]
) -> str:
    left = list(made)
    for call in expected:
        hit = next((m for m in left if call_matches(call, *m, tools)), None)
        if hit is None:
            return f"expected {call['name']}({json.dumps(call.get('arguments', {}), default=str)}), got {made}"
        left.remove(hit)
    return f"calls too much: {left}" if left else ""


def _mark_steps(expect: Mapping[str, Any], made: Sequence[tuple[str, str]], text: str, tools: Mapping[str, Any]) -> str:
    steps, at = expect["steps"], 0
    for name, arguments in made:
        while (
            at < len(steps)
            and not call_matches(steps[at]["call"], name, arguments, tools)
            and steps[at].get("optional")
        ):
            at += 1
        if at < len(steps) and call_matches(steps[at]["call"], name, arguments, tools):
            at += 1
        else:
            return f"unexpected step {name}({arguments})"
    if any(not step.get("optional") for step in steps[at:]):
        return f"stopped after {made}: {text!r}"
    absent = [
        variants
        for variants in expect["final"]["must_state"]
        if not any(str(v).lower() in text.lower() for v in variants)
    ]
    return f"does not state {absent}: {text!r}" if absent else ""


def _in_order(needed: Sequence[str], names: Sequence[str]) -> bool:
    rest = iter(names)
    return all(name in rest for name in needed)


def call_matches(call: Mapping[str, Any], name: str, arguments: str, tools: Mapping[str, Any]) -> bool:
    """Whether a call is the expected one, by the exam's rules for arguments."""
    if name != call["name"]:
        return False
    given = json.loads(arguments)
    wanted = call.get("arguments", {})
    properties = tools[name]["parameters"].get("properties", {})
    for key, variants in wanted.items():
        if key not in given:
            if "default" in properties.get(key, {}) and any(
                same(properties[key]["default"], v) for v in _variants(variants)
            ):
                continue
            return False
        if isinstance(variants, Mapping) and "contains" in variants:
            if not any(str(word).lower() in str(given[key]).lower() for word in variants["contains"]):
                return False
        elif not any(same(given[key], variant) for variant in _variants(variants)):
            return False
    for key in given:
        if (
            key in call.get("absent", ())
            or key not in wanted
            and given[key] != properties.get(key, {}).get("default", object())
        ):
            return False
    contains = call.get("contains", {})
    return all(any(str(w).lower() in str(given.get(key, "")).lower() for w in words) for key, words in contains.items())


def _variants(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def same(given: Any, wanted: Any) -> bool:
    """Equal by the exam's rules: text without case and final full stop, numbers as numbers, arrays in any order."""
    if isinstance(given, bool) or isinstance(wanted, bool):
        return given is wanted
    if isinstance(given, int | float) and isinstance(wanted, int | float):
        return math.isclose(given, wanted, rel_tol=1e-6, abs_tol=1e-9)
    if isinstance(given, list) and isinstance(wanted, list):
        left = list(wanted)
        for item in given:
            hit = next((w for w in left if same(item, w)), None)
            if hit is None and None not in left:
                return False
            left.remove(hit)
        return not left
    if isinstance(given, dict) and isinstance(wanted, dict):
        return given.keys() == wanted.keys() and all(same(given[key], wanted[key]) for key in given)
    if isinstance(given, str) and isinstance(wanted, str):
        return given.strip().rstrip(".").casefold() == wanted.strip().rstrip(".").casefold()
    return bool(given == wanted)


def _valid(schema: Mapping[str, Any], arguments: str) -> bool:
    try:
        jsonschema.validate(json.loads(arguments), schema)
    except (jsonschema.ValidationError, ValueError):
        return False
    return True

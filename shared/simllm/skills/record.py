"""Hand over a result through a tool: the function that frameworks offer as the shape of the final answer.

LangChain's and pydantic-ai's agents send the output type as one more tool and demand a call (`tool_choice`
"required"), until that tool is the one that is called. So once others have answered, a tool that was not called yet
and whose arguments the dialogue already holds takes the result; filled like any JSON reply, from the whole dialogue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from simllm.chat import ChatRequest
from simllm.messages import Message
from simllm.schema import ReplyFormat
from simllm.skills.candidates import Call, Candidate, Plan
from simllm.skills.fields import split_name
from simllm.skills.prompt import read_prompt
from simllm.skills.structured import plan_object
from simllm.tools import Tool

if TYPE_CHECKING:
    from simllm.skills import Toolbox

_FINAL = {
    *("final", "result", "response", "answer", "output", "report", "record", "reply"),
    *("respond", "finish", "conclude", "submit", "done"),
}
GROUNDED_FROM = 0.5  # share of the arguments that the dialogue holds


def plan_record(
    request: ChatRequest, need: str, results: Sequence[str], called: set[str], tools: Toolbox
) -> Plan | None:
    """A call of the tool that takes the result; None when no tool on offer does.

    Args:
        request: what was asked, with at least one callable tool.
        need: what the user wants.
        results: what tools have answered, oldest first.
        called: the tools that have answered already.
        tools: what skills may use.
    """
    text = "\n\n".join([*results, need])
    best: tuple[float, Call] | None = None
    for tool in request.callable_tools:
        if tool.name in called:
            continue
        filled = _filled(request, tool, need, results, tools)
        named = bool(
            _FINAL
            & {word.lower() for word in [*split_name(tool.name), *re.findall(r"[a-z]+", tool.description.lower())]}
        )
        score = grounded(filled, text) + 0.5 * named
        if score > GROUNDED_FROM and (best is None or score > best[0]):
            best = score, Call(tool.name, json.dumps(filled, ensure_ascii=False))
    return None if best is None else Plan((Candidate("", 1.0, calls=(best[1],)),), wander=0.0)


def grounded(filled: Mapping[str, Any], text: str) -> float:
    """Share of an object's values that a text holds; 0 for an object without any."""
    values = list(_leaves(filled))
    spoken = text.lower()
    return sum(str(value).lower().rstrip(".") in spoken for value in values) / len(values) if values else 0.0


def _filled(request: ChatRequest, tool: Tool, need: str, results: Sequence[str], tools: Toolbox) -> dict[str, Any]:
    wanted = ReplyFormat("json_schema", tool.name, tool.parameters, tool.raw, tool.strict, tool.description or None)
    context = "\n\n".join(results)
    messages = (Message("user", f"Context:\n{context}\n\nQuestion: {need}" if results else need),)
    asked = replace(request, messages=messages, tools=(), format=wanted)
    made: dict[str, Any] = json.loads(plan_object(asked, read_prompt(messages), tools).candidates[0].text)
    return made


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [leaf for child in value.values() for leaf in _leaves(child)]
    if isinstance(value, list):
        return [leaf for child in value for leaf in _leaves(child)]
    return [] if value is None or isinstance(value, bool) else [value]

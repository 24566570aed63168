"""What the simulated models can do, one behaviour per file.

`make_plan` reads the request and nothing else, and decides which behaviour answers it: the first of `ENTRIES` that
recognises the request and has a plan for it.

To add a skill: write `plan_x(request, prompt, tools) -> Plan | None` in a file of its own (None: not mine after all) and
add `(recognises, plan_x)` to `ENTRIES`, the special before the general. Tasks that the instructions name (judging,
rewriting, expansion, classification, summary) stand before `structured`, because they too answer in JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from simllm.chat import ChatRequest
from simllm.embeddings import Embedder
from simllm.skills import answer, freeform, injection, refusal, small_talk, structured, tasks, toolcalls
from simllm.skills.candidates import Candidate, Plan
from simllm.skills.feedback import without_feedback
from simllm.skills.prompt import Prompt, read_prompt
from simllm.tokenizer import Tokenizer

__all__ = ["Candidate", "Plan", "Toolbox", "make_plan"]


@dataclass(frozen=True)
class Toolbox:
    """What skills may use."""

    tokenizer: Tokenizer
    embedder: Embedder


Recognises = Callable[[ChatRequest, Prompt], bool]
MakesPlan = Callable[[ChatRequest, Prompt, Toolbox], Plan | None]


def _plan_refusal(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan | None:
    return refusal.plan_refusal(request, prompt)


def _plan_small_talk(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan | None:
    return small_talk.plan_small_talk(request, prompt)


def _plan_object(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan:
    return structured.plan_object(request, prompt, tools)


ENTRIES: tuple[tuple[Recognises, MakesPlan], ...] = (
    (lambda request, prompt: True, _plan_refusal),
    (lambda request, prompt: bool(prompt.passages), _plan_small_talk),
    (lambda request, prompt: bool(request.callable_tools), toolcalls.plan_calls),
    (tasks.may_be_task, tasks.plan_task),
    (lambda request, prompt: request.format.kind == "text" and bool(prompt.passages), injection.plan_obedience),
    (lambda request, prompt: request.format.kind != "text", _plan_object),
    (lambda request, prompt: bool(prompt.question), answer.plan_answer),
    (lambda request, prompt: True, freeform.plan_freely),
)


def make_plan(request: ChatRequest, tools: Toolbox) -> Plan:
    """Decide what the model could say to a request."""
    request = replace(request, messages=without_feedback(request.messages))
    prompt = read_prompt(request.messages)
    for recognises, plan in ENTRIES:
        made = plan(request, prompt, tools) if recognises(request, prompt) else None
        if made is not None:
            return made
    raise AssertionError("the last entry has a plan for everything")

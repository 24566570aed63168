"""What the simulated models can do, one behaviour per file.

`make_plan` reads the request and nothing else, and decides which behaviour answers it.
"""

from __future__ import annotations

from dataclasses import dataclass

from simllm.chat import ChatRequest
from simllm.embeddings import Embedder
from simllm.skills import answer, freeform, structured
from simllm.skills.candidates import Candidate, Plan
from simllm.skills.prompt import read_prompt
from simllm.tokenizer import Tokenizer

__all__ = ["Candidate", "Plan", "Toolbox", "make_plan"]


@dataclass(frozen=True)
class Toolbox:
    """What skills may use."""

    tokenizer: Tokenizer
    embedder: Embedder


def make_plan(request: ChatRequest, tools: Toolbox) -> Plan:
    """Decide what the model could say to a request."""
    skill = request.model.skill
    assert skill is not None  # embedding models never get here: the request was checked
    prompt = read_prompt(request.messages)
    if request.format.kind != "text":
        return Plan(structured.objects(prompt, request.format, skill, tools.embedder), wander=0.0)
    finding = answer.find(answer.full_query(prompt), prompt, skill, tools.embedder) if prompt.question else None
    if finding is not None:
        return Plan(answer.answers(prompt, finding, skill), skill.wander)
    if prompt.rules.abstention is not None and prompt.rules.cite:
        return Plan((Candidate(prompt.rules.abstention, 1.0),), skill.wander)
    return Plan(freeform.replies(prompt.question, skill.sharpness), skill.wander)

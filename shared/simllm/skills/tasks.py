"""The tasks that a prompt names: ranking, judging, rewriting, expansion, summary, headlines, classification; the first that fits plans.

Each tells from the instructions and the named parts whether it is meant, and returns None otherwise. Requests that
carry their texts some other way (long prompts without any names) are left to answering.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from simllm.chat import ChatRequest
from simllm.skills.brief import read_brief
from simllm.skills.candidates import Plan
from simllm.skills.classification import names_labels, plan_classification
from simllm.skills.expansion import plan_expansion
from simllm.skills.gist import plan_gist
from simllm.skills.judging import plan_judging
from simllm.skills.prompt import Prompt
from simllm.skills.ranking import plan_ranking
from simllm.skills.rewriting import plan_rewriting
from simllm.skills.summary import plan_summary

if TYPE_CHECKING:
    from simllm.skills import Toolbox

LONGEST_INSTRUCTIONS = 600  # words; beyond, it is context without a name
_ANSWERS = re.compile(
    r"(?:^|[.!?:\n]\s*)(?:please |only |always |you )?answer (?:\w+ ){0,4}questions?\b|^\s*\[[^\]\n]{1,80}\][ \t]*\S",
    re.I,
)
_TASKS = (plan_ranking, plan_judging, plan_rewriting, plan_expansion, plan_summary, plan_gist, plan_classification)


def may_be_task(request: ChatRequest, prompt: Prompt) -> bool:
    """Whether the request could name a task: it offers no tools, asks for no answer, and its instructions are no document."""
    if request.callable_tools or any(message.role == "tool" for message in request.messages):
        return False
    brief = read_brief(request.messages)
    instructions = brief.instructions
    if not instructions:
        return names_labels(brief)  # a list of labels and a text need no words around them
    return 0 < len(instructions.split()) <= LONGEST_INSTRUCTIONS and not _ANSWERS.search(instructions)


def plan_task(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan | None:
    """The plan of the task that the prompt names; None when it names none."""
    return next((plan for make in _TASKS if (plan := make(request, tools)) is not None), None)

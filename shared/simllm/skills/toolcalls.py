"""Tool calls: which functions to call with which arguments, when to ask back, and when to stop.

One turn of the loop known as ReAct (Yao et al. 2023): read the need and what tools have answered so far, then call,
ask or state the result. Everything is computed from the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simllm.chat import ChatRequest
from simllm.skills.candidates import Candidate, Plan
from simllm.skills.followup import after_results
from simllm.skills.prompt import Prompt
from simllm.skills.recollection import told_earlier
from simllm.skills.record import plan_record
from simllm.skills.turn import Turn

if TYPE_CHECKING:
    from simllm.skills import Toolbox


def plan_calls(request: ChatRequest, prompt: Prompt, tools: Toolbox) -> Plan | None:
    """The calls to make, a question back, or the statement of results; None where the model answers without tools."""
    turn = Turn(request, tools)
    if turn.must and len(turn.offered) == 1 and prompt.passages and not turn.answered:
        made = plan_record(
            request, turn.need, (), set(), tools
        )  # one demanded tool over a text: it is the reply's shape
        if made is not None:
            return made
    if (
        not turn.must
        and not turn.answered
        and any(passage.label for passage in prompt.passages)
        and not turn.asks_for_a_tool(prompt.question)
    ):
        return None
    if turn.answered:
        return after_results(turn)
    made = turn.first()
    told = told_earlier(turn.need, turn.earlier, turn.evidence.embedder) if made is None and not turn.must else None
    return made if told is None else Plan((Candidate(told, 1.0),), wander=0.0)

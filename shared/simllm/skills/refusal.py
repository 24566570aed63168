"""Decline what a commercial model is trained to decline.

A handful of requests for plain harm, recognised by verb and object in the question. Where the reply must follow a
strict schema, the refusal travels in a field of its own, as in Structured Outputs; otherwise it is an ordinary text.
"""

from __future__ import annotations

import re

from simllm.chat import ChatRequest
from simllm.skills.candidates import Candidate, Plan
from simllm.skills.prompt import Prompt

_HARM = re.compile(
    r"\b(?:make|build|construct|cook|synthesi[sz]e|write|create|spread|deploy)\b[^.?!\n]{0,40}"
    r"\b(?:bombs?|explosives?|nerve agents?|bioweapons?|methamphetamine|ransomware|malware|keyloggers?)\b",
    re.I,
)
_DEFENCE = re.compile(r"\b(?:against|detect\w*|prevent\w*|protect\w*|remov\w*|defend\w*|scan\w*|report\w*)\b", re.I)
SENTENCE = "I'm sorry, but I can't help with that request."


def plan_refusal(request: ChatRequest, prompt: Prompt) -> Plan | None:
    """A refusal; None for everything that may be answered."""
    if not _HARM.search(prompt.question) or _DEFENCE.search(prompt.question):
        return None
    return Plan((Candidate(SENTENCE, 1.0, refusal=request.format.strict),), wander=0.0)

"""Thanks, greetings and goodbyes in a chat that has a context: they ask for nothing, so nothing is quoted."""

from __future__ import annotations

import re

from simllm.chat import ChatRequest
from simllm.skills.candidates import Plan, weigh
from simllm.skills.prompt import Prompt

MOST_WORDS = 8
_FILLER = r"(?:ok(?:ay)?|alright|great|perfect|good|cool|nice|super|wonderful|got it|i see|that'?s all|that is all|for now|so much|very much|a lot|again|for (?:your|the) (?:help|information|answers?)|and|then|all|everyone|there|you|to you|too|well|have a (?:nice|good|great) (?:day|evening|weekend|one))"
_SPOKEN = {
    "thanks": (
        r"(?:many )?thanks|thank you|thx|cheers|much appreciated|appreciate it|that (?:helps|helped)",
        ("You're welcome!", "Glad to help."),
    ),
    "bye": (r"(?:good)?bye|bye[- ]bye|see you(?: later| soon)?|good night|take care", ("Goodbye!", "Goodbye, and take care.")),
    "hello": (
        r"hi|hello|hey|good (?:morning|afternoon|evening)",
        ("Hello! How can I help you today?", "Hi! What can I do for you?"),
    ),
    "fine": (r"ok(?:ay)?|alright|great|perfect|got it|i see|that'?s all|never ?mind|sounds good", ("All right.", "Understood.")),
}  # fmt: skip


def small_talk(text: str) -> tuple[str, str] | None:
    """What to say to a message that is nothing but small talk, in two wordings; None for all others."""
    plain = re.sub(r"[^\w' -]+", " ", text.lower().replace("’", "'")).strip()
    if not plain or len(plain.split()) > MOST_WORDS or "?" in text:
        return None
    for words, replies in _SPOKEN.values():
        if re.fullmatch(rf"(?:{_FILLER}\s+)*(?:{words})(?:\s+(?:{_FILLER}|{words}))*", re.sub(r"\s+", " ", plain)):
            return replies
    return None


def plan_small_talk(request: ChatRequest, prompt: Prompt) -> Plan | None:
    """A few polite words; None where the message wants more, or where the reply must be an object or an agreed word."""
    replies = small_talk(prompt.question) if prompt.passages and request.format.kind == "text" else None
    last, before = request.messages[-1], request.messages[-2:-1]
    if replies is None or last.role != "user" or last.text.strip() != prompt.question:
        return None
    if before and before[0].role == "assistant" and before[0].text.rstrip().endswith("?"):
        return None  # "Shall I cancel it?" "ok" is no small talk
    choice = request.tool_choice
    if request.callable_tools and (choice.mode == "required" or choice.named):
        return None
    return Plan(weigh(replies, [1.0, 0.9], 0.1), wander=0.0)

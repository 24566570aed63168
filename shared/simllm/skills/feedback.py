"""Automated feedback on a reply: "your previous response failed validation, try again".

Frameworks such as pydantic-ai and instructor send a reply that they could not use back with the reason, as if the user
had said so. Such a message asks nothing new: the dialogue is read as if reply and feedback were not there. What this
does not do is learn from the reason: an error that the prompt itself causes comes again, as it may with a real model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from simllm.messages import Message

_FEEDBACK = re.compile(
    r"\bfailed\b[^.\n]{0,60}\bvalidation\b|\bvalidation[ _]errors?\b|\bfix the errors?\b[^.\n]{0,40}\btry again\b|"
    r"\b(?:not|in)[ -]?valid json\b|\b(?:could not|cannot) (?:be parsed|parse)\b",
    re.I,
)


def without_feedback(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The dialogue without its last refused replies; as it is when the last message is no feedback."""
    kept = list(messages)
    while (start := _refused_reply(kept)) is not None:
        kept = [*kept[:start], *(message for message in kept[start:] if message.role in ("system", "developer"))]
    return tuple(kept)


def _refused_reply(messages: Sequence[Message]) -> int | None:
    """Where the reply stands that the last user message refuses; None when there is none."""
    spoken = [i for i, message in enumerate(messages) if message.role not in ("system", "developer")]
    if len(spoken) < 3:
        return None
    before, reply, last = (messages[i] for i in spoken[-3:])
    refused = (
        last.role == "user" and reply.role == "assistant" and not reply.tool_calls and before.role in ("user", "tool")
    )
    return spoken[-2] if refused and _FEEDBACK.search(last.text) else None

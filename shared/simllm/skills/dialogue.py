"""A dialogue as a caller of tools reads it: what the user wants now, what tools answered, what was said before."""

from __future__ import annotations

import json
from collections.abc import Sequence

from simllm.messages import Message
from simllm.skills.results import Answered


def current_need(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    """What the user wants, and the messages since: the last user turn, with the one before it where it only adds to it."""
    users = [i for i, message in enumerate(messages) if message.role == "user"]
    if not users:
        return "", messages
    last = users[-1]
    need = messages[last].text
    before = messages[last - 1] if last else None
    if (
        len(users) > 1
        and before
        and before.role == "assistant"
        and not before.tool_calls
        and before.text.rstrip().endswith("?")
    ):
        need = f"{messages[users[-2]].text}\n{need}"
    return need, messages[last + 1 :]


def answered_calls(history: Sequence[Message]) -> list[Answered]:
    calls = {call.id: call for message in history for call in message.tool_calls}
    found = []
    for message in history:
        call = calls.get(message.tool_call_id or "")
        if message.role == "tool" and call is not None:
            try:
                arguments = json.loads(call.arguments)
            except ValueError:
                arguments = {}
            found.append(Answered(call.name, arguments if isinstance(arguments, dict) else {}, message.text))
    return found


def said_before(messages: Sequence[Message], need: str) -> str:
    """What user and assistant said in earlier turns, newest first; without what the need repeats."""
    users = [i for i, message in enumerate(messages) if message.role == "user"]
    earlier = messages[: users[-1]] if users else ()
    told = [m.text for m in reversed(earlier) if m.role in ("user", "assistant") and m.text and m.text not in need]
    return "\n".join(told)

"""`truncation: "auto"` of the Responses API: forget the oldest turns of a conversation that does not fit.

As its reference says, items are dropped from the beginning of the conversation. A call and its output go together,
`instructions` and the newest turn stay; when these alone are too long, the request is refused like any other.
Nothing is cut inside an item.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from simllm.chat import ChatRequest
from simllm.messages import Message
from simllm.rendering import message_tokens, render
from simllm.tokenizer import TOKENS_PER_MESSAGE, Tokenizer


def truncate(chat: ChatRequest, tokenizer: Tokenizer, *, lead: int) -> ChatRequest:
    """The same request without its oldest turns, as far as the context window needs it.

    Args:
        chat: what was asked.
        tokenizer: counts.
        lead: messages at the start that stay, such as the instructions.
    """
    first = chat.messages[:lead]
    room = chat.model.context_window - (chat.max_tokens or 1) - len(render(replace(chat, messages=first), tokenizer))
    *older, newest = _turns(chat.messages[lead:])
    room -= _tokens(newest, tokenizer, room)
    kept = list(newest)
    for turn in reversed(older):
        room -= _tokens(turn, tokenizer, room)
        if room < 0:
            break
        kept = turn + kept
    return replace(chat, messages=(*first, *kept))


def _tokens(turn: Sequence[Message], tokenizer: Tokenizer, room: int) -> int:
    """Tokens of a turn; one that is surely too long is not counted to the end."""
    sure = sum(tokenizer.at_least(message.text) for message in turn)
    return sure if sure > room else sum(TOKENS_PER_MESSAGE + len(message_tokens(m, tokenizer)) for m in turn)


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    """Messages in groups that can only go together: a call and everything up to its last output."""
    turns: list[list[Message]] = []
    unanswered: set[str] = set()
    for message in messages:
        if unanswered:
            turns[-1].append(message)
        else:
            turns.append([message])
        unanswered |= {call.id for call in message.tool_calls}
        unanswered -= {message.tool_call_id or ""}
    return turns

"""The prompt as the model reads it: one sequence of tokens, from which it is billed and cached.

Order as on the real API: tool definitions, the reply's schema, then the messages. A message costs its own tokens
plus `TOKENS_PER_MESSAGE`, the reply's start `TOKENS_PER_REPLY`, a tool or schema its compact JSON plus
`TOKENS_PER_DEFINITION`; all are constants of this simulation, so a client can compute `usage` exactly.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from simllm import turn
from simllm.chat import ChatRequest
from simllm.messages import ROLES, Message
from simllm.schema import ReplyFormat
from simllm.tokenizer import TOKENS_PER_MESSAGE, TOKENS_PER_REPLY, Tokenizer
from simllm.tools import Tool

TOKENS_PER_DEFINITION = 4
_DEFINITION = -len(ROLES) - 1  # markers are negative: no text encodes to them
_REPLY = _DEFINITION - 1


def render(request: ChatRequest, tokenizer: Tokenizer, breathe: Callable[[], None] = lambda: None) -> list[int]:
    """All tokens of a prompt; its length is `prompt_tokens`. `breathe` is called now and then in long texts."""
    tokens: list[int] = []
    for tool in request.tools:
        tokens += [_DEFINITION] * TOKENS_PER_DEFINITION + tokenizer.encode(tool_text(tool))
    if request.format.raw is not None:
        tokens += [_DEFINITION] * TOKENS_PER_DEFINITION + tokenizer.encode(schema_text(request.format))
    for message in request.messages:
        tokens += [-1 - ROLES.index(message.role)] * TOKENS_PER_MESSAGE + message_tokens(message, tokenizer, breathe)
    return tokens + [_REPLY] * TOKENS_PER_REPLY


def message_tokens(message: Message, tokenizer: Tokenizer, breathe: Callable[[], None] = lambda: None) -> list[int]:
    """A message's own tokens, tool calls included."""
    return tokenizer.encode(message.text, breathe) + turn.write(tokenizer, "", message.tool_calls)


def tool_text(tool: Tool) -> str:
    """A tool's definition as the model reads it."""
    return _compact({"name": tool.name, "description": tool.description, "parameters": tool.raw or {}})


def schema_text(wanted: ReplyFormat) -> str:
    """A reply's schema as the model reads it."""
    return _compact({"name": wanted.name, "description": wanted.description, "schema": wanted.raw})


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

"""`POST /v1/responses` and `POST /v1/responses/input_tokens`: the frame around a reply.

The reply's parts are output items, in the real order: reasoning, message, function calls. `response_events` streams
the same items. Ids and `created_at` name one call of the API; everything else repeats with the request.
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import replace
from typing import Any

from simllm.choices import Choice
from simllm.engine import Completion, Engine
from simllm.errors import ApiError, input_too_long
from simllm.reasoning import summarise
from simllm.responses import ResponseRequest, read_counted, read_response
from simllm.routes.logprobs import token_logprobs
from simllm.routes.response_events import response_events
from simllm.tokenizer import Tokenizer
from simllm.tools import Tool, ToolChoice
from simllm.truncation import truncate
from simllm.wire import JsonReply, Reply, StreamReply

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def handle(engine: Engine, data: dict[str, Any], client: str) -> Reply:
    """Answer one stateless request, whole or streamed."""
    request = _fitted(read_response(data), engine.tokenizer)
    try:
        completion = engine.complete(request.chat, client)
    except ApiError as error:
        raise input_too_long() if error.code == "context_length_exceeded" else error from None
    choice = completion.choices[0]
    items = output_items(request, completion, engine.tokenizer)
    reason = INCOMPLETE.get(choice.finish_reason)
    now = int(time.time())
    body = _frame(request, completion, now) | {
        "status": "incomplete" if reason else "completed",
        "completed_at": None if reason else now,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": items,
        "usage": _usage(completion),
    }
    model = request.chat.model
    latency_ms = model.latency_ms(choice.completion_tokens)
    if request.chat.stream:
        events = response_events(body, choice, model, engine.tokenizer)
        return StreamReply(tuple(events), completion.prompt_tokens, latency_ms, trailer=b"")
    return JsonReply(body, completion.prompt_tokens, completion.completion_tokens, latency_ms)


def handle_input_tokens(engine: Engine, data: dict[str, Any], client: str) -> JsonReply:
    """Count the tokens of a request without answering it."""
    request = _fitted(read_counted(data), engine.tokenizer)
    return JsonReply({"object": "response.input_tokens", "input_tokens": engine.count_prompt(request.chat)})


def _fitted(request: ResponseRequest, tokenizer: Tokenizer) -> ResponseRequest:
    """The request as the model gets it: with `truncation: "auto"`, cut down to its window."""
    if request.truncation == "disabled":
        return request
    return replace(request, chat=truncate(request.chat, tokenizer, lead=1 if request.instructions else 0))


def output_items(request: ResponseRequest, completion: Completion, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """The items of a finished reply."""
    choice = completion.choices[0]
    cut = choice.finish_reason in INCOMPLETE
    items: list[dict[str, Any]] = []
    if request.chat.model.reasons:
        sealed = _sealed(request)  # sent by default, whether `include` asks for it or not
        summary = _summary(request, completion)
        items.append(
            {"id": f"rs_{completion.id}", "type": "reasoning", "summary": summary, "encrypted_content": sealed}
        )
    if choice.pieces or not (choice.calls or (request.chat.model.reasons and cut)):
        status = "incomplete" if cut and not choice.calls else "completed"
        items.append(
            {
                "id": f"msg_{completion.id}",
                "type": "message",
                "status": status,
                "role": "assistant",
                "content": [_part(choice, request, tokenizer)],
            }
        )
    for i, (call_id, call) in enumerate(choice.calls):
        items.append(
            {
                "id": f"fc_{completion.id}{i:02x}",
                "type": "function_call",
                "status": "incomplete" if cut and i == len(choice.calls) - 1 else "completed",
                "arguments": call.arguments,
                "call_id": call_id,
                "name": call.name,
            }
        )
    return items


def _part(choice: Choice, request: ResponseRequest, tokenizer: Tokenizer) -> dict[str, Any]:
    if choice.refused:
        return {"type": "refusal", "refusal": choice.text}
    logprobs = token_logprobs(choice, 0, len(choice.pieces), tokenizer) if request.chat.logprobs else []
    return {"type": "output_text", "text": choice.text, "annotations": [], "logprobs": logprobs}


def _summary(request: ResponseRequest, completion: Completion) -> list[dict[str, Any]]:
    """The summary of the thinking: none where it was not asked for, or where there was nothing to think."""
    if request.summary is None or not completion.reasoning_tokens or not completion.candidates:
        return []
    return [{"type": "summary_text", "text": summarise(completion.candidates, request.summary)}]


def _sealed(request: ResponseRequest) -> str:
    """Stands for encrypted reasoning: opaque, and the same for the same prompt."""
    return base64.b64encode(hashlib.sha256(request.chat.prompt_digest().encode()).digest()).decode()


def _frame(request: ResponseRequest, completion: Completion, now: int) -> dict[str, Any]:
    """All fields that do not depend on how the reply went."""
    chat = request.chat
    wanted: dict[str, Any] = {"type": chat.format.kind}
    if chat.format.kind == "json_schema":
        wanted |= {"name": chat.format.name, "schema": chat.format.raw, "strict": chat.format.strict}
        wanted |= {"description": chat.format.description}
    return {
        "id": f"resp_{completion.id}",
        "object": "response",
        "created_at": now,
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": chat.max_tokens,
        "max_tool_calls": None,
        "metadata": dict(request.metadata),
        "model": chat.model.id,
        "output": [],
        "parallel_tool_calls": chat.parallel,
        "previous_response_id": None,
        "reasoning": {"effort": chat.effort, "summary": request.summary},
        "service_tier": "default",
        "store": False,
        "temperature": chat.temperature,
        "text": {"format": wanted, "verbosity": "medium"},
        "tool_choice": _tool_choice(chat.tool_choice),
        "tools": [_tool(tool) for tool in chat.tools],
        "top_logprobs": chat.top_logprobs,
        "top_p": chat.top_p,
        "truncation": request.truncation,
        "usage": None,
        **request.echo,
    }


def _usage(completion: Completion) -> dict[str, Any]:
    return {
        "input_tokens": completion.prompt_tokens,
        "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": completion.cached_tokens},
        "output_tokens": completion.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": completion.reasoning_tokens},
        "total_tokens": completion.prompt_tokens + completion.completion_tokens,
    }


def _tool_choice(choice: ToolChoice) -> str | dict[str, Any]:
    if choice.names is None:
        return choice.mode
    named = [{"type": "function", "name": name} for name in choice.names]
    return named[0] if choice.named else {"type": "allowed_tools", "mode": choice.mode, "tools": named}


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description or None,
        "parameters": tool.raw,
        "strict": tool.strict,
    }

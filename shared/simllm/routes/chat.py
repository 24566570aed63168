"""`POST /v1/chat/completions`, whole; `chat_events` streams the same reply.

Fields that the specification calls nullable are sent as null, optional ones are left out: `tool_calls` stands in a
message only when there are calls, `logprobs` and `refusal` always.
"""

from __future__ import annotations

import time
from typing import Any

from simllm.chat import ChatRequest, read_chat
from simllm.choices import Choice
from simllm.engine import Completion, Engine
from simllm.faults import Fault
from simllm.routes.chat_events import chat_events
from simllm.routes.logprobs import choice_logprobs
from simllm.tokenizer import Tokenizer
from simllm.wire import JsonReply, Reply, StreamReply

FINGERPRINT = "fp_simllm_2"


def handle(engine: Engine, data: dict[str, Any], client: str, scripted: Fault | None = None) -> Reply:
    """Answer a chat request; `scripted` is a fault of kind "reply", whose text is said instead of an answer."""
    request = read_chat(data)
    if scripted is None:
        completion = engine.complete(request, client)
    else:
        completion = engine.recite(request, scripted.text, scripted.finish_reason, client)
    latency_ms = request.model.latency_ms(max(choice.completion_tokens for choice in completion.choices))
    if request.stream:
        head = _head(request, completion, "chat.completion.chunk")
        events = chat_events(request, completion, head, _usage(completion), engine.tokenizer)
        return StreamReply(tuple(events), completion.prompt_tokens, latency_ms)
    body = _head(request, completion, "chat.completion") | {
        "choices": [_choice(i, choice, request, engine.tokenizer) for i, choice in enumerate(completion.choices)],
        "usage": _usage(completion),
    }
    return JsonReply(body, completion.prompt_tokens, completion.completion_tokens, latency_ms)


def _head(request: ChatRequest, completion: Completion, kind: str) -> dict[str, Any]:
    """`id`, `created` and the ids of tool calls name one call of the API; all else repeats with request and seed."""
    return {
        "id": f"chatcmpl-{completion.id}",
        "object": kind,
        "created": int(time.time()),
        "model": request.model.id,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def _usage(completion: Completion) -> dict[str, Any]:
    return {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "total_tokens": completion.prompt_tokens + completion.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": completion.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": completion.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _choice(index: int, choice: Choice, request: ChatRequest, tokenizer: Tokenizer) -> dict[str, Any]:
    text = None if choice.refused or (choice.calls and not choice.text) else choice.text
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if choice.calls:
        message["tool_calls"] = [
            {"id": call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call_id, call in choice.calls
        ]
    message |= {"refusal": choice.text if choice.refused else None, "annotations": []}
    logprobs = choice_logprobs(choice, 0, len(choice.pieces), tokenizer) if request.logprobs else None
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": choice.finish_reason}

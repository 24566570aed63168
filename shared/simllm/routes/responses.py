"""`POST /v1/responses`: the stateless core of the Responses API, text in and text out.

It turns the body into a chat request; nothing is stored, so `previous_response_id` is refused.
"""

from __future__ import annotations

import time
from typing import Any

from simllm.catalogue import card
from simllm.chat import ROLES, ChatRequest, Message, read_content
from simllm.engine import Engine
from simllm.errors import bad_type, bad_value, missing, wrong_kind
from simllm.requests import Fields, as_object, check_text
from simllm.wire import JsonReply

READ = ["model", "input", "instructions", "temperature", "top_p", "max_output_tokens"]
WITHOUT_EFFECT = ["user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "store"]
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "stream": (False,),
    "background": (False,),
    "tools": ([],),
    "include": ([],),
    "truncation": ("disabled",),
    "text": ({"format": {"type": "text"}},),
}
NOT_IMPLEMENTED = [
    "previous_response_id",
    "conversation",
    "tool_choice",
    "parallel_tool_calls",
    "max_tool_calls",
    "reasoning",
    "prompt",
    "stream_options",
    "top_logprobs",
    "prompt_cache_retention",
]
MIN_OUTPUT_TOKENS = 16  # as the real API


def handle(engine: Engine, data: dict[str, Any], client: str) -> JsonReply:
    """Answer one stateless request."""
    fields = Fields(data)
    request = _read(fields)
    completion = engine.complete(request, client)
    choice = completion.choices[0]
    finished = choice.finish_reason == "stop"
    status = "completed" if finished else "incomplete"
    part = {"type": "output_text", "text": choice.text, "annotations": [], "logprobs": []}
    message = {
        "id": f"msg_{completion.id}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [part],
    }
    body = {
        "id": f"resp_{completion.id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": None if finished else {"reason": "max_output_tokens"},
        "instructions": data.get("instructions"),
        "max_output_tokens": request.max_tokens,
        "metadata": data.get("metadata") or {},
        "model": request.model.id,
        "output": [message],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "store": False,
        "temperature": request.temperature,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": request.top_p,
        "truncation": "disabled",
        "usage": {
            "input_tokens": completion.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": completion.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": completion.prompt_tokens + completion.completion_tokens,
        },
    }
    latency_ms = request.model.latency_ms(completion.completion_tokens)
    return JsonReply(body, completion.prompt_tokens, completion.completion_tokens, latency_ms)


def _read(fields: Fields) -> ChatRequest:
    model = card(fields.text("model"))
    if model.kind != "chat":
        raise wrong_kind(model.id, "/v1/responses", "a chat")
    fields.check_names([*READ, *WITHOUT_EFFECT, *NEUTRAL], NOT_IMPLEMENTED)
    fields.check_neutral(NEUTRAL)
    limit = fields.integer("max_output_tokens", MIN_OUTPUT_TOKENS, 2**63 - 1)
    if limit is not None and limit > model.max_output_tokens:
        message = f"max_output_tokens is too large: {limit}. This model supports at most {model.max_output_tokens}."
        raise bad_value("max_output_tokens", message)
    instructions = fields.text("instructions", "")
    messages = [Message("system", instructions)] if instructions else []
    return ChatRequest(
        model=model,
        messages=(*messages, *_read_input(fields.data.get("input"))),
        temperature=fields.number("temperature", 0, 2, 1.0),
        top_p=fields.number("top_p", 0, 1, 1.0),
        max_tokens=limit,
    )


def _read_input(value: object) -> list[Message]:
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        return [Message("user", check_text("input", value))]
    if not isinstance(value, list):
        raise bad_type("input", "a string or an array", value)
    if not value:
        raise bad_value("input", "Invalid 'input': the array is empty. Send at least one message.", "empty_array")
    messages = []
    for i, item in enumerate(value):
        fields = as_object(f"input[{i}]", item)
        fields.check_names(["type", "role", "content", "id", "status", "phase"])
        fields.one_of("type", ["message"], "message")
        role = fields.one_of("role", ROLES)
        content = read_content(fields.name("content"), fields.data.get("content"), ("input_text", "output_text"))
        messages.append(Message(role, content))
    return messages

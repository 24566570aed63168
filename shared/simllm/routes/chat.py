"""`POST /v1/chat/completions`, whole or streamed."""

from __future__ import annotations

import time
from typing import Any

from simllm.chat import ChatRequest, read_chat
from simllm.engine import Completion, Engine
from simllm.faults import Fault
from simllm.generation import Generated, TokenLogprob
from simllm.tokenizer import Tokenizer
from simllm.wire import JsonReply, Reply, StreamEvent, StreamReply

FINGERPRINT = "fp_simllm_1"


def handle(engine: Engine, data: dict[str, Any], client: str, scripted: Fault | None = None) -> Reply:
    """Answer a chat request; `scripted` is a fault of kind "reply", whose text is said instead of an answer."""
    request = read_chat(data)
    if scripted is None:
        completion = engine.complete(request, client)
    else:
        completion = engine.recite(request, scripted.text, scripted.finish_reason)
    longest = max(len(choice.tokens) for choice in completion.choices)
    latency_ms = request.model.latency_ms(longest)
    if request.stream:
        events = _events(request, completion, engine.tokenizer, latency_ms)
        return StreamReply(tuple(events), completion.prompt_tokens, latency_ms)
    body = _head(request, completion, "chat.completion") | {
        "choices": [_choice(i, choice, request, engine.tokenizer) for i, choice in enumerate(completion.choices)],
        "usage": _usage(completion),
    }
    return JsonReply(body, completion.prompt_tokens, completion.completion_tokens, latency_ms)


def _head(request: ChatRequest, completion: Completion, kind: str) -> dict[str, Any]:
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
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _choice(index: int, choice: Generated, request: ChatRequest, tokenizer: Tokenizer) -> dict[str, Any]:
    logprobs = _logprobs(choice, 0, len(choice.tokens), tokenizer) if request.logprobs else None
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None, "annotations": []}
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": choice.finish_reason}


def _logprobs(choice: Generated, start: int, stop: int, tokenizer: Tokenizer) -> dict[str, Any]:
    """Log-probabilities of tokens start..stop of a reply."""
    content = [_token(choice.logprobs[i], tokenizer, first=i == 0) for i in range(start, stop)]
    return {"content": content, "refusal": None}


def _token(item: TokenLogprob, tokenizer: Tokenizer, *, first: bool) -> dict[str, Any]:
    top = [_one(token, logprob, tokenizer, first=first) for token, logprob in item.top]
    return _one(item.token, item.logprob, tokenizer, first=first) | {"top_logprobs": top}


def _one(token: int, logprob: float, tokenizer: Tokenizer, *, first: bool) -> dict[str, Any]:
    data = tokenizer.piece(token, first=first)
    return {"token": data.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(data)}


def _events(request: ChatRequest, completion: Completion, tokenizer: Tokenizer, latency_ms: float) -> list[StreamEvent]:
    """The chunks in the real order: roles, tokens (choices interleaved), finish reasons, usage."""
    head = _head(request, completion, "chat.completion.chunk")
    usage: dict[str, Any] = {"usage": None} if request.include_usage else {}
    first_ms = request.model.latency_ms(0)
    sent = 0

    def event(index: int, delta: dict[str, Any], at_ms: float, logprobs: Any = None, end: str | None = None) -> None:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": end}
        events.append(StreamEvent(head | {"choices": [choice]} | usage, sent, at_ms, final=end is not None))

    events: list[StreamEvent] = []
    for index in range(len(completion.choices)):
        event(index, {"role": "assistant", "content": "", "refusal": None}, first_ms)
    pending = [0] * len(completion.choices)  # first token of each choice whose text is still held back
    for step in range(max(len(choice.tokens) for choice in completion.choices)):
        at_ms = request.model.latency_ms(step + 1)
        for index, choice in enumerate(completion.choices):
            if step >= len(choice.tokens):
                continue
            sent += 1
            if choice.pieces[step] or step == len(choice.tokens) - 1:  # part of a character waits for the rest
                logprobs = _logprobs(choice, pending[index], step + 1, tokenizer) if request.logprobs else None
                event(index, {"content": choice.pieces[step]}, at_ms, logprobs)
                pending[index] = step + 1
    for index, choice in enumerate(completion.choices):
        event(index, {}, latency_ms, end=choice.finish_reason)
    if request.include_usage:
        events.append(StreamEvent(head | {"choices": [], "usage": _usage(completion)}, sent, latency_ms, final=True))
    return events

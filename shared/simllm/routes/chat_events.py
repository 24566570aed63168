"""The chunks of a streamed chat completion, in the real order.

Per choice: the role; the text, or the refusal, piece by piece; each tool call, first its id and name with empty
arguments, then the arguments piece by piece; the finish reason. At last the usage, when it was asked for. Several
choices take turns token by token. A character that is split over tokens waits for its last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simllm.chat import ChatRequest
from simllm.choices import Choice
from simllm.engine import Completion
from simllm.routes.logprobs import choice_logprobs
from simllm.tokenizer import Tokenizer
from simllm.wire import StreamEvent

Delta = tuple[int, dict[str, Any], dict[str, Any] | None]  # after this many visible tokens: delta, logprobs


def chat_events(
    request: ChatRequest, completion: Completion, head: dict[str, Any], usage: dict[str, Any], tokenizer: Tokenizer
) -> list[StreamEvent]:
    """All events of a stream.

    Args:
        request: what was asked.
        completion: the finished replies.
        head: the fields that every chunk repeats.
        usage: the bill, for the last chunk.
        tokenizer: for the text of logprobs.
    """
    model, choices = request.model, completion.choices
    head = head | ({"usage": None} if request.include_usage else {})
    events: list[StreamEvent] = []
    sent = [0] * len(choices)  # visible tokens per choice

    hidden = choices[0].reasoning_tokens  # the same for all choices

    def add(index: int, delta: dict[str, Any], logprobs: Any = None, end: str | None = None) -> None:
        chunk = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": end}
        at_ms = model.latency_ms(hidden + max(sent))
        events.append(StreamEvent(head | {"choices": [chunk]}, sum(sent), at_ms, final=end is not None))

    for index, choice in enumerate(choices):
        silent = choice.refused or (choice.calls and not choice.text)
        add(index, {"role": "assistant", "content": None if silent else "", "refusal": None})
    deltas = [list(_deltas(choice, request, tokenizer)) for choice in choices]
    for step in range(1, 1 + max(len(choice.tokens) for choice in choices)):
        for index, choice in enumerate(choices):
            sent[index] = min(step, len(choice.tokens))
            while deltas[index] and deltas[index][0][0] <= step:
                _, delta, logprobs = deltas[index].pop(0)
                add(index, delta, logprobs)
    for index, choice in enumerate(choices):
        add(index, {}, end=choice.finish_reason)
    if request.include_usage:
        events.append(StreamEvent(head | {"choices": [], "usage": usage}, sum(sent), events[-1].at_ms, final=True))
    return events


def _deltas(choice: Choice, request: ChatRequest, tokenizer: Tokenizer) -> Iterator[Delta]:
    key = "refusal" if choice.refused else "content"
    held = 0  # first piece whose text is still held back
    for i, piece in enumerate(choice.pieces):
        if piece or i == len(choice.pieces) - 1:
            logprobs = choice_logprobs(choice, held, i + 1, tokenizer) if request.logprobs else None
            yield choice.start + i + 1, {key: piece}, logprobs
            held = i + 1
    for number, (call_id, call) in enumerate(choice.calls):
        function = {"name": call.name, "arguments": ""}
        yield call.start, _call(number, {"id": call_id, "type": "function", "function": function}), None
        for i, piece in enumerate(call.pieces):
            if piece:
                yield call.start + i + 1, _call(number, {"function": {"arguments": piece}}), None


def _call(number: int, fields: dict[str, Any]) -> dict[str, Any]:
    return {"tool_calls": [{"index": number, **fields}]}

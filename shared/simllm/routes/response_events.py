"""The events of a streamed response, in the real order.

    response.created, response.in_progress
    per item: output_item.added … output_item.done, and in between
        reasoning, when a summary was asked for: reasoning_summary_part.added, reasoning_summary_text.delta …,
            reasoning_summary_text.done, reasoning_summary_part.done
        a message: content_part.added, output_text.delta …, output_text.done, content_part.done (or refusal.*)
        a function call: function_call_arguments.delta …, function_call_arguments.done
    response.completed or response.incomplete

Events are numbered and carry their type twice, in `event:` and in the data; no "[DONE]" follows.
"""

from __future__ import annotations

import re
from typing import Any

from simllm.catalogue import ModelCard
from simllm.choices import Choice
from simllm.routes.logprobs import token_logprobs
from simllm.tokenizer import Tokenizer
from simllm.wire import StreamEvent

_WORDS = re.compile(r"\S+\s*|\s+")


def response_events(body: dict[str, Any], choice: Choice, model: ModelCard, tokenizer: Tokenizer) -> list[StreamEvent]:
    """All events of a stream.

    Args:
        body: the finished response, as it would be sent whole.
        choice: the reply inside it, for its pieces.
        model: whose pace to keep.
        tokenizer: for the text of logprobs.
    """
    return _Writer(body, choice, model, tokenizer).write()


class _Writer:
    """Walks the finished response and says it piece by piece."""

    def __init__(self, body: dict[str, Any], choice: Choice, model: ModelCard, tokenizer: Tokenizer) -> None:
        self._body = body
        self._choice = choice
        self._model = model
        self._tokenizer = tokenizer
        self._events: list[StreamEvent] = []
        self._sent = 0  # visible tokens
        self._thought = 0  # hidden tokens

    def write(self) -> list[StreamEvent]:
        """Everything from `response.created` to the end."""
        closed: dict[str, Any] = {
            "status": "in_progress",
            "output": [],
            "usage": None,
            "completed_at": None,
            "incomplete_details": None,
        }
        self._add("response.created", response=self._body | closed)
        self._add("response.in_progress", response=self._body | closed)
        calls = iter(self._choice.calls)
        for index, item in enumerate(self._body["output"]):
            if item["type"] == "reasoning":
                self._add("response.output_item.added", output_index=index, item=item | {"summary": []})
                self._reasoning(index, item)
                self._thought = self._choice.reasoning_tokens
            elif item["type"] == "message":
                self._message(index, item)
            else:
                self._call(index, item, next(calls)[1].pieces)
            self._add("response.output_item.done", output_index=index, item=item)
        self._sent, self._thought = len(self._choice.tokens), self._choice.reasoning_tokens
        self._add(f"response.{self._body['status']}", final=True, response=self._body)
        return self._events

    def _add(self, kind: str, *, final: bool = False, **fields: Any) -> None:
        data = {"type": kind, "sequence_number": len(self._events), **fields}
        self._events.append(
            StreamEvent(data, self._sent, self._model.latency_ms(self._thought + self._sent), final=final)
        )

    def _reasoning(self, index: int, item: dict[str, Any]) -> None:
        """The summary, while the model is still thinking."""
        for number, part in enumerate(item["summary"]):
            place = {"item_id": item["id"], "output_index": index, "summary_index": number}
            self._add("response.reasoning_summary_part.added", **place, part=part | {"text": ""})
            words = _WORDS.findall(part["text"])
            for i, word in enumerate(words, start=1):
                self._thought = self._choice.reasoning_tokens * i // len(words)
                self._add("response.reasoning_summary_text.delta", **place, delta=word)
            self._add("response.reasoning_summary_text.done", **place, text=part["text"])
            self._add("response.reasoning_summary_part.done", **place, part=part)

    def _message(self, index: int, item: dict[str, Any]) -> None:
        [part] = item["content"]
        kind = "output_text" if part["type"] == "output_text" else "refusal"
        key = "text" if kind == "output_text" else "refusal"
        empty = part | {key: ""} | ({"logprobs": []} if kind == "output_text" else {})
        place = {"item_id": item["id"], "output_index": index, "content_index": 0}
        self._add("response.output_item.added", output_index=index, item=_opened(item) | {"content": []})
        self._add("response.content_part.added", **place, part=empty)
        held = 0
        for i, piece in enumerate(self._choice.pieces):
            self._sent = self._choice.start + i + 1
            if piece or i == len(self._choice.pieces) - 1:  # part of a character waits for the rest
                logprobs = token_logprobs(self._choice, held, i + 1, self._tokenizer)
                extra: dict[str, Any] = {"logprobs": logprobs} if kind == "output_text" else {}
                self._add(f"response.{kind}.delta", **place, delta=piece, **extra)
                held = i + 1
        extra = {"logprobs": part["logprobs"]} if kind == "output_text" else {}
        self._add(f"response.{kind}.done", **place, **{key: part[key]}, **extra)
        self._add("response.content_part.done", **place, part=part)

    def _call(self, index: int, item: dict[str, Any], pieces: tuple[str, ...]) -> None:
        place = {"item_id": item["id"], "output_index": index}
        self._add("response.output_item.added", output_index=index, item=_opened(item) | {"arguments": ""})
        for piece in pieces:
            self._sent = min(self._sent + 1, len(self._choice.tokens))
            if piece:
                self._add("response.function_call_arguments.delta", **place, delta=piece)
        self._add("response.function_call_arguments.done", **place, arguments=item["arguments"])


def _opened(item: dict[str, Any]) -> dict[str, Any]:
    return item | {"status": "in_progress"}

"""The Responses request: from a JSON body to the same record that a chat request becomes.

Stateless: nothing is kept between calls, so whatever refers to an earlier one (`previous_response_id`,
`conversation`, item references) is refused by name. `store` is accepted without effect and every reply says
`"store": false`, although the real default is true. Field names and error texts follow the public reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simllm.catalogue import ModelCard
from simllm.chat import LABELS, WITHOUT_EFFECT, ChatRequest, check_json_is_asked_for, read_head, read_metadata
from simllm.errors import ApiError, bad_type, bad_value, missing
from simllm.messages import Message
from simllm.reasoning import read_effort, read_summary
from simllm.requests import Fields
from simllm.response_items import read_items
from simllm.schema import ReplyFormat, read_named_schema
from simllm.tools import read_tool_choice, read_tools

ENCRYPTED = "reasoning.encrypted_content"  # reasoning items always carry it, as the reference says
LOGPROBS = "message.output_text.logprobs"
READ = [
    "model",
    "input",
    "instructions",
    "temperature",
    "top_p",
    "max_output_tokens",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "include",
    "top_logprobs",
    "metadata",
    "truncation",
]
NEUTRAL: dict[str, tuple[Any, ...]] = {"background": (False,)}
NOT_IMPLEMENTED = [
    "previous_response_id",
    "conversation",
    "context_management",
    "max_tool_calls",
    "moderation",
    "prompt",
    "prompt_cache_options",
    "prompt_cache_retention",
]
COUNTED = [
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "truncation",
]
MIN_OUTPUT_TOKENS = 16  # as the real API


@dataclass(frozen=True)
class ResponseRequest:
    """A valid Responses request: the chat it amounts to, and what only the reply's frame needs.

    Attributes:
        chat: what the model is asked.
        instructions: the `instructions` as they were sent.
        metadata: the caller's own labels.
        echo: `user` and the like, repeated in the reply.
        summary: which summary of the hidden reasoning to send; None: none.
        truncation: "auto" forgets the oldest turns of a conversation that is too long.
    """

    chat: ChatRequest
    instructions: str | None
    metadata: Mapping[str, str]
    echo: Mapping[str, str | None]
    summary: str | None = None
    truncation: str = "disabled"


def read_response(data: dict[str, Any]) -> ResponseRequest:
    """Check a body of `POST /v1/responses`.

    Raises:
        ApiError: the first thing that is wrong, named in `param`.
    """
    fields, model = read_head(data, "/v1/responses", [*READ, *WITHOUT_EFFECT], NEUTRAL, NOT_IMPLEMENTED)
    limit = fields.integer("max_output_tokens", MIN_OUTPUT_TOKENS, 2**63 - 1)
    if limit is not None and limit > model.max_output_tokens:
        message = f"max_output_tokens is too large: {limit}. This model supports at most {model.max_output_tokens}."
        raise bad_value("max_output_tokens", message)
    included = _read_include(data.get("include"))
    top_logprobs = fields.integer("top_logprobs", 0, 20)
    stream = fields.flag("stream")
    _check_stream_options(fields, stream)
    effort, summary = _read_reasoning(fields, model)
    chat = ChatRequest(
        model=model,
        **_read_prompt(fields),
        temperature=fields.number("temperature", 0, 2, 1.0),
        top_p=fields.number("top_p", 0, 1, 1.0),
        max_tokens=limit,
        stream=stream,
        logprobs=LOGPROBS in included,
        top_logprobs=top_logprobs or 0,
        effort=effort,
    )
    instructions = fields.text("instructions", "") or None
    echo = {key: fields.text(key, "") or None for key in LABELS}
    return ResponseRequest(chat, instructions, read_metadata(fields), echo, summary, _read_truncation(fields))


def read_counted(data: dict[str, Any]) -> ResponseRequest:
    """Check a body of `POST /v1/responses/input_tokens`."""
    absent = ["conversation", "previous_response_id", "personality"]
    fields, model = read_head(data, "/v1/responses/input_tokens", COUNTED, {}, absent)
    effort, summary = _read_reasoning(fields, model)
    chat = ChatRequest(model=model, **_read_prompt(fields), effort=effort)
    instructions = fields.text("instructions", "") or None
    return ResponseRequest(chat, instructions, {}, {}, summary, _read_truncation(fields))


def _read_prompt(fields: Fields) -> dict[str, Any]:
    """The part of the request that the model reads, as arguments of `ChatRequest`."""
    instructions = fields.text("instructions", "")
    lead = (Message("system", instructions),) if instructions else ()
    messages = (*lead, *read_items(fields.data.get("input")))
    wanted = _read_format(fields.child("text"))
    check_json_is_asked_for(wanted, messages, "input", "text.format")
    tools = read_tools(fields.data.get("tools"), flat=True)
    return {
        "messages": messages,
        "format": wanted,
        "tools": tools,
        "tool_choice": read_tool_choice(fields.data.get("tool_choice"), tools, flat=True),
        "parallel": fields.flag("parallel_tool_calls", True),
    }


def _read_format(text: Fields | None) -> ReplyFormat:
    if text is None:
        return ReplyFormat()
    text.check_names(["format", "verbosity"])
    text.check_neutral({"verbosity": ("medium",)})
    fields = text.child("format")
    if fields is None:
        return ReplyFormat()
    kind = fields.one_of("type", ["text", "json_object", "json_schema"])
    if kind != "json_schema":
        fields.check_names(["type"])
        return ReplyFormat(kind)
    fields.check_names(["type", "name", "schema", "strict", "description"])
    if fields.data.get("schema") is None:
        raise missing("text.format.schema")
    return read_named_schema(fields, "text.format.schema")


def _read_reasoning(fields: Fields, model: ModelCard) -> tuple[str | None, str | None]:
    """`reasoning`: how long to think, and which summary of it to send ("concise" or "detailed")."""
    child = fields.child("reasoning") or Fields({}, "reasoning.")
    child.check_names(["effort", "summary"], ["context", "generate_summary", "mode"])
    effort = read_effort(child, "effort", reasons=model.reasons)
    return effort, read_summary(child, "summary", model)


def _read_truncation(fields: Fields) -> str:
    return fields.one_of("truncation", ["auto", "disabled"], "disabled")


def _read_include(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise bad_type("include", "an array of strings", value)
    for i, item in enumerate(value):
        if item not in (ENCRYPTED, LOGPROBS):
            message = f"Invalid value: '{item}'. Supported values are: '{ENCRYPTED}' and '{LOGPROBS}'."
            raise bad_value(f"include[{i}]", message)
    return tuple(value)


def _check_stream_options(fields: Fields, stream: bool) -> None:
    options = fields.child("stream_options")
    if options is None:
        return
    if not stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise ApiError(400, message, param="stream_options")
    options.check_names(["include_obfuscation"])
    options.flag("include_obfuscation")

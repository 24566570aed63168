"""The chat request: from a JSON body to a checked, frozen record.

Field names, limits and error texts follow the public Chat Completions reference. What the simulation does not
implement is refused by name, never ignored. No model runs here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from simllm.catalogue import ModelCard, read_model
from simllm.errors import ApiError, bad_value, unsupported
from simllm.messages import Message, read_messages
from simllm.reasoning import check_sampling, read_effort
from simllm.requests import Fields, check_text
from simllm.schema import ReplyFormat, read_reply_format
from simllm.tools import Tool, ToolChoice, read_tool_choice, read_tools

READ = [
    "model",
    "messages",
    "temperature",
    "top_p",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "seed",
    "stream",
    "stream_options",
    "logprobs",
    "top_logprobs",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "metadata",
]
LABELS = ("user", "safety_identifier", "prompt_cache_key")
WITHOUT_EFFECT = [*LABELS, "store", "service_tier"]
SERVICE_TIERS = ("auto", "default", "flex", "scale", "priority")
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "verbosity": ("medium",),
}
RETIRED = ("functions", "function_call")
NOT_IMPLEMENTED = [
    "audio",
    "moderation",
    "prediction",
    "prompt_cache_options",
    "prompt_cache_retention",
    "web_search_options",
]
MAX_CHOICES = 128
MAX_STOPS = 4
MAX_METADATA = 16


@dataclass(frozen=True)
class ChatRequest:
    """A valid chat request.

    Attributes:
        format: the shape of the reply.
        tools: the functions on offer, in the caller's order.
        tool_choice: which of them may or must be called.
        parallel: whether one reply may hold several calls.
        effort: how long a reasoning model thinks; None for a model that does not.
    """

    model: ModelCard
    messages: tuple[Message, ...]
    temperature: float = 1.0
    top_p: float = 1.0
    n: int = 1
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    stream: bool = False
    include_usage: bool = False
    logprobs: bool = False
    top_logprobs: int = 0
    format: ReplyFormat = field(default_factory=ReplyFormat)
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = field(default_factory=ToolChoice)
    parallel: bool = True
    effort: str | None = None

    @property
    def callable_tools(self) -> tuple[Tool, ...]:
        """The tools that this reply may call."""
        return tuple(tool for tool in self.tools if self.tool_choice.allows(tool))

    def prompt_digest(self) -> str:
        """Identifies what the model reads (not how it samples), in 32 hex digits."""
        parts = [self.model.id, *(f"{m.role}\x1f{m.text}" for m in self.messages), repr(self.format)]
        # not the ids of calls: they differ from run to run, and no model reads a meaning into them
        calls = [[(call.name, call.arguments) for call in message.tool_calls] for message in self.messages]
        if self.tools or any(calls) or self.effort:
            parts.append(repr((calls, self.tools, self.tool_choice, self.parallel, self.effort)))
        return hashlib.sha256("\x1e".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def sampling_digest(self) -> str:
        """Identifies the whole request: same digest, same distribution over replies."""
        knobs = json.dumps([self.temperature, self.top_p, self.max_tokens, self.stop])
        return hashlib.sha256(f"{self.prompt_digest()}{knobs}".encode()).hexdigest()[:32]


def read_chat(data: dict[str, Any]) -> ChatRequest:
    """Check a Chat Completions body.

    Raises:
        ApiError: the first thing that is wrong, named in `param`.
    """
    for key in RETIRED:
        if data.get(key) is not None:
            raise unsupported(key, "the retired 'functions' interface is not implemented; use 'tools'")
    fields, model = read_head(
        data, "/v1/chat/completions", [*READ, *WITHOUT_EFFECT, *RETIRED], NEUTRAL, NOT_IMPLEMENTED
    )
    effort = read_effort(fields, "reasoning_effort", reasons=model.reasons)
    messages = read_messages(data.get("messages"))
    stream = fields.flag("stream")
    logprobs = fields.flag("logprobs")
    top_logprobs = fields.integer("top_logprobs", 0, 20)
    if top_logprobs is not None and not logprobs:
        raise bad_value("top_logprobs", "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.")
    reply_format = read_reply_format(fields.child("response_format"))
    check_json_is_asked_for(reply_format, messages, "messages", "response_format")
    tools = read_tools(data.get("tools"), flat=False)
    if data.get("parallel_tool_calls") is not None and not tools:
        message = (
            "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are specified."
        )
        raise ApiError(400, message, param="parallel_tool_calls")
    read_metadata(fields)
    return ChatRequest(
        model=model,
        messages=messages,
        temperature=fields.number("temperature", 0, 2, 1.0),
        top_p=fields.number("top_p", 0, 1, 1.0),
        n=fields.integer("n", 1, MAX_CHOICES) or 1,
        max_tokens=_read_max_tokens(fields, model),
        stop=_read_stop(data.get("stop")),
        seed=fields.integer("seed", -(2**63), 2**63 - 1),
        stream=stream,
        include_usage=_read_stream_options(fields, stream),
        logprobs=logprobs,
        top_logprobs=top_logprobs or 0,
        format=reply_format,
        tools=tools,
        tool_choice=read_tool_choice(data.get("tool_choice"), tools, flat=False),
        parallel=fields.flag("parallel_tool_calls", True),
        effort=effort,
    )


def read_head(
    data: dict[str, Any],
    route: str,
    read: Collection[str],
    neutral: Mapping[str, tuple[Any, ...]],
    not_implemented: Collection[str],
) -> tuple[Fields, ModelCard]:
    """What both chat routes check first: the model, every field's name, and what a reasoning model does not take."""
    fields = Fields(data)
    model = read_model(fields, "chat", route)
    fields.check_names([*read, *neutral], not_implemented, bare=route == "/v1/chat/completions")
    fields.check_neutral(neutral)
    for key in LABELS:
        fields.text(key, "")
    fields.flag("store")
    fields.one_of("service_tier", SERVICE_TIERS, "auto")
    if model.reasons:
        check_sampling(fields, chat=route == "/v1/chat/completions")
    return fields, model


def check_json_is_asked_for(wanted: ReplyFormat, messages: tuple[Message, ...], param: str, option: str) -> None:
    """JSON mode without the word "json" in the prompt is refused: models would write white space for ever."""
    if wanted.kind == "json_object" and not any("json" in message.text.lower() for message in messages):
        text = f"'{param}' must contain the word 'json' in some form, to use '{option}' of type 'json_object'."
        raise ApiError(400, text, param=param)


def read_metadata(fields: Fields) -> dict[str, str]:
    """Check `metadata`: at most 16 strings under keys of at most 64 characters."""
    child = fields.child("metadata")
    if child is None:
        return {}
    if len(child.data) > MAX_METADATA:
        message = (
            f"Invalid 'metadata': too many properties. Expected an object with at most {MAX_METADATA} properties, but "
            f"got an object with {len(child.data)} properties instead."
        )
        raise bad_value("metadata", message, "object_above_max_properties")
    for key in child.data:
        if len(check_text("metadata", key)) > 64:
            raise bad_value("metadata", "Invalid 'metadata': a key is longer than 64 characters.")
        if len(check_text(child.name(key), child.data[key])) > 512:
            raise bad_value(child.name(key), f"Invalid '{child.name(key)}': longer than 512 characters.")
    return dict(child.data)


def _read_max_tokens(fields: Fields, model: ModelCard) -> int | None:
    old, new = (fields.integer(key, 1, 2**63 - 1) for key in ("max_tokens", "max_completion_tokens"))
    if old is not None and new is not None:
        message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
        raise bad_value("max_tokens", message, "invalid_parameter_combination")
    wanted, key = (new, "max_completion_tokens") if new is not None else (old, "max_tokens")
    if wanted is not None and wanted > model.max_output_tokens:
        message = (
            f"{key} is too large: {wanted}. This model supports at most {model.max_output_tokens} completion tokens, "
            f"whereas you provided {wanted}."
        )
        raise bad_value(key, message)
    return wanted


def _read_stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    stops = value if isinstance(value, list) else [value]
    if len(stops) > MAX_STOPS:
        message = f"Invalid 'stop': array too long. Expected at most {MAX_STOPS} strings, but got {len(stops)}."
        raise bad_value("stop", message, "array_above_max_length")
    checked = tuple(check_text("stop", item) for item in stops)
    if "" in checked:
        raise bad_value("stop", "Invalid 'stop': an empty string cannot stop a reply.", "empty_string")
    return checked


def _read_stream_options(fields: Fields, stream: bool) -> bool:
    options = fields.child("stream_options")
    if options is None:
        return False
    if not stream:
        raise bad_value("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    options.check_names(["include_usage", "include_obfuscation"])
    options.flag("include_obfuscation")  # padding against traffic analysis: on loopback there is none
    return options.flag("include_usage")

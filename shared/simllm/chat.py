"""The chat request: from a JSON body to a checked, frozen record.

Field names, limits and error texts follow the public Chat Completions reference. What the simulation does not
implement is refused by name, never ignored. No model runs here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from simllm.catalogue import ModelCard, card
from simllm.errors import ApiError, bad_type, bad_value, missing, unsupported, wrong_kind
from simllm.requests import Fields, as_object, check_text
from simllm.schema import ReplyFormat, read_reply_format

ROLES = ("system", "developer", "user", "assistant")
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
]
WITHOUT_EFFECT = ["user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"]
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
}
NOT_IMPLEMENTED = [
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "audio",
    "prediction",
    "reasoning_effort",
    "verbosity",
    "web_search_options",
    "prompt_cache_retention",
]
MAX_CHOICES = 128
MAX_STOPS = 4


@dataclass(frozen=True)
class Message:
    """One turn of a chat; `text` joins the text parts."""

    role: str
    text: str


@dataclass(frozen=True)
class ChatRequest:
    """A valid chat request."""

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

    def prompt_digest(self) -> str:
        """Identifies what the model reads (not how it samples), in 32 hex digits."""
        parts = [self.model.id, *(f"{m.role}\x1f{m.text}" for m in self.messages), repr(self.format)]
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
    fields = Fields(data)
    model = card(fields.text("model"))
    if model.kind != "chat":
        raise wrong_kind(model.id, "/v1/chat/completions", "a chat")
    fields.check_names([*READ, *WITHOUT_EFFECT, *NEUTRAL], NOT_IMPLEMENTED)
    fields.check_neutral(NEUTRAL)
    messages = read_messages(data.get("messages"))
    stream = fields.flag("stream")
    logprobs = fields.flag("logprobs")
    top_logprobs = fields.integer("top_logprobs", 0, 20)
    if top_logprobs is not None and not logprobs:
        raise bad_value("top_logprobs", "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.")
    reply_format = read_reply_format(fields.child("response_format"))
    if reply_format.kind == "json_object" and not any("json" in m.text.lower() for m in messages):
        message = (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        )
        raise ApiError(400, message, param="messages")
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
    )


def read_messages(value: object) -> tuple[Message, ...]:
    """Check the `messages` array."""
    if value is None:
        raise missing("messages")
    if not isinstance(value, list):
        raise bad_type("messages", "an array of objects", value)
    if not value:
        message = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array."
        raise bad_value("messages", message, "empty_array")
    return tuple(_read_message(f"messages[{i}]", item) for i, item in enumerate(value))


def _read_message(name: str, value: object) -> Message:
    fields = as_object(name, value)
    # a reply that is sent back as it came carries these extra fields
    fields.check_names(["role", "content", "name", "refusal", "annotations"], ["tool_calls", "function_call", "audio"])
    role = fields.text("role")
    if role in ("tool", "function"):
        raise unsupported(fields.name("role"), f"this simulation has no tools, so no '{role}' messages")
    fields.one_of("role", ROLES)
    return Message(role, read_content(fields.name("content"), fields.data.get("content")))


def read_content(name: str, value: object, text_types: tuple[str, ...] = ("text",)) -> str:
    """A message's content: a string, or text parts that are joined by line breaks."""
    if value is None:
        raise missing(name)
    if isinstance(value, str):
        return check_text(name, value)
    if not isinstance(value, list):
        raise bad_type(name, "a string or an array of text parts", value)
    texts = []
    for i, item in enumerate(value):
        part = as_object(f"{name}[{i}]", item)
        kind = part.text("type")
        if kind not in text_types:
            raise unsupported(part.name("type"), f"parts of type '{kind}' are not implemented, only {text_types[0]}")
        texts.append(part.text("text"))
    return "\n".join(texts)


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
    return options.flag("include_usage")

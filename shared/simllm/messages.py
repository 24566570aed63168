"""The turns of a chat: roles, text, tool calls and their results.

Checks each message and then the dialogue as a whole: a tool result must answer a call of the message before it, and
every call must be answered. The error texts are those of the real API, spelling included, because clients match on
them. Roles of the retired `functions` interface are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from simllm.errors import ApiError, bad_type, bad_value, missing, unsupported
from simllm.requests import Fields, as_object, check_text
from simllm.tools import ToolCall

ROLES = ("system", "assistant", "user", "tool", "developer")
# a reply that is sent back as it came carries these extra fields
FIELDS = ("role", "content", "name", "refusal", "annotations", "tool_calls", "tool_call_id", "parsed")
_NAME = re.compile(r"[^\s<|\\/>]+")
MAX_CALLS = 128
MAX_CHARACTERS = 1_048_576  # of one text


@dataclass(frozen=True)
class Message:
    """One turn of a chat.

    Attributes:
        role: "system", "developer", "user", "assistant" or "tool".
        text: the text parts, joined; "" for an assistant that only calls tools.
        tool_calls: the calls that an assistant made.
        tool_call_id: the call that a tool message answers.
    """

    role: str
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


def read_messages(value: object) -> tuple[Message, ...]:
    """Check the `messages` array."""
    if value is None:
        raise missing("messages")
    if not isinstance(value, list):
        raise bad_type("messages", "an array of objects", value)
    if not value:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise bad_value("messages", message, "empty_array")
    messages = tuple(_read_message(f"messages[{i}]", item) for i, item in enumerate(value))
    check_dialogue(messages)
    return messages


def check_dialogue(messages: Sequence[Message]) -> None:
    """Tool results answer calls, calls get answered.

    Raises:
        ApiError: 400; its `param` has the dotted form that the real API uses here, e.g. "messages.[2].role".
    """
    calling: Message | None = None
    answered: set[str | None] = set()
    for i, message in enumerate(messages):
        if message.role != "tool":
            _check_answered(calling, answered, f"messages.[{i}].role")
            calling, answered = (message if message.tool_calls else None), set()
            continue
        if calling is None:
            text = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
            raise ApiError(400, text, param=f"messages.[{i}].role")
        where = f"messages.[{i}].tool_call_id"
        if message.tool_call_id not in [call.id for call in calling.tool_calls]:
            text = (
                f"Invalid parameter: 'tool_call_id' of '{message.tool_call_id}' not found in 'tool_calls' of previous "
                "message."
            )
            raise ApiError(400, text, param=where)
        if message.tool_call_id in answered:
            text = f"Invalid parameter: Duplicate value for 'tool_call_id' of '{message.tool_call_id}' in message[{i}]."
            raise ApiError(400, text, param=where)
        answered.add(message.tool_call_id)
    _check_answered(calling, answered, "messages")


def _check_answered(calling: Message | None, answered: set[str | None], param: str) -> None:
    absent = [call.id for call in calling.tool_calls if call.id not in answered] if calling else []
    if absent:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(absent)}"
        )
        raise ApiError(400, text, param=param)


def _read_message(name: str, value: object) -> Message:
    fields = as_object(name, value)
    fields.check_names(FIELDS, ["function_call", "audio"])
    if fields.text("role") == "function":
        raise unsupported(fields.name("role"), "the retired 'functions' interface is not implemented; use 'tools'")
    role = fields.one_of("role", ROLES)
    calls = _read_calls(fields) if role == "assistant" else ()
    name = fields.text("name", "")
    if name and not _NAME.fullmatch(name):
        message = f"Invalid '{fields.name('name')}': string does not match pattern. Expected a string that matches the pattern '^[^\\s<|\\\\/>]+$'."
        raise ApiError(400, message, param=fields.name("name"), code="invalid_value")
    refusal = fields.text("refusal", "")
    if role == "tool":
        call_id = fields.text("tool_call_id")
        return Message(role, read_content(fields.name("content"), fields.data.get("content")), (), call_id)
    if fields.data.get("content") is None and (calls or refusal):
        return Message(role, refusal, calls)
    return Message(role, read_content(fields.name("content"), fields.data.get("content")), calls)


def _read_calls(fields: Fields) -> tuple[ToolCall, ...]:
    value, where = fields.data.get("tool_calls"), fields.name("tool_calls")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise bad_type(where, "an array of objects", value)
    if not value:
        message = (
            f"Invalid '{where}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise bad_value(where, message, "empty_array")
    if len(value) > MAX_CALLS:
        message = (
            f"Invalid '{where}': array too long. Expected an array with maximum length {MAX_CALLS}, but got an array "
            f"with length {len(value)} instead."
        )
        raise bad_value(where, message, "array_above_max_length")
    return tuple(_read_call(as_object(f"{where}[{i}]", item)) for i, item in enumerate(value))


def _read_call(fields: Fields) -> ToolCall:
    fields.check_names(["id", "type", "function", "index"])
    call_id = fields.text("id")
    fields.one_of("type", ["function"])
    function = fields.child("function")
    if function is None:
        raise missing(fields.name("function"))
    # a parsed reply that is sent back carries what the client made of the arguments
    function.check_names(["name", "arguments", "parsed_arguments"])
    return ToolCall(function.text("name"), function.text("arguments"), call_id)


def read_content(name: str, value: object, text_types: tuple[str, ...] = ("text", "refusal")) -> str:
    """A message's content: a string, or text parts that are joined by line breaks."""
    if value is None:
        raise missing(name)
    if isinstance(value, str):
        return _check_length(name, check_text(name, value))
    if not isinstance(value, list):
        raise bad_type(name, "one of a string or an array of objects", value)
    texts = []
    for i, item in enumerate(value):
        part = as_object(f"{name}[{i}]", item)
        kind = part.text("type")
        if kind not in text_types:
            raise unsupported(part.name("type"), f"parts of type '{kind}' are not implemented, only {text_types[0]}")
        key = "refusal" if kind == "refusal" else "text"
        texts.append(_check_length(part.name(key), part.text(key)))
    return "\n".join(texts)


def _check_length(name: str, text: str) -> str:
    if len(text) > MAX_CHARACTERS:
        message = (
            f"Invalid '{name}': string too long. Expected a string with maximum length {MAX_CHARACTERS}, but got a "
            f"string with length {len(text)} instead."
        )
        raise bad_value(name, message, "string_above_max_length")
    return text

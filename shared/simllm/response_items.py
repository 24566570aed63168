"""`input` of the Responses API: items become the turns of a chat.

A string is one user message. An array holds messages, function calls, their outputs and reasoning items; calls in a
row are one assistant turn. Calls and outputs must match by `call_id`. Reasoning items are checked and read past: the
hidden tokens of an earlier turn are not part of the next prompt, as the real API does it.
"""

from __future__ import annotations

from simllm.errors import ApiError, bad_type, bad_value, missing, unsupported
from simllm.messages import Message, read_content
from simllm.requests import Fields, as_object
from simllm.tools import ToolCall

ROLES = ("assistant", "system", "developer", "user")
TYPES = ("message", "function_call", "function_call_output", "reasoning", "item_reference")
TEXTS = ("input_text", "output_text", "refusal")


def read_items(value: object) -> tuple[Message, ...]:
    """Check `input`."""
    if value is None:
        raise missing("input")
    if isinstance(value, str):
        return (Message("user", read_content("input", value)),)
    if not isinstance(value, list):
        raise bad_type("input", "one of a string or an array of objects", value)
    if not value:
        raise bad_value("input", "Invalid 'input': the array is empty. Send at least one item.", "empty_array")
    messages: list[Message] = []
    for i, item in enumerate(value):
        message = _read_item(as_object(f"input[{i}]", item))
        if message is None:
            continue
        if message.tool_calls and messages and messages[-1].role == "assistant":
            before = messages[-1]
            messages[-1] = Message("assistant", before.text, (*before.tool_calls, *message.tool_calls))
        else:
            messages.append(message)
    if not messages:
        raise bad_value("input", "Invalid 'input': it holds reasoning items only. Send at least one message.")
    _check_calls(messages)
    return tuple(messages)


def _check_calls(messages: list[Message]) -> None:
    """Every output answers a call before it, every call gets an output; both exactly once."""
    called: dict[str, bool] = {}
    for message in messages:
        for call in message.tool_calls:
            if call.id in called:
                raise ApiError(400, f"Duplicate function call with call_id {call.id}.", param="input")
            called[call.id] = False
        if message.tool_call_id is not None:
            if message.tool_call_id not in called:
                text = f"No tool call found for function call output with call_id {message.tool_call_id}."
                raise ApiError(400, text, param="input")
            called[message.tool_call_id] = True
    for call_id, answered in called.items():
        if not answered:
            raise ApiError(400, f"No tool output found for function call {call_id}.", param="input")


def _read_item(fields: Fields) -> Message | None:
    kind = fields.one_of("type", TYPES, "message")
    if kind == "item_reference":
        raise _not_kept(fields.text("id"))
    if kind == "reasoning":
        fields.check_names(["type", "id", "summary", "content", "encrypted_content", "status"])
        return None
    if kind == "function_call":
        # a parsed reply that is sent back carries what the client made of the arguments
        fields.check_names(["type", "id", "call_id", "name", "arguments", "status", "parsed_arguments"])
        call = ToolCall(fields.text("name"), fields.text("arguments"), fields.text("call_id"))
        return Message("assistant", "", (call,))
    if kind == "function_call_output":
        fields.check_names(["type", "id", "call_id", "output", "status"])
        output = read_content(fields.name("output"), fields.data.get("output"), TEXTS)
        return Message("tool", output, (), fields.text("call_id"))
    fields.check_names(["type", "role", "content", "id", "status", "phase"])
    role = fields.one_of("role", ROLES)
    return Message(role, read_content(fields.name("content"), fields.data.get("content"), TEXTS))


def _not_kept(item_id: str) -> ApiError:
    if not item_id:
        return unsupported("input", "item references need stored items, and nothing is stored here")
    text = (
        f"Item with id '{item_id}' not found. Items are not persisted when `store` is set to false. Try again with "
        "`store` set to true, or remove this item from your input."
    )
    return ApiError(404, text, param="input")

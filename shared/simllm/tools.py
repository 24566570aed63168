"""Function tools: their definitions, the caller's choice among them, and the calls a model makes.

Field names, limits and error texts follow the public references of Chat Completions (a function nested in the
tool) and Responses (a flat tool). Only function tools exist here; hosted tools are refused by name. What a call
would do is the caller's business: nothing is executed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simllm.errors import ApiError, bad_type, bad_value, missing, unsupported
from simllm.plain_schema import plain_schema
from simllm.requests import Fields, as_object
from simllm.schema import check_name
from simllm.strict_schema import check_schema

MAX_TOOLS = 128
NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True)
class Tool:
    """A function that the model may call.

    Attributes:
        name: what calls name.
        description: what it does, in the caller's words.
        parameters: JSON schema of its arguments, without references and unions.
        raw: the schema as it was sent; None when there was none.
        strict: whether arguments were promised to match the schema.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: dict(NO_PARAMETERS))
    raw: Mapping[str, Any] | None = None
    strict: bool = False


@dataclass(frozen=True)
class Call:
    """A call that a skill plans: the function's name and its arguments as JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True)
class ToolCall(Call):
    """A call that was made, with the id that its result must carry."""

    id: str


@dataclass(frozen=True)
class ToolChoice:
    """mode: "auto", "none" or "required"; names: the tools it is limited to, None for all of them.

    `named` says that the caller forced one function, which the API reports as `finish_reason` "stop".
    """

    mode: str = "auto"
    names: tuple[str, ...] | None = None
    named: bool = False

    def allows(self, tool: Tool) -> bool:
        """Whether the model may call a tool."""
        return self.mode != "none" and (self.names is None or tool.name in self.names)


def read_tools(value: object, *, flat: bool) -> tuple[Tool, ...]:
    """Check `tools`; flat is the form of the Responses API."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise bad_type("tools", "an array of objects", value)
    if not value and not flat:
        message = (
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise bad_value("tools", message, "empty_array")
    if len(value) > MAX_TOOLS:
        message = (
            f"Invalid 'tools': array too long. Expected an array with maximum length {MAX_TOOLS}, but got an array "
            f"with length {len(value)} instead."
        )
        raise bad_value("tools", message, "array_above_max_length")
    tools = tuple(_read_tool(f"tools[{i}]", item, flat) for i, item in enumerate(value))
    names = [tool.name for tool in tools]
    for i, name in enumerate(names):
        if name in names[:i]:
            where = f"tools[{i}].name" if flat else f"tools[{i}].function.name"
            raise bad_value(where, f"Invalid '{where}': two tools are called '{name}'; names must be unique.")
    return tools


def _read_tool(where: str, value: object, flat: bool) -> Tool:
    fields = as_object(where, value)
    kind = fields.text("type")
    if kind != "function":
        raise unsupported(fields.name("type"), f"tools of type '{kind}' are not implemented, only 'function'")
    if flat:
        fields.check_names(["type", "name", "description", "parameters", "strict"])
        return _read_function(fields, strict_by_default=True)
    fields.check_names(["type", "function"])
    inner = fields.child("function")
    if inner is None:
        raise missing(fields.name("function"))
    inner.check_names(["name", "description", "parameters", "strict"])
    return _read_function(inner, strict_by_default=False)


def _read_function(fields: Fields, *, strict_by_default: bool) -> Tool:
    name = check_name(fields, "name")
    description = fields.text("description", "")
    asked = fields.data.get("strict") is not None
    strict = fields.flag("strict", strict_by_default)
    schema = fields.child("parameters")

    def refuse(reason: str) -> ApiError:
        message = f"Invalid schema for function '{name}': {reason}"
        return ApiError(400, message, param=fields.name("parameters"), code="invalid_function_parameters")

    if schema is None:
        return Tool(name, description, strict=strict)
    if "properties" not in schema.data and schema.data.get("type") == "object":
        raise refuse("In context=(), object schema missing properties.")
    if strict and not asked:  # the Responses API is strict by default, where the schema allows it
        try:
            check_schema(schema.data, refuse, strict=True)
        except ApiError:
            strict = False
    check_schema(schema.data, refuse, strict=strict)
    return Tool(name, description, plain_schema(schema.data, refuse), schema.data, strict)


def read_tool_choice(value: object, tools: tuple[Tool, ...], *, flat: bool) -> ToolChoice:
    """Check `tool_choice`: a mode, one named function, or a list of allowed tools."""
    if value is None:
        return ToolChoice()
    if not tools and not (flat and value in ("auto", "none")):
        message = "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
        raise ApiError(400, message, param="tool_choice")
    if isinstance(value, str):
        if value not in ("none", "auto", "required"):
            message = f"Invalid value: '{value}'. Supported values are: 'none', 'auto', and 'required'."
            raise bad_value("tool_choice", message)
        return ToolChoice(value)
    if not isinstance(value, dict):
        raise bad_type("tool_choice", "one of a tool choice object or a string", value)
    fields = Fields(value, "tool_choice.")
    kind = fields.text("type")
    if kind == "function":
        fields.check_names(["type", "name"] if flat else ["type", "function"])
        return ToolChoice("required", (_read_named(fields, tools, "tool_choice", flat),), named=True)
    if kind != "allowed_tools":
        raise unsupported("tool_choice.type", f"'{kind}' is not implemented, only 'function' and 'allowed_tools'")
    fields.check_names(["type", "mode", "tools"] if flat else ["type", "allowed_tools"])
    inner = fields if flat else fields.child("allowed_tools")
    if inner is None:
        raise missing("tool_choice.allowed_tools")
    inner.check_names(["type", "mode", "tools"])
    mode = inner.one_of("mode", ["auto", "required"])
    allowed = inner.data.get("tools")
    if not isinstance(allowed, list) or not allowed:
        raise bad_type(inner.name("tools"), "a non-empty array of objects", allowed)
    named = [as_object(f"{inner.name('tools')}[{i}]", item) for i, item in enumerate(allowed)]
    return ToolChoice(mode, tuple(_read_named(item, tools, "tool_choice", flat) for item in named))


def _read_named(fields: Fields, tools: tuple[Tool, ...], param: str, flat: bool) -> str:
    """The function that {type, name} or {type, function: {name}} names; it must be among the tools."""
    fields.one_of("type", ["function"], "function")
    inner = fields if flat else fields.child("function")
    if inner is None:
        raise missing(fields.name("function"))
    name = inner.text("name")
    if name not in [tool.name for tool in tools]:
        raise ApiError(400, f"Tool choice '{name}' not found in 'tools' parameter.", param=param)
    return name

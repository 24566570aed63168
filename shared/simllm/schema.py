"""`response_format`: what shape the reply must have.

Plain text, any JSON object, or a JSON schema. The rules for schemas stand in `strict_schema`; `plain_schema`
rewrites a valid one for the skill that fills it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simllm.errors import ApiError, bad_value, missing
from simllm.plain_schema import plain_schema
from simllm.requests import Fields
from simllm.strict_schema import check_schema
from simllm.strict_schema import types_of as schema_types

__all__ = ["NAME", "ReplyFormat", "check_name", "read_named_schema", "read_reply_format", "schema_types"]

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True)
class ReplyFormat:
    """The shape asked for.

    Attributes:
        kind: "text", "json_object" or "json_schema".
        name: the schema's name; "" for the other kinds.
        schema: the schema without references and unions, ready to be filled; None for the other kinds.
        raw: the schema as it was sent.
        strict: whether the reply was promised to match the schema.
        description: what the schema is for.
    """

    kind: str = "text"
    name: str = ""
    schema: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] | None = None
    strict: bool = False
    description: str | None = None


def read_reply_format(fields: Fields | None) -> ReplyFormat:
    """Check `response_format` of a chat request."""
    if fields is None:
        return ReplyFormat()
    kind = fields.one_of("type", ["text", "json_object", "json_schema"])
    fields.check_names(["type", "json_schema"])
    if kind != "json_schema":
        return ReplyFormat(kind)
    inner = fields.child("json_schema")
    if inner is None:
        raise missing(fields.name("json_schema"))
    inner.check_names(["name", "schema", "strict", "description"])
    return read_named_schema(inner, "response_format")


def read_named_schema(fields: Fields, param: str) -> ReplyFormat:
    """Check {name, schema, strict?, description?}; `param` is what errors about the schema name."""
    name = check_name(fields, "name")
    strict = fields.flag("strict")
    description = fields.text("description", "") or None
    schema = fields.child("schema")
    if schema is None:
        return ReplyFormat("json_schema", name, {"type": "object"}, None, strict, description)

    def refuse(reason: str) -> ApiError:
        message = f"Invalid schema for response_format '{name}': {reason}"
        return ApiError(400, message, param=param, code="invalid_json_schema")

    check_schema(schema.data, refuse, strict=strict)
    return ReplyFormat("json_schema", name, plain_schema(schema.data, refuse), schema.data, strict, description)


def check_name(fields: Fields, key: str) -> str:
    """The name of a schema or function: letters, digits, underscores and dashes, at most 64."""
    name, where = fields.text(key), fields.name(key)
    if not name:
        message = f"Invalid '{where}': empty string. Expected a string with minimum length 1, but got an empty string instead."
        raise bad_value(where, message, "empty_string")
    if len(name) > 64:
        message = (
            f"Invalid '{where}': string too long. Expected a string with maximum length 64, but got a string with "
            f"length {len(name)} instead."
        )
        raise bad_value(where, message, "string_above_max_length")
    if not NAME.fullmatch(name):
        message = (
            f"Invalid '{where}': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'."
        )
        raise bad_value(where, message)
    return name

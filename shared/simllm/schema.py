"""`response_format`: what shape the reply must have.

Plain text, any JSON object, or a JSON schema. Of JSON Schema the simulation fills objects, arrays and scalars
with `enum`, `const` and a null alternative; any other keyword that would change what is valid is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simllm.errors import ApiError, bad_type
from simllm.requests import Fields

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
NOTES = ("title", "description", "default", "examples", "$schema", "$id", "$comment")
STRUCTURE = ("type", "properties", "required", "additionalProperties", "items", "enum", "const")
LIMITS = ("minimum", "maximum", "minItems", "maxItems")
MAX_DEPTH = 6


@dataclass(frozen=True)
class ReplyFormat:
    """kind: "text", "json_object" or "json_schema" (then with `schema` and its `name`)."""

    kind: str = "text"
    name: str = ""
    schema: Mapping[str, Any] | None = None


def read_reply_format(fields: Fields | None) -> ReplyFormat:
    """Check `response_format`."""
    if fields is None:
        return ReplyFormat()
    fields.check_names(["type", "json_schema"])
    kind = fields.one_of("type", ["text", "json_object", "json_schema"])
    if kind != "json_schema":
        return ReplyFormat(kind)
    inner = fields.child("json_schema")
    if inner is None:
        raise ApiError(
            400,
            "Missing required parameter: 'response_format.json_schema'.",
            param="response_format.json_schema",
            code="missing_required_parameter",
        )
    return read_named_schema(inner)


def read_named_schema(fields: Fields) -> ReplyFormat:
    """Check {name, schema, strict?, description?}."""
    fields.check_names(["name", "schema", "strict", "description", "type"])
    name = fields.text("name")
    fields.flag("strict")
    schema = fields.child("schema")
    if schema is None:
        return ReplyFormat("json_schema", name, {"type": "object"})
    if schema.data.get("type") != "object":
        raise _invalid(name, 'the root must have "type": "object"')
    _check_schema(name, schema.data, "root", 0)
    return ReplyFormat("json_schema", name, schema.data)


def _invalid(name: str, reason: str) -> ApiError:
    message = f"Invalid schema for response_format '{name}': {reason}."
    return ApiError(400, message, param="response_format", code="invalid_json_schema")


def _check_schema(name: str, schema: object, where: str, depth: int) -> None:
    if not isinstance(schema, dict):
        raise bad_type(f"response_format.json_schema.schema ({where})", "an object", schema)
    if depth > MAX_DEPTH:
        raise _invalid(name, f"{where} is nested more than {MAX_DEPTH} levels deep")
    for key in schema:
        if key not in (*STRUCTURE, *NOTES, *LIMITS):
            raise _invalid(name, f"in {where}, '{key}' is not supported by this simulation")
    types = schema_types(schema)
    for kind in types:
        if kind not in TYPES:
            raise _invalid(name, f"in {where}, type {kind!r} is not one of {', '.join(TYPES)}")
    if not types and "enum" not in schema and "const" not in schema:
        raise _invalid(name, f"in {where}, 'type' is missing")
    if not isinstance(schema.get("enum", [0]), list) or not schema.get("enum", [0]):
        raise _invalid(name, f"in {where}, 'enum' must be a non-empty array")
    for key in LIMITS:
        if isinstance(schema.get(key, 0), bool) or not isinstance(schema.get(key, 0), int | float):
            raise _invalid(name, f"in {where}, '{key}' must be a number")
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        raise _invalid(name, f"in {where}, 'properties' must be an object and 'required' an array")
    absent = [str(key) for key in required if key not in properties]
    if absent:
        raise _invalid(name, f"in {where}, 'required' names '{absent[0]}', which is not in 'properties'")
    for key, child in properties.items():
        _check_schema(name, child, f"{where}.{key}", depth + 1)
    if "array" in types:
        _check_schema(name, schema.get("items", {"type": "string"}), f"{where}[]", depth + 1)


def schema_types(schema: Mapping[str, Any]) -> tuple[Any, ...]:
    """The allowed types of a schema node; empty when it does not say."""
    kind = schema.get("type", ())
    return tuple(kind) if isinstance(kind, list) else (kind,) if kind else ()

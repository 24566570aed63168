"""What a JSON schema must look like: the rules of Structured Outputs, in the real API's words.

Every schema is checked for shape (types exist, objects have properties, arrays have items). With `strict` the rules
of the Structured Outputs guide are added: every property required, no additional properties, no composition keyword
but `anyOf`. "In context=(...)" is the path to the offending node, as the API prints it. Error texts are the API's
as quoted in public bug reports; the few rules that are this simulation's own say so. Nothing is filled in here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from simllm.errors import ApiError

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
NOTES = ("title", "description", "$schema", "$id", "$comment", "$defs", "definitions")
COMMON = ("type", "enum", "const", "anyOf", "$ref")
BY_TYPE = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems"),
    "string": ("pattern", "format"),
    "number": ("multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}
STRICT_KEYWORDS = frozenset((*NOTES, *COMMON, *(key for keys in BY_TYPE.values() for key in keys)))
UNIONS = ("anyOf", "oneOf", "allOf")
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems")
MAX_DEPTH = 10  # levels of nesting, the documented limit
MAX_ENUM_VALUES = 1000  # of all enums together, the documented limit
MAX_PROPERTIES = 300  # this simulation's own; the real API takes 5,000
MAX_ITEMS = 100  # this simulation's own: the longest `minItems` that it fills
MAX_NUMBER = 1e15  # this simulation's own: bounds beyond it leave the range of exact floats

Refuse = Callable[[str], ApiError]
Path = tuple[str, ...]


def check_schema(schema: Mapping[str, Any], refuse: Refuse, *, strict: bool) -> None:
    """Check a whole schema.

    Args:
        schema: the root; it must describe an object.
        refuse: makes the error from a reason, e.g. "In context=(), array schema missing items."
        strict: also apply the rules of Structured Outputs.

    Raises:
        ApiError: the first rule that is broken.
    """
    kind = schema.get("type")
    if kind != "object":
        raise refuse(f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'.")
    try:
        json.dumps(schema, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError):
        raise refuse("it holds half of a UTF-16 surrogate pair, or is nested too deeply.") from None
    _Checker(schema, refuse, strict).check(schema, (), 0)


def find_definition(root: Mapping[str, Any], ref: object) -> Any:
    """The definition that a `$ref` such as "#/$defs/Step" or "#" names; None when there is none."""
    if ref == "#":
        return root
    start, _, name = ref.rpartition("/") if isinstance(ref, str) else ("", "", "")
    if start not in ("#/$defs", "#/definitions"):
        return None
    return root.get(start[2:], {}).get(name.replace("~1", "/").replace("~0", "~"))


def types_of(schema: Mapping[str, Any]) -> tuple[Any, ...]:
    """The allowed types of a schema node; empty when it does not say."""
    kind = schema.get("type", ())
    return tuple(kind) if isinstance(kind, list) else (kind,) if kind else ()


class _Checker:
    def __init__(self, root: Mapping[str, Any], refuse: Refuse, strict: bool) -> None:
        self._root = root
        self._refuse = refuse
        self._strict = strict
        self._properties = 0
        self._enum_values = 0

    def check(self, node: object, path: Path, depth: int) -> None:
        """Check one node and everything under it."""
        if not isinstance(node, dict):
            raise self._refuse(f"{_shown(node)} is not of type 'object'.")
        if depth > MAX_DEPTH:
            raise self._refuse(f"Exceeded max nesting depth of {MAX_DEPTH} levels.")
        if "$ref" in node:
            self._check_ref(node, path)
        self._check_definitions(node, path, depth)
        if self._strict:
            self._check_keywords(node, path)
        self._check_values(node, path)
        for key in UNIONS:
            variants = node.get(key, [{}])
            if not isinstance(variants, list) or not variants:
                raise self._refuse(f"{_shown(variants)} is not a non-empty array, as '{key}' must be.")
            for i, variant in enumerate(variants if key in node else ()):
                self.check(variant, (*path, key, str(i)), depth + 1)
        types = types_of(node)
        if self._strict and not types and not any(key in node for key in ("anyOf", "$ref", "enum", "const")):
            raise self._wrong(path, "schema must have a 'type' key.")
        if "object" in types or "properties" in node:
            self._check_object(node, path, depth)
        if "array" in types and "items" not in node:
            raise self._wrong(path, "array schema missing items.")
        if "items" in node:
            self.check(node["items"], (*path, "items"), depth + 1)

    def _check_definitions(self, node: Mapping[str, Any], path: Path, depth: int) -> None:
        for name in ("$defs", "definitions"):
            definitions = node.get(name, {})
            if not isinstance(definitions, dict):
                raise self._refuse(f"{_shown(definitions)} is not of type 'object'.")
            for key, child in definitions.items():
                self.check(child, (*path, name, key), depth)

    def _check_ref(self, node: Mapping[str, Any], path: Path) -> None:
        target = find_definition(self._root, node["$ref"])
        if not isinstance(target, dict):
            raise self._wrong(path, "reference can only point to definitions defined at the top level of the schema.")
        others = sorted(set(node) - {"$ref"})
        if self._strict and others:
            raise self._refuse(f"context={path}, $ref cannot have keywords {{{', '.join(map(repr, others))}}}.")

    def _check_keywords(self, node: Mapping[str, Any], path: Path) -> None:
        for key in node:
            if key not in STRICT_KEYWORDS:
                raise self._wrong(path, f"'{key}' is not permitted.")

    def _check_values(self, node: Mapping[str, Any], path: Path) -> None:
        self._enum_values += len(node["enum"]) if isinstance(node.get("enum"), list) else 0
        if self._strict and self._enum_values > MAX_ENUM_VALUES:
            raise self._refuse(f"{self._enum_values} enum values exceed the limit of {MAX_ENUM_VALUES}.")
        kinds = node.get("type", [])
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            if not isinstance(kind, str) or kind not in TYPES:
                raise self._refuse(f"{_shown(kind)} is not valid under any of the given schemas.")
        enum = node.get("enum", [0])
        if not isinstance(enum, list) or not enum:
            raise self._refuse(f"{_shown(enum)} is not a non-empty array, as 'enum' must be.")
        for key in BOUNDS:
            value = node.get(key, 0)
            if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > MAX_NUMBER:
                raise self._refuse(f"{_shown(value)} is not of type 'number'.")
        for key in ("minItems", "maxItems"):
            if not isinstance(node.get(key, 0), int) or node.get(key, 0) < 0:
                raise self._refuse(f"{_shown(node[key])} is not of type 'integer'.")
        if node.get("minItems", 0) > MAX_ITEMS:
            raise self._wrong(path, f"this simulation fills arrays of at most {MAX_ITEMS} items ('minItems').")

    def _check_object(self, node: Mapping[str, Any], path: Path, depth: int) -> None:
        properties, required = node.get("properties", {}), node.get("required", [])
        if not isinstance(properties, dict):
            raise self._refuse(f"{_shown(properties)} is not of type 'object'.")
        if not isinstance(required, list) or not all(isinstance(key, str) for key in required):
            raise self._refuse(f"{_shown(required)} is not of type 'array'.")
        self._properties += len(properties)
        if self._properties > MAX_PROPERTIES:
            raise self._refuse(f"this simulation fills at most {MAX_PROPERTIES} properties.")
        if self._strict:
            if node.get("additionalProperties") is not False:
                raise self._wrong(path, "'additionalProperties' is required to be supplied and to be false.")
            absent = [key for key in properties if key not in required]
            if absent:
                raise self._wrong(
                    path,
                    "'required' is required to be supplied and to be an array including every key in properties. "
                    f"Missing '{absent[0]}'.",
                )
        extra = [key for key in required if key not in properties]
        if extra:
            raise self._wrong(
                path,
                "'required' is required to be supplied and to be an array including every key in properties. "
                f"Extra required key '{extra[0]}' supplied.",
            )
        for key, child in properties.items():
            self.check(child, (*path, "properties", key), depth + 1)

    def _wrong(self, path: Path, reason: str) -> ApiError:
        return self._refuse(f"In context={path}, {reason}")


def _shown(value: object) -> str:
    """A value as the API prints it, at most 80 characters long."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."

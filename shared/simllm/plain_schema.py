"""Rewrite a checked JSON schema so that a filler needs no references and no unions.

References are replaced by what they name, `allOf` by its parts together, a missing type by the one that the other
keywords suggest, `anyOf` and `oneOf` by their first variant (plus "null" where a variant allows that). All variants
stand beside it under `VARIANTS`: who knows the text may settle on another one (`skills.variants`). A recursive schema
is unrolled a few levels and then ended where it may end: an empty array, a null; a node that stands inside itself is
marked with `AGAIN`. The result allows a subset of what the original allows, so whatever fits it fits the original too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simllm.strict_schema import Refuse, find_definition, types_of

VARIANTS = "x-variants"  # the plain variants of a union, where it has several
AGAIN = "x-again"  # this node stands inside a node of the same definition
ATTEMPTS = ((4, 8, 300), (1, 8, 300), (1, 1, 1_000))
"""(times a definition may stand inside itself, variants kept of a union, nodes): the first that suffices; this simulation's own."""


class _TooMany(Exception):
    """The schema has too many nodes when it is written out."""


class _Endless(Exception):
    """A definition needs itself and there is no way around it."""


def plain_schema(schema: Mapping[str, Any], refuse: Refuse) -> dict[str, Any]:
    """The same schema without `$ref`, `$defs`, `anyOf`, `oneOf` and `allOf`.

    Args:
        schema: a schema that `check_schema` accepted.
        refuse: makes the error from a reason.

    Raises:
        ApiError: the schema can only describe endless objects, or it unrolls into too many nodes.
    """
    for unrolled, variants, most in ATTEMPTS:
        try:
            return _Plain(schema, unrolled, variants, most).node(schema, ())
        except _Endless as error:
            raise refuse(f"reference {error.args[0]!r} is recursive without an end: no value can satisfy it.") from None
        except _TooMany:
            continue
    raise refuse(f"with its references written out it has more than {ATTEMPTS[-1][-1]} nodes.")


class _Plain:
    def __init__(self, root: Mapping[str, Any], unrolled: int, variants: int, most_nodes: int) -> None:
        self._root = root
        self._unrolled = unrolled
        self._variants = variants
        self._most_nodes = most_nodes
        self._nodes = 0

    def node(self, schema: Mapping[str, Any], open_refs: tuple[str, ...]) -> dict[str, Any]:
        self._nodes += 1
        if self._nodes > self._most_nodes:
            raise _TooMany
        schema = {key: value for key, value in schema.items() if key not in ("$defs", "definitions")}
        if "$ref" in schema:
            ref = str(schema.pop("$ref"))
            if open_refs.count(ref) >= self._unrolled or len(open_refs) > 30:
                raise _Endless(ref)
            again = {AGAIN: True} if ref == "#" or ref in open_refs else {}
            return self.node({**find_definition(self._root, ref), **schema}, (*open_refs, ref)) | again
        for part in schema.pop("allOf", ()):
            schema |= self.node(part, open_refs)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._union(schema, schema.pop(key), open_refs)
        if not types_of(schema) and "enum" not in schema and "const" not in schema:
            schema["type"] = "object" if "properties" in schema else "array" if "items" in schema else "string"
        if "object" in types_of(schema):
            children = schema.get("properties", {})
            required = set(schema.get("required", ()))
            kept = {key: self._child(child, key in required, open_refs) for key, child in children.items()}
            schema["properties"] = {key: child for key, child in kept.items() if child is not None}
        if "array" in types_of(schema):
            try:
                schema["items"] = self.node(schema["items"], open_refs)
            except _Endless:
                if schema.get("minItems", 0) > 0:
                    raise
                schema |= {"items": {"type": "null"}, "maxItems": 0}
        return schema

    def _child(self, child: Mapping[str, Any], required: bool, open_refs: tuple[str, ...]) -> dict[str, Any] | None:
        try:
            return self.node(child, open_refs)
        except _Endless:
            if required:
                raise
            return None  # an optional property may be left out

    def _union(
        self, schema: dict[str, Any], variants: Sequence[Mapping[str, Any]], open_refs: tuple[str, ...]
    ) -> dict[str, Any]:
        given = [variant for variant in variants if types_of(variant) != ("null",)]
        nullable = len(given) < len(variants)
        options = [value for variant in given for value in _values(variant)]
        if len(given) > 1 and all(_values(variant) for variant in given):
            return {**schema, "enum": options + [None] * (nullable and None not in options)}
        made: list[dict[str, Any]] = []
        endless: _Endless | None = None
        for variant in given:
            if len(made) == self._variants:
                break
            try:
                chosen = {**schema, **self.node(variant, open_refs)}
            except _Endless as error:
                endless = error
                continue
            if nullable and "enum" not in chosen and "const" not in chosen:
                chosen["type"] = [*dict.fromkeys((*types_of(chosen), "null"))]
            made.append(chosen)
        if made:
            return {**made[0], VARIANTS: made} if len(made) > 1 else made[0]
        if endless is not None and not nullable:
            raise endless
        return {**schema, "type": "null"}


def _values(variant: Mapping[str, Any]) -> list[Any]:
    """What a variant that only lists values allows."""
    return [variant["const"]] if "const" in variant else list(variant.get("enum", ()))

"""The fields of a JSON schema, as a model reads them: what kind of value each one wants, and what it is called.

A schema is flattened into leaves (an array is one leaf); names and descriptions become word stems. Words that many
schemas share ("from", "max", "id") carry a meaning of their own here; no particular schema is known. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from simllm.schema import schema_types
from simllm.skills.field_words import (
    COMMON,
    DATE_WORDS,
    GENERAL,
    IDENTITY,
    LEADS,
    PERSON_WORDS,
    PLACE_WORDS,
    SAYS_NOTHING,
    TEXT_WORDS,
    TIME_WORDS,
)
from simllm.skills.words import stem

Path = tuple[str, ...]
Schema = Mapping[str, Any]

_SPLIT = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_EXAMPLE = re.compile(
    r"(?:e\.?g\.?,?|such as|like|for example|example:?)\s*:?\s*[\"'`“]?((?:[\w@#./:+-]+(?: (?=[\dA-Z]))?)+)", re.I
)


@dataclass(frozen=True)
class Field:
    """One leaf of a schema.

    Attributes:
        path: property names from the root.
        schema: the leaf's own schema.
        required: whether a value must be there whenever its parents are.
        topic: stems of what the whole object is about, for fields with general names ("name", "id").
    """

    path: Path
    schema: Schema
    required: bool
    topic: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The innermost property name."""
        return self.path[-1]

    @property
    def description(self) -> str:
        return str(self.schema.get("description", ""))

    @property
    def label(self) -> str:
        """The name in words, with its parents."""
        return " ".join(" ".join(split_name(part)) for part in self.path)

    @cached_property
    def own(self) -> frozenset[str]:
        """Words of the name, lower-cased."""
        return frozenset(split_name(self.name))

    @cached_property
    def stems(self) -> frozenset[str]:
        """Stems of the name's words, without those that say nothing."""
        return frozenset(stem(word) for word in self.own if word not in COMMON and word not in ("id", "number", "only"))

    @cached_property
    def parents(self) -> frozenset[str]:
        """Stems of the enclosing names; of the topic where the name itself is general."""
        if len(self.path) == 1:
            return self.topic if self.own <= GENERAL else frozenset()
        return frozenset(stem(word) for part in self.path[:-1] for word in split_name(part))

    @cached_property
    def about(self) -> frozenset[str]:
        """Stems of the description."""
        words = re.findall(r"[a-z]+", _EXAMPLE.sub(" ", self.description).lower())
        return frozenset(stem(word) for word in words if word not in COMMON)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Words that name the value: of the name, of its parents, and of the object where the name itself is general."""
        own = [w for w in split_name(self.name) if w not in COMMON and w not in SAYS_NOTHING and len(w) > 1]
        above = [w for part in self.path[:-1] for w in split_name(part) if w not in COMMON]
        if self.own <= GENERAL:
            above += sorted(self.topic - {stem(w) for w in own})
        return tuple(dict.fromkeys((*own, *above)))

    @cached_property
    def described(self) -> tuple[str, ...]:
        """Content words of the description that the name does not have."""
        said = re.findall(r"[a-z]+", _EXAMPLE.sub(" ", self.description).lower())
        return tuple(w for w in dict.fromkeys(said) if w not in COMMON and w not in self.own and len(w) > 2)

    @property
    def types(self) -> tuple[Any, ...]:
        return schema_types(self.schema)

    @property
    def kind(self) -> str:
        """ "enum", "const", "boolean", "number", "integer", "array", "object", "null" or "string"."""
        if "const" in self.schema or "enum" in self.schema:
            return "const" if "const" in self.schema else "enum"
        return next((kind for kind in self.types if kind != "null"), "null")

    @property
    def nullable(self) -> bool:
        return "null" in self.types or None in self.schema.get("enum", ())

    @cached_property
    def wants(self) -> str:
        """For strings: "date", "time", "date-time", "month", "email", "url", "phone", "ip", "path", "identity", "text" or "open"."""
        given, words = self.schema.get("format"), self.own
        described = self.description.lower()
        if given in ("date", "time", "date-time", "email"):
            return str(given)
        if given in ("uri", "url", "uri-reference") or words & {"url", "uri", "link", "website"}:
            return "url"
        if given in ("ipv4", "ipv6") or "ip" in words:
            return "ip"
        if given == "uuid":
            return "identity"
        if "pattern" in self.schema:
            shape = str(self.schema["pattern"])
            if re.search(r"T\\?[\[(\\]", shape):
                return "date-time"
            return (
                "time"
                if re.search(r"\]\s*:\s*\[|\d:\\d|\}:\\", shape)
                else "date"
                if shape.count("-") >= 2 and "{4}" in shape and shape.lstrip("^").startswith(("\\d{4}-", "[0-9]{4}-"))
                else "identity"
            )
        if "email" in words or "mail" in words:
            return "email"
        if words & {"phone", "mobile", "telephone", "fax"}:
            return "phone"
        if "yyyy-mm-dd" in described:
            return "date-time" if "hh" in described.replace("yyyy-mm-dd", "") else "date"
        if "hh:mm" in described:
            return "time"
        if words & {"datetime", "timestamp"} or "iso 8601" in described and "date" not in words:
            return "date-time"
        if words & {"month"} and not words & PERSON_WORDS:
            return "month"
        if words & DATE_WORDS and not words & (PLACE_WORDS | TEXT_WORDS | IDENTITY):
            return "date"
        if words & TIME_WORDS and not words & {"zone"}:
            return "time"
        if words & {"path", "file", "directory", "folder"}:
            return "path"
        if (
            words & IDENTITY
            or any(w.endswith(("code", "number")) for w in words)
            or re.search(r"\b(?:id|identifier|code)\b", described)
        ):
            return "identity"
        return "text" if words & TEXT_WORDS else "open"

    @cached_property
    def example(self) -> str:
        """A value that the description shows; ""."""
        found = _EXAMPLE.search(self.description)
        examples = self.schema.get("examples")
        if isinstance(examples, list) and examples:
            return str(examples[0])
        return found.group(1).strip(" .") if found else ""

    @cached_property
    def leads(self) -> frozenset[str]:
        """Prepositions that lead to this field's value."""
        return frozenset(word for words, cues in LEADS if words & self.own for word in cues)


def split_name(name: str) -> list[str]:
    """ "maxPrice_eur" as ["max", "price", "eur"]."""
    return [part.lower() for part in _SPLIT.findall(name)]


def shape(text: str) -> str:
    """The form of an identifier: "AB-123" is "A-9"."""
    return re.sub(r"\d+", "9", re.sub(r"[A-Z]+", "A", re.sub(r"[a-z]+", "a", text)))


def leaves(
    schema: Schema, path: Path = (), *, required: bool = True, topic: frozenset[str] = frozenset()
) -> Iterator[Field]:
    """All leaves of an object schema in order; nested objects are entered, arrays are not."""
    wanted = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        needed = required and name in wanted
        if "object" in schema_types(child) and child.get("properties") and "enum" not in child and "const" not in child:
            yield from leaves(child, (*path, name), required=needed, topic=topic)
        else:
            yield Field((*path, name), child, needed, topic)

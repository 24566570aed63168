"""Trees and chains: schemas that contain themselves, filled from outlines and from sentences such as "A contains B and C".

An outline is told by indentation, bullets, "#" and section numbers; a chain ("value", "next") takes the members of a
list in order. A schema reaches only as deep as it was unrolled (`plain_schema`); what lies deeper is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from simllm.plain_schema import AGAIN
from simllm.schema import schema_types
from simllm.skills.arguments import build, fill
from simllm.skills.evidence import Evidence
from simllm.skills.fields import Path, Schema, leaves
from simllm.skills.units import sentences

_LINE = re.compile(r"^(?P<indent>[ \t]*)(?P<mark>[-*+•]\s+|#{1,6}\s+|\d{1,3}(?:\.\d{1,3})*[.)]?\s+)?(?P<text>\S.*)$")
_CONTAINS = re.compile(
    r"^(?:the |an? |in )?(?P<parent>[^\W_][\w'’& -]{0,40}?)\s*(?:,? (?:has|have|contains?|includes?|comprises?|consists? of|"
    r"is (?:divided|split) into|holds|leads|manages|owns|there are) |:\s)(?:[\w -]{1,40}:\s*)?(?P<list>[^:;]+)$",
    re.I,
)
_MEMBER = re.compile(r"\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|as well as)\s+")
_ARTICLE = re.compile(r"^(?:the|an?|both|also)\s+", re.I)
_AFTER_NAME = re.compile(r"\s*(?:\(.*\)|:.*|\s[–-]\s.*)$")


@dataclass
class Branch:
    """A line of an outline with what stands under it; `marked` where it has a bullet or a number."""

    text: str
    marked: bool = True
    children: list[Branch] = field(default_factory=list)


def read_trees(schema: Schema, text: str, today: date | None) -> dict[Path, Any]:
    """The values of all trees in a schema, by path; () for the whole object. Empty where text or schema has none."""
    places: dict[Path, Any] = {(key,): child for key, child in schema.get("properties", {}).items()}
    if kids(schema):
        places = {(): schema}
    trees = {path: node for path, node in places.items() if kids(node) or kids(node.get("items", {}))}
    branches = (_outline(text) or _told(text)) if trees else []
    values: dict[Path, Any] = {}
    for path, node in trees.items() if branches else ():
        if kids(node):
            top = branches[0] if len(branches) == 1 else Branch("", False, branches)
            values[path] = _grown(node, top, today)
        elif not is_again(schema, node.get("items", {})):
            only = branches[0] if len(branches) == 1 and not branches[0].marked else None
            members = only.children if only is not None and only.children else branches
            values[path] = [_grown(node["items"], b, today) for b in members[: node.get("maxItems", len(members))]]
    return values


def kids(node: Mapping[str, Any]) -> str:
    """The property that lists further nodes of the same kind; "" where there is none."""
    children = node.get("properties", {}).items()
    return next((key for key, child in children if is_again(node, child.get("items", {}))), "")


def is_again(node: Mapping[str, Any], inner: Mapping[str, Any]) -> bool:
    """Whether an inner node is of the same kind: the same definition, or one with the same properties."""
    return (
        bool(inner.get(AGAIN))
        or bool(inner.get("properties"))
        and inner["properties"].keys() == node["properties"].keys()
    )


def link(node: Mapping[str, Any]) -> str:
    """The property that holds one further node of the same kind or null, such as "next"; ""."""
    children = node.get("properties", {}).items()
    return next((key for key, child in children if is_again(node, child) and "null" in schema_types(child)), "")


def read_chain(schema: Schema, text: str, today: date | None) -> dict[str, Any] | None:
    """A chain of single values in the order of the text; None where schema or text has none."""
    own = [key for key in schema.get("properties", {}) if key != link(schema)]
    if not link(schema) or len(own) != 1 or len(schema["properties"]) != 2:
        return None
    several = {"type": "array", "items": schema["properties"][own[0]]}
    found = fill(
        {"type": "object", "properties": {own[0]: several}, "required": own}, Evidence(text, today, None), eager=True
    )
    values = found.values.get((own[0],))
    return _linked(schema, own[0], values) if values else None


def _linked(schema: Schema, key: str, values: list[Any]) -> dict[str, Any]:
    made: dict[str, Any] = dict.fromkeys(schema["properties"])
    made[key] = values[0]
    ahead = link(schema)
    if ahead and len(values) > 1:
        made[ahead] = _linked(schema["properties"][ahead], key, values[1:])
    return made


def _grown(node: Schema, branch: Branch, today: date | None) -> dict[str, Any]:
    """A branch as an object."""
    below = kids(node)
    own = {**node, "properties": {key: child for key, child in node["properties"].items() if key != below}}
    made = fill(own, Evidence(branch.text, today, None), eager=True)
    named = next((f for f in leaves(own) if f.kind == "string" and f.wants in ("open", "text", "identity")), None)
    if named is not None:
        made.values[named.path] = _AFTER_NAME.sub("", branch.text).strip(" .") or branch.text
    if below:
        most = node["properties"][below].get("maxItems", len(branch.children))
        made.values[(below,)] = [
            _grown(node["properties"][below]["items"], child, today) for child in branch.children[:most]
        ]
    return build(node, made.values, branch.text, empty=True)


def _outline(text: str) -> list[Branch]:
    """The lines as a forest, by how far each is set in; empty where nothing is set in."""
    roots: list[Branch] = []
    open_: list[tuple[int, Branch]] = []
    nested = False
    for line in text.split("\n"):
        found = _LINE.match(line)
        if not found:
            continue
        mark = (found["mark"] or "").strip()
        level = mark.count("#") or (len(re.findall(r"\d+", mark)) if mark[:1].isdigit() else bool(mark))
        depth = 2 * len(found["indent"].expandtabs(4)) + level
        branch = Branch(found["text"].strip().rstrip(":"), bool(mark) or bool(found["indent"]))
        while open_ and open_[-1][0] >= depth:
            open_.pop()
        (open_[-1][1].children if open_ else roots).append(branch)
        nested = nested or bool(open_) and branch.marked
        open_.append((depth, branch))
    return roots if nested else []


def _told(text: str) -> list[Branch]:
    """What sentences say of what contains what, as a forest."""
    known: dict[str, Branch] = {}
    inner: set[str] = set()
    for sentence in (part for line in text.split("\n") for part in sentences(line)):
        found = _CONTAINS.match(sentence.strip(" ."))
        members = [_bare(m) for m in _MEMBER.split(found["list"])] if found else []
        if not found or len(members) < 2 and ":" in sentence:
            continue
        parent = _bare(found["parent"])
        branch = known.setdefault(parent.lower(), Branch(parent))
        for member in members:
            if member and member.lower() != parent.lower() and member.lower() not in inner:
                inner.add(member.lower())
                branch.children.append(known.setdefault(member.lower(), Branch(member)))
    return [branch for name, branch in known.items() if name not in inner]


def _bare(name: str) -> str:
    return _ARTICLE.sub("", name.strip())

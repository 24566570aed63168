"""Read YAML that somebody else wrote: plain mappings, lists and scalars, with the line on which each key stands.

Anchors, aliases and tags are refused, and so is deep nesting: a corpus needs none of them, and they are what makes a
small YAML text expand without bound ("billion laughs") or build something other than data. A key given twice is
refused as well, because YAML readers silently keep the last one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from coursekit.corpus.problems import Problems

MAX_DEPTH = 20
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where libyaml is there
_REFUSED = {yaml.AnchorToken: "an anchor (&)", yaml.AliasToken: "an alias (*)", yaml.TagToken: "a tag (!)"}
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


@dataclass(frozen=True)
class Parsed:
    """A YAML mapping and, for each of its own keys, the line of the file on which it stands, counted from 1."""

    values: dict[str, Any]
    lines: dict[str, int]


def parse_mapping(
    text: str, path: Path, problems: Problems, *, first_line: int = 1, what: str = "YAML"
) -> Parsed | None:
    """Parse `text`, which begins on `first_line` of `path`; None with a problem noted when it is no plain mapping."""
    try:
        if not _is_plain(text, path, problems, first_line):
            return None
        loader = _LOADER(text)
        try:
            root = loader.get_single_node()
            if not isinstance(root, yaml.MappingNode):
                problems.add(path, first_line, f"{what} is not a mapping", "write one 'key: value' per line")
                return None
            if not _keys_are_single_names(root, path, problems, first_line):
                return None
            values = loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or "cannot be parsed"
        line = first_line + (mark.line if mark else 0)
        problems.add(path, line, f"bad YAML: {why}", "quote the value or repair the syntax")
        return None
    except (ValueError, OverflowError) as error:  # a date such as 2025-02-30, a number of 5,000 digits
        problems.add(path, first_line, f"bad YAML: a value cannot be read ({error})", "correct or quote the value")
        return None
    return Parsed(values, {key.value: first_line + key.start_mark.line for key, _ in root.value})


def _is_plain(text: str, path: Path, problems: Problems, first_line: int) -> bool:
    depth = 0
    for token in yaml.scan(text, Loader=_LOADER):
        line = first_line + token.start_mark.line
        if type(token) in _REFUSED:
            problems.add(path, line, f"{_REFUSED[type(token)]} is not allowed", "write the value itself, or quote it")
            return False
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > MAX_DEPTH:
            problems.add(path, line, f"nested more than {MAX_DEPTH} deep", "make it flatter")
            return False
    return True


def _keys_are_single_names(root: yaml.MappingNode, path: Path, problems: Problems, first_line: int) -> bool:
    """Whether no mapping of the tree gives a key twice, and the outer one has only text keys."""
    before = len(problems.found)
    nodes: list[yaml.Node] = [root]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        if not isinstance(node, yaml.MappingNode):
            continue
        seen: set[str] = set()
        for key, value in node.value:
            nodes.append(value)
            line = first_line + key.start_mark.line
            if not isinstance(key, yaml.ScalarNode) or (node is root and key.tag != "tag:yaml.org,2002:str"):
                problems.add(path, line, "a key is not text", "quote the key or correct the syntax")
            elif key.value in seen:
                problems.add(path, line, f"{key.value} is given twice", "keep one of the two")
            else:
                seen.add(key.value)
    return len(problems.found) == before

"""A fault script in a file, YAML or JSON.

    faults:                       # what every client meets
      - {kind: server_error, status: 503, times: 2}
      - {kind: slow, delay_ms: 300, probability: 0.1, seed: 7}
    clients:                      # and further faults for clients by API key
      key-of-the-batch-job:
        - {kind: rate_limit, retry_after_ms: 500}
    quota: {requests_per_minute: 60, tokens_per_minute: 20000, burst: 5}

Every part may be left out. An error names the file, the line and what to write instead. PyYAML reads both formats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from simllm.errors import ScriptError
from simllm.faults.fault import Fault
from simllm.quota import Quota

T = TypeVar("T")


@dataclass(frozen=True)
class Script:
    """A server's starting script."""

    faults: tuple[Fault, ...] = ()
    clients: dict[str, list[Fault]] = field(default_factory=dict)
    quota: Quota | None = None


def load_script(path: Path) -> Script:
    """Read a script.

    Raises:
        ScriptError: the file is missing, is no YAML, or holds something else; says file, line and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text.expandtabs() if path.suffix == ".json" else text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise ScriptError(f"{path}: cannot be read ({error.strerror}); give the path of a YAML or JSON file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else f"{path}"
        problem = getattr(error, "problem", None) or str(error)
        raise ScriptError(f"{where}: not valid YAML or JSON ({problem}); mend the line") from None
    if root is None:
        raise ScriptError(f"{path}: the file is empty; write 'faults:' and a list of faults")
    parts = _items(root, path, "a script", ("faults", "clients", "quota"))
    clients = {}
    for key, node in _items(parts["clients"], path, "clients").items() if "clients" in parts else ():
        clients[key] = _faults(node, path)
    quota = _built(parts["quota"], path, Quota.from_dict) if "quota" in parts else None
    return Script(tuple(_faults(parts["faults"], path)) if "faults" in parts else (), clients, quota)


def _items(node: yaml.Node, path: Path, what: str, allowed: tuple[str, ...] | None = None) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise _wrong(path, node, f"{what} must be a mapping" + (f" with {', '.join(allowed)}" if allowed else ""))
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _wrong(path, key, f"{what} has a key that is no text; write a name")
        if allowed and key.value not in allowed:
            raise _wrong(path, key, f"unknown key {key.value!r}; the keys are {', '.join(allowed)}")
        if key.value in found:
            raise _wrong(path, key, f"the key {key.value!r} comes twice; put both parts under one")
        found[key.value] = value
    return found


def _faults(node: yaml.Node, path: Path) -> list[Fault]:
    if not isinstance(node, yaml.SequenceNode):
        raise _wrong(path, node, "faults must be a list, each with a 'kind'")
    return [_built(item, path, Fault.from_dict) for item in node.value]


def _built(node: yaml.Node, path: Path, build: Callable[[Any], T]) -> T:
    if isinstance(node, yaml.MappingNode):
        _items(node, path, "it")
    try:
        return build(yaml.SafeLoader("").construct_document(node))
    except (ValueError, yaml.YAMLError) as error:
        raise _wrong(path, node, str(error)) from None


def _wrong(path: Path, node: yaml.Node, message: str) -> ScriptError:
    return ScriptError(f"{path}:{node.start_mark.line + 1}: {message}")

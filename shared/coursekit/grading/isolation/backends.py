"""Which kinds of isolation this machine offers, and which one a grading run uses."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from coursekit.errors import GradingError
from coursekit.grading.isolation import syscalls

Name = Literal["docker", "podman", "bwrap", "namespaces", "plain"]

_PROBE_SECONDS = 20
_PROBE = """
import os, sys
from coursekit.grading.isolation import enclosure
from coursekit.grading.isolation.cage import visible_paths
enclosure.enter(sys.argv[1], visible_paths(), 8)
sys.exit(0 if os.getpid() == 1 else 1)
"""


@dataclass(frozen=True)
class Backend:
    """One kind of isolation. `depth` is what each learner's process does on top of the cage around it."""

    name: Name
    depth: str
    summary: str

    @property
    def is_container(self) -> bool:
        return self.name in ("docker", "podman")

    @property
    def is_isolated(self) -> bool:
        return self.name != "plain"


BACKENDS: dict[str, Backend] = {
    "docker": Backend("docker", "", "a container per submission: no network, read-only, bounded memory and processes"),
    "podman": Backend("podman", "", "a container per submission: no network, read-only, bounded memory and processes"),
    "bwrap": Backend("bwrap", "nested", "bubblewrap, and namespaces of its own for each submission"),
    "namespaces": Backend("namespaces", "full", "Linux namespaces of its own for each submission"),
    "plain": Backend("plain", "", "NOT ISOLATED: learners' code runs with your rights; only for people you trust"),
}
AUTO = "auto"


def choose(wanted: str = AUTO) -> Backend:
    """The named backend, or the first in the order of `BACKENDS` that works here.

    Raises:
        GradingError: no such backend, or it does not work here; says why.
    """
    if wanted == AUTO:
        return next(backend for backend in BACKENDS.values() if not unusable(backend.name))
    if wanted not in BACKENDS:
        raise GradingError(f"no isolation {wanted!r}. There are: {AUTO}, {', '.join(BACKENDS)}.")
    problem = unusable(wanted)
    if problem:
        raise GradingError(f"the isolation {wanted!r} does not work here: {problem}")
    return BACKENDS[wanted]


@functools.cache
def unusable(name: str) -> str:
    """Why a backend cannot be used on this machine; empty when it can."""
    return _PROBES[name]()


def _container(program: str) -> Callable[[], str]:
    def probe() -> str:
        if shutil.which(program) is None:
            return f"there is no program {program} on PATH"
        done = _run([program, "info", "--format", "{{.ID}}"])
        return "" if done is not None and done.returncode == 0 else f"`{program} info` fails: no engine is running"

    return probe


def _bubblewrap() -> str:
    program = shutil.which("bwrap")
    if program is None:
        return "there is no program bwrap on PATH; install the package bubblewrap"
    if not syscalls.is_linux():
        return "namespaces exist on Linux only"
    from coursekit.grading.isolation.cage import bubblewrap_prefix, visible_paths

    return _enclosed([*bubblewrap_prefix(visible_paths()), sys.executable], "nested")


def _namespaces() -> str:
    if not syscalls.is_linux():
        return "namespaces exist on Linux only"
    return _enclosed([sys.executable], "full")


def _enclosed(python: list[str], depth: str) -> str:
    done = _run([*python, "-P", "-c", _PROBE, depth])
    if done is None:
        return "the probe did not end in time"
    if done.returncode == 0:
        return ""
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return said[-1] if said else f"the probe ended with exit code {done.returncode}"


def _run(command: list[str]) -> subprocess.CompletedProcess[bytes] | None:
    try:
        return subprocess.run(
            command, capture_output=True, timeout=_PROBE_SECONDS, stdin=subprocess.DEVNULL, env=dict(os.environ)
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


_PROBES: dict[str, Callable[[], str]] = {
    "docker": _container("docker"),
    "podman": _container("podman"),
    "bwrap": _bubblewrap,
    "namespaces": _namespaces,
    "plain": lambda: "",
}

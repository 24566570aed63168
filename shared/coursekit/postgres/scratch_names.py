"""Names of scratch databases: `course_<label>_<pid>_<host><random>`, readable, unique, and telling whose they are.

`<host>` is six hex digits of this host and its pid namespace, because a pid says nothing about a process elsewhere
(two containers on one server, a sandboxed grader). Pure names: no database is touched.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket

import psutil

_PATTERN = re.compile(r"course_[a-z0-9_]+_(?P<pid>\d+)_(?P<host>[0-9a-f]{6})[0-9a-f]{6}")
_LONGEST_LABEL = 32  # Postgres cuts names at 63 bytes


def new_name(label: str) -> str:
    """A name that no other call returns, of any process on any host; other characters in `label` become `_`."""
    clean = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[:_LONGEST_LABEL].strip("_") or "scratch"
    return f"course_{clean}_{os.getpid()}_{_host()}{secrets.token_hex(3)}"


def is_scratch(name: str) -> bool:
    """Whether `name` is one of `new_name`'s."""
    return _PATTERN.fullmatch(name) is not None


def is_leftover(name: str) -> bool:
    """Whether `name` is a scratch database of a process of this host that no longer runs."""
    match = _PATTERN.fullmatch(name)
    return match is not None and match["host"] == _host() and not _runs(int(match["pid"]))


def _host() -> str:
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux: one namespace
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()}:{namespace}".encode()).hexdigest()[:6]


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True

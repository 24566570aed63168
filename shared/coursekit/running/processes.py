"""Find and end every process of one notebook's run: its worker, its kernel, and whatever the notebook started.

Each run's processes carry a token in their environment, which children inherit, also those that became daemons.
Children that were started with another environment are found by their session (worker and kernel lead one each), and
what a forked kernel forked in turn as a descendant of the server that it was forked from: their environment, as others
can read it, is that server's. Nothing is ended by its name.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

TOKEN_VARIABLE = "COURSE_RUN_TOKEN"

kernel_sessions: set[int] = set()
"""The kernels that this very process has had forked."""

_ROUNDS = 100
_ROUND_SECONDS = 0.05


def new_token() -> str:
    """A value for TOKEN_VARIABLE that no other run has."""
    return secrets.token_hex(12)


def end_all(token: str, sessions: Iterable[int] = (), fork_server: int | None = None) -> bool:
    """Kill them, round by round because a killed parent's children may still appear; True when none is left.

    Never the caller itself. `sessions` adds those whose leader may be gone already. `fork_server` and its descendants
    belong to them too; it is killed last, because on Linux orphans become its children.
    """
    known = set(sessions)
    for _ in range(_ROUNDS):
        found = _processes_of(token, known, fork_server)
        if not found:
            return True
        for process in found:
            if process.pid != fork_server or len(found) == 1:
                with suppress(psutil.Error):
                    process.kill()
        time.sleep(_ROUND_SECONDS)  # not psutil's wait: it would take the exit code that subprocess waits for
    return not _processes_of(token, known, fork_server)


def _processes_of(token: str, sessions: set[int], fork_server: int | None) -> list[psutil.Process]:
    """The living processes with this token or in one of these sessions, to which the ones they lead are added."""
    living = [process for process in psutil.process_iter() if _is_alive(process)]
    marked = {process.pid for process in living if _has_token(process, token)}
    if fork_server is not None:
        marked |= _with_descendants(fork_server)
    sessions |= {pid for pid in marked if _session(pid) == pid}
    return [
        process
        for process in living
        if process.pid != os.getpid() and (process.pid in marked or _session(process.pid) in sessions)
    ]


def _with_descendants(pid: int) -> set[int]:
    try:
        return {pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))}
    except psutil.Error:
        return set()


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _has_token(process: psutil.Process, token: str) -> bool:
    try:
        return bool(process.environ().get(TOKEN_VARIABLE) == token)
    except (psutil.Error, OSError):
        return False  # it has ended meanwhile, or belongs to someone else


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None

"""The learner's process as the judge sees it: started, spoken to, ended, and asked why it ended."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from coursekit import messages
from coursekit.grading.judging.peer import Peer
from coursekit.zygote import Zygote, ZygoteDied

_SETUP_SECONDS = 30.0
_REASON_SECONDS = 2.0

_REASONS = {
    "memory": "it used more memory than a submission may ({limit} MB)",
    "processes": "it started more processes than a submission may ({limit})",
}


class CannotIsolate(Exception):
    """The learner's process could not be set up: the machine's fault, not the learner's."""


@dataclass(frozen=True)
class Setting:
    """What every learner's process of one submission is started with."""

    depth: str
    own_network: bool
    paths: list[str]
    home: str
    ports: list[int]
    limits: dict[str, Any]
    environ: dict[str, str]


class LearnerProcess:
    """One started learner's process, with its warden above it."""

    def __init__(self, zygote: Zygote, setting: Setting, namespace: Mapping[str, Any]) -> None:
        self._zygote = zygote
        self._limits = setting.limits
        ours, theirs = socket.socketpair()
        self._status, status = socket.socketpair()
        self.listeners: list[socket.socket] = []
        try:
            self._pid = zygote.spawn(
                "coursekit.grading.isolation.warden:main",
                {
                    "entry": "coursekit.grading.judging.learner:main",
                    "args": {"output_kb": setting.limits["output_kb"]},
                    "depth": setting.depth,
                    "own_network": setting.own_network,
                    "paths": setting.paths,
                    "home": setting.home,
                    "ports": setting.ports,
                    "limits": setting.limits,
                },
                [theirs.fileno(), status.fileno()],
                environ=setting.environ,
            )
        except ZygoteDied as error:
            raise CannotIsolate(str(error)) from None
        finally:
            theirs.close()
            status.close()
        if setting.own_network:
            self._take_ports(ours)
        self.peer = Peer(ours, namespace, trusts_other=False, keeps_own_classes=False)
        self._sock = ours

    def _take_ports(self, ours: socket.socket) -> None:
        self._status.settimeout(_SETUP_SECONDS)
        try:
            message, files = messages.receive(self._status, takes_files=True)
        except (EOFError, OSError, messages.BadMessage) as error:
            message, files = {"detail": f"no word from it: {error}"}, []
        if "ports" not in message:
            ours.close()
            self._zygote.kill(self._pid)
            raise CannotIsolate(str(message.get("detail")))
        self.listeners = [socket.socket(fileno=file) for file in files]

    def why_gone(self) -> str:
        """Why it ended, in words; for a process that does not answer any more."""
        self._status.settimeout(_REASON_SECONDS)
        try:
            message, _ = messages.receive(self._status)
        except (OSError, EOFError, messages.BadMessage):
            return "its process ended"
        ended, detail = str(message.get("ended")), message.get("detail")
        if ended in _REASONS:
            limit = self._limits["memory_mb" if ended == "memory" else "processes"]
            return _REASONS[ended].format(limit=limit)
        if isinstance(detail, int) and detail < 0:
            return f"its process was ended by signal {-detail}"
        return f"its process ended with exit code {detail}"

    def end(self) -> None:
        """End it and everything that it started."""
        self._zygote.kill(self._pid)
        self._sock.close()
        self._status.close()
        try:
            self._zygote.wait(self._pid, 10.0)
            self._zygote.forget(self._pid)
        except ZygoteDied:
            pass


SINGLE_THREADED = {
    "MPLBACKEND": "agg",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}  # pictures into files, no pools


def learner_environ(root: str, home: str, extra: Mapping[str, str]) -> dict[str, str]:
    """All of the learner's environment: nothing of the instructor's."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": home,
        "IPYTHONDIR": f"{home}/.ipython",
        "COURSE_ROOT": root,
        "COURSE_STATE": f"{home}/.course",
        "COURSE_WORKSPACE": f"{home}/workspace",
        "COURSE_MODE": "grade",
        **SINGLE_THREADED,
        "PYTHONDONTWRITEBYTECODE": "1",
        "SSL_CERT_DIR": "/nonexistent",  # every new openai client would load all certificates: 40 ms, for no network
        **extra,
    }

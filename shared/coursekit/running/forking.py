"""The run's fork server, as the runner sees it: started when it is first needed, ended with the run.

Its children do not exec, so their environment, as others can read it, is the one that the server was started with. It
carries a token of its own: at the run's end everything that was forked in it is found by that token and ended. Until
then a notebook's processes are found by their sessions, and on Linux as descendants of the notebook's own server.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from coursekit.running import processes as running_processes
from coursekit.running.kernel_server import PRELOAD
from coursekit.settings import Settings
from coursekit.zygote import Zygote, ZygoteDied

NOT_INHERITED = ("NBGRADER_EXECUTION", "JPY_PARENT_PID", "JPY_SESSION_NAME", "PYTHONSTARTUP")


class Forks:
    """Gives each notebook a fork server. A failure is remembered in `problem`, and kernels start the plain way."""

    def __init__(self, settings: Settings) -> None:
        self.token = running_processes.new_token()
        self.problem: str | None = None
        self._settings = settings
        self._zygote: Zygote | None = None

    def serve(self, theirs: socket.socket) -> int | None:
        """Fork a server that listens to the other end of `theirs`; its pid, or None if there is none."""
        if self.problem is not None:
            return None
        try:
            if self._zygote is None:
                self._zygote = Zygote.start(PRELOAD, environ=self._environment(os.environ))
            return self._zygote.spawn(
                "coursekit.running.kernel_server:serve", {}, (theirs.fileno(),),
                environ=self._environment(os.environ), cwd=str(self._settings.root),
            )  # fmt: skip
        except ZygoteDied as error:
            self.problem = f"kernels are started the slow way: {error}"
            return None

    def exit_code(self, pid: int) -> int | None:
        """How this notebook's server ended; None while it runs, or when nobody knows."""
        with suppress(ZygoteDied):
            return self._zygote.wait(pid, 0.5) if self._zygote is not None else None
        return None

    def close(self) -> None:
        """End the server, and everything that was forked in this run."""
        if self._zygote is not None:
            self._zygote.close()
            running_processes.end_all(self.token)

    def _environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        environment = {name: value for name, value in ours.items() if name not in NOT_INHERITED}
        # matplotlib reads its backend at import; without this, kernels would set it too late
        environment.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        return environment | {
            "COURSE_MODE": "run",
            "COURSE_ROOT": str(self._settings.root),
            running_processes.TOKEN_VARIABLE: self.token,
        }

"""One notebook on its way: start its worker, read its reports, end it in time, and say how it went."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from coursekit.running import processes as running_processes
from coursekit.running.forking import NOT_INHERITED, Forks
from coursekit.running.plan import Plan
from coursekit.running.records import CellFailure, RunResult, Status
from coursekit.running.worker import START_TIMEOUT_SECONDS, Job
from coursekit.settings import Settings

START_LIMIT_SECONDS = START_TIMEOUT_SECONDS + 60  # importing papermill comes before it, and machines can be busy
HTML_LIMIT_SECONDS = 120
END_LIMIT_SECONDS = 30  # between the last cell and the worker's end: the kernel shuts down, the notebook is written

_EXIT_SECONDS = 5
_LOG_CHARACTERS = 1_500


class RunningJob:
    """A worker process and what it has reported so far; made and used by one thread."""

    def __init__(
        self, plan: Plan, settings: Settings, database_url: str | None, html: bool, forks: Forks | None = None
    ) -> None:
        self.plan = plan
        self.database_url = database_url
        self.cells_done = 0
        self.warnings: list[str] = []
        self._html = html
        self._forks = forks
        self._fork_server: int | None = None
        self._fork_server_exit: int | None = None
        self._token = running_processes.new_token()
        self._index: int | None = None
        self._verdict: dict[str, Any] | None = None
        self._pending = b""
        self._started = time.monotonic()
        self._timed_out = False
        self.deadline = self._started + START_LIMIT_SECONDS
        plan.prepare_folder()
        self._private = _private_folder()
        try:
            self._start(self._environment(settings))
        except BaseException:
            shutil.rmtree(self._private, ignore_errors=True)
            raise

    def _start(self, environment: Mapping[str, str]) -> None:
        self.events, write_end = os.pipe()
        os.set_blocking(self.events, False)
        job = Job(
            notebook=str(self.plan.notebook),
            partial=str(self.plan.partial),
            partial_html=str(self.plan.partial_html) if self._html else None,
            folder=str(self.plan.folder),
            events=write_end,
        )
        workers, servers = socket.socketpair()
        if self._forks is not None:
            job = replace(job, kernels=workers.fileno(), forks_token=self._forks.token)
        try:
            with open(self._log, "wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "coursekit.running.worker", job.to_json()],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=self.plan.folder,
                    env=environment,
                    pass_fds=[write_end] if job.kernels is None else [write_end, job.kernels],
                    start_new_session=True,  # Ctrl-C in the terminal reaches the parent only, which decides
                )
        except BaseException:
            os.close(self.events)
            raise
        finally:
            os.close(write_end)
            workers.close()
        self._sessions = {self._process.pid}
        with servers:
            if self._forks is not None:  # the first one waits for the run's imports, while the worker does its own
                self._fork_server = self._forks.serve(servers)

    @property
    def _log(self) -> Path:
        return self._private / "worker.log"

    def _environment(self, settings: Settings) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        environment |= {
            "COURSE_MODE": "run",
            "COURSE_ROOT": str(settings.root),
            "COURSE_STATE": str(settings.state_dir),
            "COURSE_WORKSPACE": str(self.plan.workspace),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]),
            # nobody's startup scripts and history; connection files and sockets that go away with the run
            "IPYTHONDIR": str(self._private / "ipython"),
            "JUPYTER_RUNTIME_DIR": str(self._private),
            running_processes.TOKEN_VARIABLE: self._token,
        }
        environment.pop("COURSE_DATABASE_READY", None)
        if self.database_url is not None:
            environment |= {"DATABASE_URL": self.database_url, "COURSE_DATABASE_READY": "1"}
        return environment

    def read(self) -> bool:
        """Take in what the worker has reported; False when it has ended."""
        try:
            chunk = os.read(self.events, 1 << 16)
        except BlockingIOError:
            return True
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        return bool(chunk)

    def _take(self, report: Mapping[str, Any]) -> None:
        match report["kind"]:
            case "ready":
                self.deadline = time.monotonic() + self.plan.time_limit_seconds
                if report["kernel"] is not None:
                    self._sessions.add(report["kernel"])
            case "kernel":
                self._sessions.add(report["pid"])
            case "cell":
                self._index = report["index"]
            case "cell-done":
                self.cells_done += 1
                if self.cells_done == self.plan.cells_total:
                    self.deadline = time.monotonic() + END_LIMIT_SECONDS
            case "verdict":
                self._verdict = dict(report)
                self.deadline = time.monotonic() + (HTML_LIMIT_SECONDS if self._html else END_LIMIT_SECONDS)
            case "html":
                self.warnings.append(report["problem"])

    def time_out(self) -> None:
        """Its time is over: end it. `read` then returns False, and `finish` tells the rest."""
        self._timed_out = self._verdict is None
        if not self._timed_out:
            self.warnings.append(
                "no web page: it was not ready in time" if self._html else "its process did not end by itself"
            )
        running_processes.end_all(self._token, self._sessions, self._fork_server)

    def finish(self, interrupted: bool = False) -> RunResult:
        """End whatever is left of the run, publish its outputs and say how it went.

        An interrupted run publishes nothing: the outputs of the run before it stay.
        """
        if not (interrupted or self._timed_out):
            with suppress(subprocess.TimeoutExpired):  # it has closed its pipe and is about to end by itself
                self._process.wait(timeout=_EXIT_SECONDS)
        died = self._verdict is not None and self._verdict["status"] == "kernel-died"
        if died and self._forks is not None and self._fork_server is not None:
            self._fork_server_exit = self._forks.exit_code(self._fork_server)
        if not running_processes.end_all(self._token, self._sessions, self._fork_server):
            self.warnings.append("some processes of this notebook could not be ended")
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        os.close(self.events)
        seconds = time.monotonic() - self._started
        try:
            status, message, failure = self._outcome(interrupted)
            output, html = (None, None) if interrupted else self._publish()
        finally:
            for leftover in (self.plan.partial, self.plan.partial_html):
                leftover.unlink(missing_ok=True)
            shutil.rmtree(self._private, ignore_errors=True)
        return RunResult(
            self.plan.module, self.plan.notebook, status, seconds, self.cells_done, self.plan.cells_total,
            failure, message, output, html,
        )  # fmt: skip

    def _outcome(self, interrupted: bool) -> tuple[Status, str, CellFailure | None]:
        if interrupted:
            return "interrupted", "stopped before it had finished", None
        if self._verdict is not None:
            return self._judged(self._verdict)
        if self._timed_out and self.cells_done == self.plan.cells_total:
            return "timeout", f"its kernel did not stop within {END_LIMIT_SECONDS} s after the last cell", None
        if self._timed_out and self._index is not None:
            message = f"its time limit of {self.plan.time_limit_seconds:g} s (course.yml: time_limit_seconds) was over"
            return "timeout", message, self._current_cell("Timeout", message)
        if self._timed_out:
            return "timeout", f"the kernel did not start within {START_LIMIT_SECONDS} s. {self._log_tail()}", None
        message = (
            f"the process that runs the notebook ended: {_ended(self._process.returncode)}. {self._log_tail()}".strip()
        )
        return "kernel-died", message, self._current_cell("Worker died", message)

    def _judged(self, verdict: Mapping[str, Any]) -> tuple[Status, str, CellFailure | None]:
        status: Status = verdict["status"]
        message: str = verdict["message"]
        if status == "kernel-died":
            if self._fork_server_exit and self._index is not None:  # the last cell did it, even if it ended well
                message += f", and so did the process that it was forked from: {_ended(self._fork_server_exit)}"
                return status, message, self._cell_failure(self._index, None, "Kernel died", message, None, ())
            return status, message, self._current_cell("Kernel died", message)
        details = verdict.get("failure")
        if details is None:
            return status, message if status == "ok" else f"{message} {self._log_tail()}".strip(), None
        return status, message, self._cell_failure(**details)

    def _current_cell(self, error: str, message: str) -> CellFailure | None:
        if self._index is None or self.cells_done == self.plan.cells_total:
            return None
        return self._cell_failure(self._index, None, error, message, None, ())

    def _cell_failure(
        self, index: int, execution_count: int | None, error: str, message: str, line: int | None, traceback: Any
    ) -> CellFailure:
        source = self.plan.sources[index] if index < len(self.plan.sources) else ""
        return CellFailure(index + 1, execution_count, source, error, message, line, tuple(traceback))

    def _publish(self) -> tuple[Path | None, Path | None]:
        if not self.plan.partial.exists():
            return None, None
        os.replace(self.plan.partial, self.plan.output)
        if not self.plan.partial_html.exists():
            self.plan.html.unlink(missing_ok=True)  # a page of an earlier run would not match the notebook
            return self.plan.output, None
        os.replace(self.plan.partial_html, self.plan.html)
        return self.plan.output, self.plan.html

    def _log_tail(self) -> str:
        try:
            text = self._log.read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""
        return f"Its log ends with: {text[-_LOG_CHARACTERS:]}" if text else ""


def _private_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="course-run-")
    if len(folder) > 80:  # too long for the kernel's sockets
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="course-run-", dir="/tmp")
    return Path(folder)


def _ended(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"

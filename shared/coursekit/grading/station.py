"""One worker's place to grade at: a cage to fork learners from, a process to fork judges from, a Postgres of its own.

`Station.grade` takes one submission's bytes and returns a `Grade`; it writes to no gradebook and no course folder, so the
same code runs in a thread of `course grade` and on a machine of a cluster. Whatever a submission does, the next one finds
everything as new.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from coursekit import manifest, messages, settings
from coursekit.errors import GradingError
from coursekit.grading import staging
from coursekit.grading.isolation import cage
from coursekit.grading.isolation.backends import Backend
from coursekit.grading.judging.process import SINGLE_THREADED
from coursekit.grading.results import CheckGrade, Finding, Grade
from coursekit.zygote import Zygote, ZygoteDied

JUDGE_PRELOAD = (
    *cage.PRELOAD,
    "coursekit.grading.judging.judge",
    "nbgrader.preprocessors",
    "simllm.app",
    "simllm.server",
    "uvicorn",
)
_SPARE_SECONDS = 40.0  # a judge's own time beside the submission's: starting, rebuilding, writing the result
_ATTEMPTS = 2


@dataclass(frozen=True)
class Submitted:
    """One submission as it travels: the file's bytes, or why there are none; `only`: the checks to run, None for all."""

    student: str
    data: bytes | None
    reason: str | None = None
    only: frozenset[str] | None = None


class JudgeSource:
    """The process from which judges are forked; shared by the stations of one process."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._lock = threading.Lock()
        self._zygote: Zygote | None = None
        self._closed = False

    def prepare(self) -> None:
        """Start it now, so that the first judge need not wait; an error shows when that one is spawned."""
        with self._lock, suppress(GradingError):
            self._started()

    def _started(self) -> Zygote:
        if self._closed:
            raise GradingError("grading has been stopped.")
        if self._zygote is None:
            try:
                self._zygote = Zygote.start(JUDGE_PRELOAD, environ=self._environ)
            except ZygoteDied as error:
                raise GradingError(f"the process that judges are started from cannot be had: {error}") from None
        return self._zygote

    def spawn(self, job: dict[str, Any], files: list[int], environ: dict[str, str]) -> int:
        """Fork a judge; returns its pid. A source that has died is started again."""
        with self._lock:
            for _ in range(_ATTEMPTS):
                zygote = self._started()
                try:
                    return zygote.spawn(
                        "coursekit.grading.judging.judge:main", job, files, environ={**self._environ, **environ}
                    )
                except ZygoteDied:
                    zygote.close()
                    self._zygote = None
        raise GradingError("the process that judges are started from ends again and again; run `course doctor`.")

    def end(self, pid: int) -> None:
        """End a judge and all that it started."""
        with self._lock, suppress(ZygoteDied):
            if self._zygote is not None:
                self._zygote.kill(pid)
                self._zygote.wait(pid, 10.0)
                self._zygote.forget(pid)

    def said(self) -> str:
        """The last lines that judges wrote to stderr."""
        with self._lock:
            return "" if self._zygote is None else self._zygote.said()

    def close(self) -> None:
        """End it with every judge, also those at work; no further one can be started."""
        with self._lock:
            self._closed = True
            if self._zygote is not None:
                self._zygote.close()
                self._zygote = None


class Station:
    """Use as a context manager, from one thread.

    Args:
        where, course, module: what is graded.
        backend: how learners' processes are isolated.
        judges: the process that judges are forked from.
    """

    def __init__(
        self,
        where: settings.Settings,
        course: manifest.Manifest,
        module: manifest.Module,
        backend: Backend,
        judges: JudgeSource,
    ) -> None:
        self._where, self._course, self._module = where, course, module
        self._backend, self._judges = backend, judges
        self._cage: Zygote | None = None
        self._cage_paths: list[str] = []
        self._stage = staging.prepare(where, course, module)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._close_cage)
            self._private = Path(stack.enter_context(_private_folder()))
            self._server = None
            if self._module.database:
                from coursekit.grading.databases.grading_server import GradingServer

                limits = self._course.grading.limits
                server = GradingServer(self._where.state_dir / "cache", disk_mb=limits.disk_mb, memory_mb=1024)
                self._server = stack.enter_context(server)
            self._start_both()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start_both(self) -> None:
        """Start the two processes to fork from, side by side once there are the caches that the cage may only read."""
        starting = threading.Thread(target=self._judges.prepare, daemon=True)
        starting.start()
        if not any(_matplotlib_cache(self._where).iterdir()):
            starting.join()
        self._open_cage(self._paths())
        starting.join()

    def grade(self, submitted: Submitted) -> Grade:
        """Grade one submission.

        Raises:
            GradingError: this machine cannot grade at all.
        """
        started = time.monotonic()
        if submitted.data is None:
            return self._rejected(submitted, str(submitted.reason), (), started)
        answer: dict[str, Any] = {}
        for _ in range(_ATTEMPTS):
            with self._database() as database, self._home() as home:
                answer = self._judge(submitted.data, submitted.only, database, home)
            if "gone" not in answer:
                break
        if "failure" in answer:
            raise GradingError(f"{answer['failure']}. Choose another isolation with --isolation.")
        findings = tuple(Finding(kind, text, cell) for kind, text, cell in answer.get("findings", []))
        error = answer.get("error") or answer.get("gone")
        if error:
            return self._rejected(submitted, str(error), findings, started)
        checks = tuple(
            CheckGrade(check["id"], check["points"], check["max"], check["message"], check["weaker"])
            for check in answer["checks"]
        )
        return Grade(
            submitted.student,
            self._module.id,
            checks,
            None,
            findings,
            answer["notebook"],
            time.monotonic() - started,
            self._backend.name,
        )

    def _rejected(self, submitted: Submitted, why: str, findings: tuple[Finding, ...], started: float) -> Grade:
        seconds = time.monotonic() - started
        return Grade(submitted.student, self._module.id, (), why, findings, None, seconds, self._backend.name)

    # ── one judge ─────────────────────────────────────────────────────────────────────────────────────────────

    def _judge(
        self, data: bytes, only: frozenset[str] | None, database: dict[str, str] | None, home: str
    ) -> dict[str, Any]:
        file = self._private / "submission.ipynb"
        file.write_bytes(data)
        limits = self._course.grading.limits
        paths = self._paths()
        job = {
            "submission": str(file),
            "source": str(self._where.solution(self._module.id)),
            "execute": self._course.grading.execute,
            "only": None if only is None else sorted(only),
            "limits": limits.model_dump(),
            "models": bool(self._course.models),
            "database": database,
            "stage": str(self._stage),
            "depth": self._backend.depth,
            "own_network": self._backend.is_isolated,
            "paths": paths,
            "home": home,
        }
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                control = self._open_cage(paths)
                environ = self._environ(database)
                pid = self._judges.spawn(job, [theirs.fileno(), control.sock.fileno()], environ)
            ours.settimeout(limits.notebook_seconds + _SPARE_SECONDS)
            try:
                answer, _ = messages.receive(ours)
                return dict(answer)
            except TimeoutError:
                self._close_cage()  # its control socket may be in the middle of a message
                return {"gone": f"judging it took more than {limits.notebook_seconds + _SPARE_SECONDS:g} s"}
            except (EOFError, OSError, messages.BadMessage):
                self._close_cage()
                said = self._judges.said()
                return {"gone": f"the judge's process ended, which is rarely the submission's fault. {said}".strip()}
            finally:
                self._judges.end(pid)
                if self._backend.is_container:
                    self._close_cage()

    def _environ(self, database: dict[str, str] | None) -> dict[str, str]:
        workspace = self._private / "workspace"
        shutil.rmtree(workspace, ignore_errors=True)
        environ = {"COURSE_WORKSPACE": str(workspace), "IPYTHONDIR": str(self._private / "ipython")}
        if database is not None:
            environ |= {"DATABASE_URL": database["judge"], "COURSE_DATABASE_READY": "1"}
        return environ

    @contextmanager
    def _database(self) -> Iterator[dict[str, str] | None]:
        if self._server is None:
            yield None
            return
        with self._server.submission() as urls:
            yield {"judge": urls.judge, "learner": urls.learner}

    @contextmanager
    def _home(self) -> Iterator[str]:
        """The folder of a learner's process that has no file system of its own."""
        if self._backend.name != "plain":
            yield cage.home_for(self._backend, self._private)
            return
        with tempfile.TemporaryDirectory(dir=self._private, prefix="home-", ignore_cleanup_errors=True) as folder:
            yield folder

    # ── the cage ──────────────────────────────────────────────────────────────────────────────────────────────

    def _paths(self) -> list[str]:
        extra = [self._stage, _matplotlib_cache(self._where)]
        if self._course.corpus:
            extra.append(self._where.root / self._course.corpus)
        if self._server is not None:
            extra.append(self._server.socket_dir)
        return cage.visible_paths(*extra)

    def _open_cage(self, paths: list[str]) -> Zygote:
        if self._cage is not None and (paths != self._cage_paths or not self._cage.is_alive()):
            self._close_cage()
        if self._cage is None:
            try:
                run_dir = self._private / "run"
                run_dir.mkdir(mode=0o711, exist_ok=True)
                limits = self._course.grading.limits
                self._cage = cage.start(self._backend, paths, _cage_environ(self._where), limits, run_dir)
            except ZygoteDied as error:
                raise GradingError(f"the isolation {self._backend.name!r} cannot be set up: {error}") from None
            self._cage_paths = paths
        return self._cage

    def _close_cage(self) -> None:
        if self._cage is not None:
            self._cage.close()
            self._cage = None


_FOLDER = "course-station-"


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder of this process's own; what killed processes have left of theirs is removed first."""
    for leftover in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        owner = leftover.name.removeprefix(_FOLDER).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(leftover, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-", ignore_cleanup_errors=True)


def judge_environ(where: settings.Settings) -> dict[str, str]:
    """The environment that judges run in: the instructor's, settled on this course."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "JPY_"))}
    environ.pop("DATABASE_URL", None)
    environ.pop("SSL_CERT_FILE", None)
    return {
        **environ,
        "COURSE_ROOT": str(where.root),
        "COURSE_STATE": str(where.state_dir),
        "COURSE_MODE": "grade",
        **SINGLE_THREADED,
        "MPLCONFIGDIR": str(_matplotlib_cache(where)),
        "SSL_CERT_DIR": "/nonexistent",  # every new openai client would load all certificates: 40 ms, for no network
    }


def _matplotlib_cache(where: settings.Settings) -> Path:
    """Where matplotlib keeps its list of fonts, which takes seconds to make."""
    folder = where.state_dir / "cache" / "matplotlib"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _cage_environ(where: settings.Settings) -> dict[str, str]:
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "PYTHONPATH": os.pathsep.join(cage.package_folders()),
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
        **SINGLE_THREADED,
        "MPLCONFIGDIR": str(_matplotlib_cache(where)),
        "PYTHONDONTWRITEBYTECODE": "1",
    }

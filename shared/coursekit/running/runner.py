"""Execute notebooks with papermill, several at once, each in a process of its own: what `course run` does.

Where things are: `running_plan` (which notebooks, limits, folders), `running_job` (one notebook, seen from here),
`running_worker` and `running_engine` (inside its process), `running_forking` (what kernels are forked from),
`running_processes` (ending everything), `running_report` (progress and tables). This file is the loop over them. It
prints nothing and leaves nothing behind: no process, no database, no half-written output, whether the run ends well,
is interrupted or breaks.
"""

from __future__ import annotations

import fcntl
import importlib.util
import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from coursekit import manifest as manifest_module
from coursekit import settings as settings_module
from coursekit.errors import DatabaseError, RunError
from coursekit.manifest import Manifest
from coursekit.running import plan as running_plan
from coursekit.running.forking import Forks
from coursekit.running.job import RunningJob
from coursekit.running.plan import Plan
from coursekit.running.records import CellFailure, Event, EventKind, RunResult, Status
from coursekit.settings import Settings

__all__ = ["CellFailure", "Event", "EventKind", "RunResult", "Status", "run"]

_TICK_SECONDS = 0.2


def run(
    targets: Sequence[str | Path] = (),
    *,
    manifest: Manifest | None = None,
    settings: Settings | None = None,
    workers: int | None = None,
    time_limit_seconds: float | None = None,
    html: bool = False,
    zygote: bool = True,
    on_event: Callable[[Event], None] = lambda event: None,
) -> list[RunResult]:
    """Execute notebooks into `<state>/runs/<module>/<module>.ipynb`.

    Args:
        targets: module ids or unique beginnings of one (their notebooks in solutions/), or paths of notebooks;
            none means every module of course.yml.
        workers: how many run at once (default: `grading.workers` of course.yml).
        time_limit_seconds: for each notebook, instead of the module's own limit in course.yml.
        html: also write a web page beside each executed notebook.
        zygote: fork the kernels from one process that has everything imported, instead of starting each by itself.
        on_event: called in this thread for everything that happens.

    Returns:
        One result per notebook, in the order of the targets. After Ctrl-C, SIGTERM or SIGHUP: those that had
        finished, and `interrupted` for the others.

    Raises:
        RunError: papermill or ipykernel is not installed, or another run is executing one of the modules.
        ManifestError: course.yml is invalid, or a target is not in it.
        DatabaseError: there is no Postgres to make scratch databases on.
    """
    settings = settings or settings_module.load()
    manifest = manifest or manifest_module.load(settings.root)
    _require("papermill", "ipykernel")
    plans = running_plan.plan(targets, manifest, settings, time_limit_seconds)
    with ExitStack() as stack:
        for plan in plans:
            stack.enter_context(_reserved(settings.runs_dir, plan.module))
        stop = stack.enter_context(_stop_on_signals())
        forks = Forks(settings) if zygote else None
        workers = max(1, workers or manifest.grading.workers)
        return _Run(plans, settings, workers, html, forks, on_event, stop).results()


def _require(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise RunError(
                f"{package} is not installed in this Python, so notebooks cannot be executed. "
                "Start the command as ./course, which prepares the environment, or install it: "
                f"python -m pip install {package}"
            )


class _Run:
    """The loop: starts jobs while there are free workers, listens to all of them, ends those that are late."""

    def __init__(
        self, plans: Sequence[Plan], settings: Settings, workers: int, html: bool, forks: Forks | None,
        on_event: Callable[[Event], None], stop: _Stop,
    ) -> None:  # fmt: skip
        self._plans = plans
        self._settings = settings
        self._workers = workers
        self._html = html
        self._forks = forks
        self._on_event = on_event
        self._stop = stop
        self._active: list[RunningJob] = []
        self._results: dict[str, RunResult] = {}
        self._selector = selectors.DefaultSelector()

    def results(self) -> list[RunResult]:
        try:
            for plan in self._plans:
                self._say("planned", plan)
            waiting = list(self._plans)
            while (waiting or self._active) and not self._stop.requested:
                while waiting and len(self._active) < self._workers and not self._stop.requested:
                    self._start(waiting.pop(0))
                self._listen()
            for plan in waiting:
                self._done(plan, _not_run(plan, "interrupted", "stopped before it had started"))
        finally:
            while self._active:
                self._end(self._active[0], interrupted=True)
            self._selector.close()
            self._end_forks()
            self._release_database()
        return [self._results[plan.module] for plan in self._plans]

    def _start(self, plan: Plan) -> None:
        if plan.problem is not None:
            self._done(plan, _not_run(plan, "invalid", plan.problem))
            return
        url = _create_database(plan) if plan.database else None
        try:
            job = RunningJob(plan, self._settings, url, self._html, self._forks)
        except BaseException:
            if url is not None:
                self._drop_database(plan, url)
            raise
        self._active.append(job)
        self._selector.register(job.events, selectors.EVENT_READ, job)
        self._say("started", plan)

    def _listen(self) -> None:
        for key, _ in self._selector.select(_TICK_SECONDS) if self._active else ():
            job: RunningJob = key.data
            before = job.cells_done
            alive = job.read()
            for done in range(before + 1, job.cells_done + 1):
                self._say("cell", job.plan, cells_done=done)
            if not alive:
                self._end(job)
        for job in self._active:
            if time.monotonic() > job.deadline:
                job.time_out()
                job.deadline = float("inf")

    def _end(self, job: RunningJob, interrupted: bool = False) -> None:
        self._active.remove(job)
        self._selector.unregister(job.events)
        try:
            result = job.finish(interrupted)
        finally:
            if job.database_url is not None:
                self._drop_database(job.plan, job.database_url)
        for warning in job.warnings:
            self._say("warning", job.plan, message=warning)
        self._done(job.plan, result)

    def _done(self, plan: Plan, result: RunResult) -> None:
        self._results[plan.module] = result
        self._say("finished", plan, cells_done=result.cells_done, result=result)

    def _drop_database(self, plan: Plan, url: str) -> None:
        from coursekit import database

        try:
            database.drop_scratch(url)
        except DatabaseError as error:
            self._say("warning", plan, message=f"its scratch database was not dropped: {error}")

    def _end_forks(self) -> None:
        if self._forks is not None:
            self._forks.close()
            if self._forks.problem is not None:
                self._say("warning", self._plans[0], message=self._forks.problem)

    def _release_database(self) -> None:
        if any(plan.database and plan.problem is None for plan in self._plans):
            from coursekit import database

            database.stop_embedded()

    def _say(
        self, kind: EventKind, plan: Plan, cells_done: int = 0, result: RunResult | None = None, message: str = ""
    ) -> None:
        self._on_event(Event(kind, plan.module, cells_done, plan.cells_total, result, message))


def _not_run(plan: Plan, status: Status, message: str) -> RunResult:
    return RunResult(plan.module, plan.notebook, status, 0.0, 0, plan.cells_total, message=message)


def _create_database(plan: Plan) -> str:
    from coursekit import database

    return database.create_scratch(plan.module.split("_")[0])


@contextmanager
def _reserved(runs_dir: Path, module: str) -> Iterator[None]:
    """Hold the module's folder for this run; the lock goes away with the process, however it ends."""
    locks = runs_dir / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    with open(locks / module, "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"another `course run` is executing {module} into {runs_dir / module}. Wait for it, or stop it."
            ) from None
        yield


@dataclass
class _Stop:
    requested: bool = False


@contextmanager
def _stop_on_signals() -> Iterator[_Stop]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into a request that the loop sees, so that no cleanup is cut short.

    Impatient repetitions change nothing: ending everything takes a second or two. Outside the main thread Python
    delivers no signals, and the caller's own handling stays.
    """
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request(number: int, frame: object) -> None:
        stop.requested = True

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            with suppress(TypeError):  # a handler that was not installed from Python cannot be put back
                signal.signal(number, handler)

"""Who grades what when: threads of this process, each at a station of its own, or the workers of a Dask cluster.

A scheduler takes submissions one by one as it has room for them, and yields grades in the order in which they are ready;
never more than a few submissions are in memory, however large the class.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from coursekit import manifest, settings
from coursekit.errors import GradingError
from coursekit.grading.isolation import backends
from coursekit.grading.isolation.backends import Backend
from coursekit.grading.results import Grade
from coursekit.grading.station import JudgeSource, Station, Submitted, judge_environ

if TYPE_CHECKING:
    from distributed import Client

Scheduler = Callable[[Iterator[Submitted]], Iterator[Grade]]

_AHEAD = 2  # submissions per Dask worker that are on their way at the same time


@contextmanager
def local(
    where: settings.Settings, course: manifest.Manifest, module: manifest.Module, backend: Backend, workers: int
) -> Iterator[Scheduler]:
    """Stations in this process, one thread each.

    The scheduler raises the first GradingError of a station, after the others have ended what they were at.
    """
    judges = JudgeSource(judge_environ(where))
    todo: queue.SimpleQueue[Submitted | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[Grade | BaseException] = queue.SimpleQueue()

    def work() -> None:
        try:
            with Station(where, course, module, backend, judges) as station:
                while (submitted := todo.get()) is not None:
                    done.put(station.grade(submitted))
        except BaseException as error:  # noqa: BLE001  it is raised in the thread that waits
            done.put(error)

    threads = [threading.Thread(target=work, name=f"station {number}", daemon=True) for number in range(workers)]

    def run(submissions: Iterator[Submitted]) -> Iterator[Grade]:
        under_way = 0
        for submitted in submissions:
            if under_way < workers and not threads[under_way].is_alive():
                threads[under_way].start()
            todo.put(submitted)
            under_way += 1
            if under_way >= workers:
                yield _result(done.get())
                under_way -= 1
        for _ in range(under_way):
            yield _result(done.get())

    try:
        yield run
    finally:
        for _ in threads:
            todo.put(None)
        for thread in threads:
            if thread.is_alive():
                thread.join(timeout=30)
        judges.close()


def _result(done: Grade | BaseException) -> Grade:
    if isinstance(done, Grade):
        return done
    raise done


@contextmanager
def over_dask(address: str, where: settings.Settings, module: manifest.Module, isolation: str) -> Iterator[Scheduler]:
    """The workers of a Dask cluster; a submission whose worker is lost is graded again by another.

    Every worker needs the course's checkout at the same path, with solutions, and coursekit in its Python.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise GradingError(
            "Dask is not installed here. Install the course with its extra `dask`: pip install '.[dask]'"
        ) from None
    try:
        client: Client = Client(address, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise GradingError(f"no Dask scheduler answers at {address}: {error}") from None

    def run(submissions: Iterator[Submitted]) -> Iterator[Grade]:
        def submit(submitted: Submitted) -> Any:
            return client.submit(
                grade_on_worker, str(where.root), str(where.state_dir), module.id, isolation, submitted,
                pure=False, retries=3, key=f"{module.id}-{submitted.student}-{os.urandom(4).hex()}",
            )  # fmt: skip

        room = max(len(client.scheduler_info(n_workers=-1)["workers"]), 1) * _AHEAD
        under_way = as_completed([])
        for submitted in submissions:
            under_way.add(submit(submitted))
            if under_way.count() >= room:
                yield _fetch(next(under_way))
        for future in under_way:
            yield _fetch(future)

    try:
        yield run
    finally:
        client.close()


def _fetch(future: Any) -> Grade:
    grade: Grade = future.result()
    future.release()
    return grade


_stations: dict[tuple[str, ...], Station] = {}
_station_lock = threading.Lock()


def grade_on_worker(root: str, state: str, module_id: str, isolation: str, submitted: Submitted) -> Grade:
    """Grade one submission in this worker process, whose station is kept for the next; one at a time."""
    with _station_lock:
        key = (root, state, module_id, isolation)
        station = _stations.get(key)
        if station is None:
            where = settings.load({**os.environ, "COURSE_ROOT": root, "COURSE_STATE": state})
            course = manifest.load(where.root)
            judges = JudgeSource(judge_environ(where))
            station = Station(where, course, course.module(module_id), backends.choose(isolation), judges)
            _stations[key] = station.__enter__()
        return station.grade(submitted)

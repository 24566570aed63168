"""Who grades what when: threads of this process, each at a station of its own (`cluster` has the workers of a Dask cluster).

A scheduler takes submissions one by one as it has room for them, and yields grades in the order in which they are ready;
never more than a few submissions are in memory, however large the class.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coursekit import manifest, settings
from coursekit.grading.isolation.backends import Backend
from coursekit.grading.results import Grade
from coursekit.grading.station import JudgeSource, Station, Submitted, judge_environ

Scheduler = Callable[[Iterator[Submitted]], Iterator[Grade]]


@contextmanager
def local(
    where: settings.Settings, course: manifest.Manifest, module: manifest.Module, backend: Backend, workers: int
) -> Iterator[Scheduler]:
    """Stations in this process, one thread each.

    The scheduler raises the first GradingError of a station; what the others are at is given up, and graded by the next run.
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
    except BaseException:
        judges.close()  # what is under way is not waited for
        raise
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

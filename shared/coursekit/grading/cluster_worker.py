"""What runs on a worker of a Dask cluster: submissions, graded at stations that are kept until the run is over.

A worker must hold the same coursekit, Python, packages and solutions as the one who asks; if not it refuses, because the
same submission would get another grade there. It needs the course's checkout at the same path, or COURSE_ROOT (and
COURSE_STATE, for its caches) in its environment. It chooses its isolation itself, and each grade says which.
"""

from __future__ import annotations

import os
import platform
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from coursekit import __version__, manifest, settings
from coursekit.errors import CourseError, GradingError
from coursekit.grading.isolation import backends
from coursekit.grading.recording import environment
from coursekit.grading.results import Grade
from coursekit.grading.station import JudgeSource, Station, Submitted, judge_environ

_KEPT = 8  # stations of runs whose end nobody announced


@dataclass(frozen=True)
class Errand:
    """What a worker needs to know about a run; `facts` is what must be the same on both sides."""

    run: str
    root: str
    state: str
    module_id: str
    isolation: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Place:
    station: Station
    judges: JudgeSource

    def close(self) -> None:
        self.station.__exit__(None, None, None)
        self.judges.close()


def facts(where: settings.Settings, course: manifest.Manifest, module: manifest.Module) -> tuple[tuple[str, str], ...]:
    """What a grade depends on, as pairs of a name for people and a value."""
    sources = environment.fingerprint(where, course, module, isolation="")
    return (
        ("coursekit", __version__),
        ("Python", platform.python_version()),
        (f"solutions up to {module.id}, limits and requirements.lock", sources[:12]),
    )


def grade_on_worker(errand: Errand, submitted: Submitted) -> Grade:
    """Grade one submission in this process; a worker of several threads has a station for each.

    Raises:
        GradingError: this worker cannot grade: no checkout, other contents, or no such isolation.
    """
    with _station(errand) as station:
        return station.grade(submitted)


def end_run(run: str) -> None:
    """Close the run's stations here: those that are free now, the others when they are done."""
    with _lock:
        _ended.add(run)
        places = [place for errand in list(_free) if errand.run == run for place in _free.pop(errand)]
    for place in places:
        place.close()


_lock = threading.Lock()
_free: dict[Errand, list[_Place]] = {}
_ended: set[str] = set()


@contextmanager
def _station(errand: Errand) -> Iterator[Station]:
    with _lock:
        free = _free.get(errand)
        place = free.pop() if free else None
    if place is None:
        place = _open(errand)
    try:
        yield place.station
    except BaseException:
        place.close()
        raise
    with _lock:
        surplus = [place]
        if errand.run not in _ended:
            _free.setdefault(errand, []).append(place)
            surplus = _forgotten(errand.run)
    for each in surplus:
        each.close()


def _forgotten(run: str) -> list[_Place]:
    """Take out stations of other runs, when there are too many: those who asked for them may be gone."""
    others = [errand for errand in _free if errand.run != run]
    return [place for errand in others[: max(len(others) - _KEPT, 0)] for place in _free.pop(errand)]


def _open(errand: Errand) -> _Place:
    try:
        where = settings.load({"COURSE_ROOT": errand.root, "COURSE_STATE": errand.state, **os.environ})
        course = manifest.load(where.root)
        module = course.module(errand.module_id)
        _compare(facts(where, course, module), errand.facts)
        judges = JudgeSource(judge_environ(where))
        try:
            station = Station(where, course, module, backends.choose(errand.isolation), judges)
            return _Place(station.__enter__(), judges)
        except BaseException:
            judges.close()
            raise
    except CourseError as error:
        raise GradingError(f"the worker on {socket.gethostname()} (pid {os.getpid()}) cannot grade: {error}") from None


def _compare(here: tuple[tuple[str, str], ...], there: tuple[tuple[str, str], ...]) -> None:
    for (name, value), (_, wanted) in zip(here, there, strict=True):
        if value != wanted:
            raise GradingError(
                f"{name}: it has {value}, and the course that is graded has {wanted}. "
                "Give every worker the same checkout and the same packages."
            )

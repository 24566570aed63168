"""Submissions spread over the workers of a Dask cluster: `course grade --scheduler tcp://…`.

The workers grade; results come back here, where the one writer records them. What a lost worker was at is done again by
another. A submission that was there each time a worker died (Dask counts) is put aside and tried once more at the end,
alone: if it ends its worker again, that is its recorded reason; if not, it was only near by.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from coursekit import manifest, settings
from coursekit.errors import GradingError
from coursekit.grading.cluster_worker import Errand, end_run, facts, grade_on_worker
from coursekit.grading.results import Grade
from coursekit.grading.schedulers import Scheduler
from coursekit.grading.station import Submitted

if TYPE_CHECKING:
    from distributed import Client, Future

WORKERLESS_SECONDS = 600.0  # a cluster that grows on demand needs time for its first worker
_CONNECT_SECONDS = 10
_CLOSE_SECONDS = 60.0
_ROUND_SECONDS = 2.0
_FATAL = "grading it ended the worker every time, also when it was graded alone"


@contextmanager
def over_dask(
    address: str, where: settings.Settings, course: manifest.Manifest, module: manifest.Module, isolation: str
) -> Iterator[Scheduler]:
    """A scheduler that grades on the workers of the Dask scheduler at `address`; see `cluster_worker` for what they need.

    Raises:
        GradingError: Dask is not installed or does not answer; (while running) a worker cannot grade, or none is left.
    """
    try:
        from distributed import Client
    except ImportError:
        raise GradingError(
            "Dask is not installed here. Install the course with its extra `dask`: pip install '.[dask]'"
        ) from None
    try:
        client: Client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise GradingError(f"no Dask scheduler answers at {address}: {error}") from None
    shared = facts(where, course, module)
    errand = Errand(os.urandom(8).hex(), str(where.root), str(where.state_dir), module.id, isolation, shared)
    run = _Run(client, address, errand)
    try:
        yield run.grades
    finally:
        run.close()


class _Run:
    """One run over one cluster."""

    def __init__(self, client: Client, address: str, errand: Errand) -> None:
        self._client, self._address, self._errand = client, address, errand
        self._under_way: dict[Future, Submitted] = {}

    def grades(self, submissions: Iterator[Submitted]) -> Iterator[Grade]:
        """Grade what comes, in the order in which it is ready; takes no more than the workers have room for."""
        suspects: list[Submitted] = []
        for submitted in submissions:
            self._submit(submitted)
            while len(self._under_way) >= self._room():
                yield from self._collect(suspects)
        while self._under_way:
            yield from self._collect(suspects)
        for submitted in suspects:
            self._submit(submitted)
            fatal: list[Submitted] = []
            while self._under_way:
                yield from self._collect(fatal)
            if fatal:
                yield Grade(submitted.student, self._errand.module_id, error=_FATAL)

    def close(self) -> None:
        """Take back what is not graded yet, close the stations on the workers, and leave the cluster."""
        try:
            with suppress(Exception):  # a cluster that is gone has nothing to close
                if self._under_way:
                    self._client.cancel(list(self._under_way), force=True)
                self._end_run()
        finally:
            self._client.close()

    def _end_run(self) -> None:
        from distributed import wait

        name = f"end-of-run-{self._errand.run}"
        ends = [
            self._client.submit(end_run, self._errand.run, workers=[worker], key=f"{name}-{number}", pure=False)
            for number, worker in enumerate(self._workers())
        ]
        if ends:
            with self._client.as_current():
                wait(ends, timeout=_CLOSE_SECONDS)

    def _workers(self) -> dict[str, Any]:
        return dict(self._client.scheduler_info(n_workers=-1)["workers"])

    def _room(self) -> int:
        """One submission per thread, and one per worker that waits."""
        return max(sum(int(worker["nthreads"]) + 1 for worker in self._workers().values()), 2)

    def _submit(self, submitted: Submitted) -> None:
        key = f"{self._errand.module_id}-{submitted.student}-{os.urandom(4).hex()}"
        future = self._client.submit(grade_on_worker, self._errand, submitted, pure=False, key=key)
        self._under_way[future] = submitted

    def _collect(self, suspects: list[Submitted]) -> Iterator[Grade]:
        """Wait for at least one; those that went down with their workers too often go to `suspects`."""
        for future in self._wait():
            submitted = self._under_way.pop(future)
            grade = self._result(future)
            future.release()
            if grade is None:
                suspects.append(submitted)
            else:
                yield grade

    def _wait(self) -> list[Future]:
        from distributed import wait

        alone_since = None
        while True:
            with suppress(TimeoutError), self._client.as_current():
                wait(list(self._under_way), timeout=_ROUND_SECONDS, return_when="FIRST_COMPLETED")
            if done := [future for future in self._under_way if future.status != "pending"]:
                return done
            alone_since = None if self._workers() else alone_since or time.monotonic()
            if alone_since and time.monotonic() - alone_since > WORKERLESS_SECONDS:
                raise GradingError(
                    f"{self._address} has had no worker for {WORKERLESS_SECONDS:g} s. Start some, and run the same "
                    "command again: what is graded already is kept."
                )

    def _result(self, future: Future) -> Grade | None:
        """The grade; None when several workers died with the submission."""
        from distributed import KilledWorker

        try:
            grade: Grade = future.result()
            return grade
        except KilledWorker:
            return None
        except GradingError:
            raise
        except Exception as error:
            raise GradingError(
                f"the cluster at {self._address} cannot grade: {type(error).__name__}: {error}. Every worker needs "
                "this course's packages; run the same command again: what is graded already is kept."
            ) from error

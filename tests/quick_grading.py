"""Verdicts on many submissions in little time: each runs in a process forked from one that has imported everything.

The cells run in an IPython shell as a kernel runs them, and a check fails as nbgrader counts it: by an error or by any
text on stderr. `test_stock_nbgrader_agrees` holds this against the real thing.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CELL_TIMEOUT_SECONDS = 60
PRELOADED = [
    "IPython.core.interactiveshell",
    "matplotlib.pyplot",
    "pandas",
    "openai",
    "openai.types.chat",
    "coursekit.checks",
    "coursekit.corpus",
    "coursekit.jupyter",
    "coursekit.models",
    "coursekit.plots",
    "coursekit.scoreboard",
    "coursekit.database",
    "simllm.server",
    "simllm.app",
    "tests.quick_grading",
]


@dataclass(frozen=True)
class Verdict:
    """The checks that failed, each with what its cell said."""

    failures: Mapping[str, str]

    @property
    def failed_checks(self) -> frozenset[str]:
        return frozenset(self.failures)


def grade(root: Path, submissions: Mapping[str, Path], *, workers: int, database_url: str | None) -> dict[str, Verdict]:
    """Run every submission; `database_url` names a database that they may share (checks write nothing there)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    environment = {"COURSE_MODE": "run", "COURSE_DATABASE_READY": "1", "DATABASE_URL": database_url or ""}
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=1) as pool:
        futures = {name: pool.submit(_run, root, path, environment) for name, path in submissions.items()}
        return {name: Verdict(future.result(timeout=600)) for name, future in futures.items()}


def _time_out(*_: object) -> None:
    raise TimeoutError(f"the cell took more than {CELL_TIMEOUT_SECONDS} s")


def _run(root: Path, path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    from coursekit import notebooks

    os.chdir(root)
    os.environ.update(environment)
    os.environ["COURSE_WORKSPACE"] = tempfile.mkdtemp(prefix="course-workspace-")
    signal.signal(signal.SIGALRM, _time_out)
    failures: dict[str, str] = {}
    try:
        shell = InteractiveShell.instance()  # type: ignore[no-untyped-call]
        for cell in notebooks.code_cells(notebooks.read(path)):
            signal.alarm(CELL_TIMEOUT_SECONDS)
            with capture_output() as captured:
                result = shell.run_cell(cell.source, cell_id=cell.get("id"))
            signal.alarm(0)
            if notebooks.is_test(cell) and (not result.success or captured.stderr):
                error = result.error_in_exec or result.error_before_exec
                failures[str(notebooks.grade_id(cell))] = f"{type(error).__name__}: {error}\n{captured.stderr}"
    finally:
        shutil.rmtree(os.environ["COURSE_WORKSPACE"], ignore_errors=True)
        sys.stdout.flush()
    return failures

"""Grading on a Dask cluster: every row right whatever happens to workers, nothing left behind, clear refusals."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from coursekit import manifest, notebooks, settings
from coursekit.errors import GradingError
from coursekit.grading import autograde, cluster, cluster_worker, release
from coursekit.grading.station import Submitted
from tests import notebook_files
from tests.grading import dask_processes

pytest.importorskip("distributed", reason="the extra `dask` is not installed")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for left processes in /proc")

MODULE = "a1_first"


@pytest.fixture
def root(small_course: Callable[..., Path]) -> Path:
    folder = small_course()
    notebook_files.write(folder / "solutions" / MODULE / f"{MODULE}.ipynb", notebook_files.first_module())
    notebook_files.write(folder / "solutions" / "a2_second" / "a2_second.ipynb", notebook_files.second_module())
    return folder


def _hand_in(where: settings.Settings, answers: Mapping[str, str]) -> None:
    """Submissions by student: the function's body, and an own cell before it."""
    course = manifest.load(where.root)
    (blank,) = release.release(where, [course.module(MODULE)])
    for student, own in answers.items():
        notebook = notebooks.read(blank)
        for cell in notebook.cells:
            if notebooks.is_solution(cell):
                body = "return a - b" if student.startswith("wrong") else "return b + a"
                cell.source = f'#| export adding.py\ndef add(a: float, b: float) -> float:\n    """Add."""\n    {body}'
        notebook.cells.append(notebook_files.code(own, "own"))
        notebook_files.write(where.grading_dir / "submitted" / student / MODULE / f"{MODULE}.ipynb", notebook.cells)


def _grade(address: str, **options: object) -> list[autograde.Report]:
    where = settings.load()
    course = manifest.load(where.root)
    return autograde.grade_course(where, course, course.module(MODULE), scheduler=address, **options)  # type: ignore[arg-type]


def test_a_killed_workers_submissions_are_done_again_and_every_row_is_right(root: Path, tmp_path: Path) -> None:
    where = settings.load()
    slow = "import time\ntime.sleep(0.5)"
    right = {f"right-{number}": 2.0 for number in range(5)} | {f"wrong-{number}": 0.0 for number in range(3)}
    _hand_in(where, dict.fromkeys(right, slow))
    seen: list[str] = []
    with dask_processes.cluster(tmp_path / "cluster", 2, environ={"COURSE_STATE": str(tmp_path / "cluster")}) as dask:

        def watch(report: autograde.Report) -> None:
            seen.append(report.student)
            if len(seen) == 2:
                dask.kill("worker-0")

        reports = _grade(dask.address, on_grade=watch)
        assert {report.student: report.recorded.points for report in reports if report.recorded} == right
        assert sorted(seen) == sorted(right), "recorded twice, or never"
        assert {report.grade.isolation for report in reports if report.grade} <= {
            "docker",
            "podman",
            "bwrap",
            "namespaces",
            "plain",
        }
        assert dask.wait_until_alone() == [], "stations outlive the run, or their killed worker"
        again = _grade(dask.address)
        assert [report.grade for report in again] == [None] * len(right), "graded again although nothing changed"
    assert dask.others() == []
    with Gradebook(f"sqlite:///{where.grading_dir / 'gradebook.db'}") as book:
        rows = book.assignment_submissions(MODULE)
        assert {row.student.id: row.score for row in rows} == right and len(rows) == len(right)


KILLER = """
import os, signal
from pathlib import Path
pid = os.getpid()
while b"dask\\0worker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
    pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
os.kill(pid, signal.SIGKILL)
"""


def test_a_submission_that_ends_its_worker_every_time_gets_its_reason_and_costs_nobody_else_a_point(
    root: Path, tmp_path: Path
) -> None:
    _hand_in(settings.load(), {"killer": KILLER, **{f"right-{number}": "" for number in range(5)}})
    environ = {"COURSE_STATE": str(tmp_path / "cluster"), "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with dask_processes.cluster(tmp_path / "cluster", 3, environ=environ) as dask:
        reports = {report.student: report for report in _grade(dask.address, isolation="plain")}
    killer = reports.pop("killer").recorded
    assert killer is not None and killer.status == "rejected" and "ended the worker every time" in killer.message
    assert [report.recorded.points for report in reports.values() if report.recorded] == [2.0] * 5


def test_a_cluster_without_workers_or_without_a_scheduler_is_a_clear_error(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hand_in(settings.load(), {"ada": ""})
    monkeypatch.setattr(cluster, "WORKERLESS_SECONDS", 0.5)
    monkeypatch.setattr(cluster, "_ROUND_SECONDS", 0.2)
    monkeypatch.setattr(cluster, "_CONNECT_SECONDS", 2)
    with (
        dask_processes.cluster(tmp_path / "cluster", 0) as dask,
        pytest.raises(GradingError, match="has had no worker"),
    ):
        _grade(dask.address)
    with pytest.raises(GradingError, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        _grade("tcp://127.0.0.1:9")


def _errand(where: settings.Settings) -> cluster_worker.Errand:
    course = manifest.load(where.root)
    facts = cluster_worker.facts(where, course, course.module(MODULE))
    return cluster_worker.Errand("run", str(where.root), str(where.state_dir), MODULE, "plain", facts)


def test_a_worker_with_other_contents_refuses_and_says_which(root: Path) -> None:
    errand = _errand(settings.load())
    older = replace(errand, facts=(("coursekit", "0.0"), *errand.facts[1:]))
    with pytest.raises(GradingError, match=r"coursekit: it has .*, and the course that is graded has 0\.0"):
        cluster_worker.grade_on_worker(older, Submitted("ada", b""))
    other = notebook_files.first_module("return b + a")
    notebook_files.write(root / "solutions" / MODULE / f"{MODULE}.ipynb", other)
    with pytest.raises(GradingError, match="solutions up to a1_first, limits and requirements.lock: it has"):
        cluster_worker.grade_on_worker(errand, Submitted("ada", b""))


def test_a_worker_without_the_checkout_or_the_isolation_refuses(root: Path) -> None:
    errand = _errand(settings.load())
    with pytest.raises(GradingError, match="cannot grade: no isolation 'moat'"):
        cluster_worker.grade_on_worker(replace(errand, isolation="moat"), Submitted("ada", b""))
    shutil.rmtree(root / "solutions")
    (root / "course.yml").unlink()
    with pytest.raises(GradingError, match="cannot grade: COURSE_ROOT=.* has no course.yml"):
        cluster_worker.grade_on_worker(errand, Submitted("ada", b""))

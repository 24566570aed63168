"""One run of a course whose notebooks do everything that a notebook should not do, looked at from many sides."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import pytest

from coursekit import database, manifest
from coursekit.running import runner as running
from coursekit.running.records import Event, RunResult
from coursekit.settings import Settings

from .conftest import processes_of_course, write_course, write_notebook

NOTEBOOKS = {
    "ok": [
        "import json, os, subprocess, sys\n"
        "subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        "print(json.dumps({'env': dict(os.environ), 'cwd': os.getcwd(), 'python': sys.executable,\n"
        "                  'workspace': os.listdir(os.environ['COURSE_WORKSPACE'])}))",
        "",
        "1 + 1",
    ],
    "raises": ["import json\ndef f(x):\n    return json.loads(x)", "x = '{'\n\nf(x)", "print('never')"],
    "hangs": ["import time", "while True:\n    time.sleep(0.1)"],
    "exits": ["import os\nos._exit(3)"],
    "killed": ["import os\nos.kill(os.getpid(), 9)"],
    "workerless": ["import os\nos.kill(os.getppid(), 9)"],
    "prints": ["for _ in range(50):\n    print('x' * 1_000_000)", "'y' * 20_000_000", "1 / 0"],
    "sysexit": ["import sys\nsys.exit(0)", "1"],
    "corrupt": ["1"],
    "missing": ["1"],
}


@dataclass
class Ran:
    settings: Settings
    results: dict[str, RunResult]
    events: list[Event]
    created: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    settings = write_course(tmp_path_factory.mktemp("c") / "course", NOTEBOOKS, {"hangs": 2}, database=True)
    root = settings.solutions_dir
    write_notebook(root / "prints" / "prints.ipynb", NOTEBOOKS["prints"], tags=["raises-exception"])
    (root / "corrupt" / "corrupt.ipynb").write_text("<html>")
    (root / "missing" / "missing.ipynb").unlink()
    stale = settings.runs_dir / "ok" / "workspace"
    stale.mkdir(parents=True)
    (stale / "old.py").write_text("")
    ran = Ran(settings, {}, [])

    def create(label: str) -> str:
        ran.created.append(f"postgresql://scratch/{label}")
        return ran.created[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "create_scratch", create)
        patch.setattr(database, "drop_scratch", ran.dropped.append)
        patch.setattr(database, "stop_embedded", lambda: ran.dropped.append("server"))
        patch.setenv("NBGRADER_EXECUTION", "autograde")
        results = running.run(settings=settings, workers=4, on_event=ran.events.append)
    ran.results = {result.module: result for result in results}
    yield ran


def output(ran: Ran, module: str) -> nbformat.NotebookNode:
    path = ran.results[module].output
    assert path == ran.settings.runs_dir / module / f"{module}.ipynb"
    return nbformat.read(path, as_version=4)


def test_each_notebook_gets_its_own_verdict(ran: Ran) -> None:
    assert {name: result.status for name, result in ran.results.items()} == {
        "ok": "ok",
        "raises": "failed",
        "hangs": "timeout",
        "exits": "kernel-died",
        "killed": "kernel-died",
        "workerless": "kernel-died",
        "prints": "ok",
        "sysexit": "failed",
        "corrupt": "invalid",
        "missing": "invalid",
    }
    assert list(ran.results) == list(NOTEBOOKS)


def test_a_notebook_runs_in_its_folder_with_its_own_environment(ran: Ran) -> None:
    seen = json.loads(output(ran, "ok").cells[1].outputs[0].text)
    folder = ran.settings.runs_dir / "ok"
    assert seen["cwd"] == str(folder)
    assert seen["python"] == sys.executable
    assert seen["workspace"] == []
    expected = {
        "COURSE_MODE": "run",
        "COURSE_ROOT": str(ran.settings.root),
        "COURSE_WORKSPACE": str(folder / "workspace"),
        "COURSE_DATABASE_READY": "1",
        "DATABASE_URL": "postgresql://scratch/ok",
    }
    assert {name: seen["env"].get(name) for name in expected} == expected
    assert "NBGRADER_EXECUTION" not in seen["env"]
    assert seen["env"]["PATH"].startswith(str(Path(sys.executable).parent))


def test_cells_are_counted_without_the_empty_ones(ran: Ran) -> None:
    assert (ran.results["ok"].cells_done, ran.results["ok"].cells_total) == (2, 2)
    assert (ran.results["raises"].cells_done, ran.results["raises"].cells_total) == (1, 3)


def test_a_failure_names_cell_line_error_and_only_the_cells_frames(ran: Ran) -> None:
    failure = ran.results["raises"].failure
    assert failure is not None
    assert (failure.index, failure.execution_count, failure.line) == (3, 2, 3)
    assert failure.source == NOTEBOOKS["raises"][1]
    assert failure.error == "JSONDecodeError"
    assert failure.message.startswith("Expecting property name")
    assert [frame.splitlines()[0] for frame in failure.traceback] == [
        "Cell In[2], line 3",
        "Cell In[1], line 3, in f(x)",
    ]
    assert not any("\x1b" in frame for frame in failure.traceback)


def test_a_failed_notebook_keeps_its_outputs(ran: Ran) -> None:
    errors = [
        o.ename for cell in output(ran, "raises").cells for o in cell.get("outputs", []) if o.output_type == "error"
    ]
    assert errors == ["JSONDecodeError"]


def test_a_timeout_names_the_cell_and_the_limit(ran: Ran) -> None:
    result = ran.results["hangs"]
    assert result.failure is not None
    assert (result.failure.index, result.failure.error, result.cells_done) == (3, "Timeout", 1)
    assert "2 s" in result.message and "time_limit_seconds" in result.message
    assert output(ran, "hangs").cells[1].execution_count == 1


def test_a_dead_kernel_is_reported_with_how_it_ended(ran: Ran) -> None:
    assert "exit code 3" in ran.results["exits"].message
    assert "SIGKILL" in ran.results["killed"].message
    assert "signal 9" in ran.results["workerless"].message
    for name in ("exits", "killed", "workerless"):
        failure = ran.results[name].failure
        assert failure is not None and failure.index == 2


def test_fifty_megabytes_of_output_are_cut_with_a_note(ran: Ran) -> None:
    cells = output(ran, "prints").cells
    assert len(cells[1].outputs) == 1
    assert 1_000_000 <= len(cells[1].outputs[0].text) < 1_000_200
    assert "is not kept" in cells[1].outputs[0].text
    assert "20,000,002 characters" in cells[2].outputs[0].data["text/plain"]


def test_leaving_early_is_not_passing(ran: Ran) -> None:
    failure = ran.results["sysexit"].failure
    assert failure is not None and failure.error == "SystemExit"


def test_a_cell_that_is_meant_to_raise_may(ran: Ran) -> None:
    cells = output(ran, "prints").cells
    assert [cell.cell_type for cell in cells] == ["markdown", "code", "code", "code"]
    assert cells[3].outputs[0].ename == "ZeroDivisionError"
    assert ran.results["prints"].cells_done == 3


def test_what_is_no_notebook_is_invalid_with_the_reason(ran: Ran) -> None:
    assert "HTML" in ran.results["corrupt"].message
    assert "does not exist" in ran.results["missing"].message
    assert ran.results["missing"].output is None


def test_no_process_is_left(ran: Ran) -> None:
    assert processes_of_course(ran.settings.root) == []


def test_every_database_is_dropped_and_the_server_released_last(ran: Ran) -> None:
    assert len(ran.created) == len(NOTEBOOKS) - 2  # none for what is not a notebook
    assert sorted(ran.dropped[:-1]) == sorted(ran.created)
    assert ran.dropped[-1] == "server"


def test_nothing_half_written_is_left(ran: Ran) -> None:
    for folder in ran.settings.runs_dir.glob("[a-z]*"):
        assert {path.name for path in folder.iterdir()} <= {"workspace", f"{folder.name}.ipynb"}


def test_the_sources_are_not_written_to(ran: Ran) -> None:
    source = nbformat.read(ran.settings.solutions_dir / "ok" / "ok.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in source.cells)


def test_events_plan_all_then_start_count_and_finish_each(ran: Ran) -> None:
    kinds = [event.kind for event in ran.events]
    assert kinds[: len(NOTEBOOKS)] == ["planned"] * len(NOTEBOOKS)
    mine = [(event.kind, event.cells_done) for event in ran.events if event.module == "ok"]
    assert mine == [("planned", 0), ("started", 0), ("cell", 1), ("cell", 2), ("finished", 2)]
    assert kinds.count("finished") == len(NOTEBOOKS) and "warning" not in kinds


def test_modules_choose_their_notebooks_and_limits(ran: Ran) -> None:
    assert manifest.load(ran.settings.root).module("hangs").time_limit_seconds == 2

"""Runs that end badly from outside: Ctrl-C, a killed parent, a caller that raises, a second run beside the first."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from coursekit import database
from coursekit.errors import DatabaseError, RunError
from coursekit.running import runner as running
from coursekit.running.records import Event

from .conftest import MakeCourse, processes_of_course, write_notebook

HANG = [
    "import os, subprocess, time\n"
    "child = subprocess.Popen(['sleep', '300'], env={})\n"
    "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n"
    "os.rename('pids', 'started')",
    "time.sleep(300)",
]

SCRIPT = """
import json, sys
from coursekit import database
from coursekit.running import runner as running
log = []
database.create_scratch = lambda label: log.append("create") or "postgresql://scratch/x"
database.drop_scratch = lambda url: log.append("drop")
database.stop_embedded = lambda: log.append("stop")
for targets in json.loads(sys.argv[1]):
    results = running.run(targets, workers=1, html=True)
    print(json.dumps([[r.module, r.status, r.cells_done] for r in results]), flush=True)
print(json.dumps(log))
"""


def start(root: Path, *runs: list[str], environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SCRIPT, json.dumps(runs)],
        cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def foreign_kernelspec(folder: Path) -> dict[str, str]:
    """An environment in which the installed `python3` kernel belongs to a Python that is not there."""
    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    kernel = {"argv": ["/nowhere/python"], "display_name": "P", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel))
    return {**os.environ, "JUPYTER_PATH": str(folder), "PATH": os.defpath}


def test_ctrl_c_ends_everything_keeps_earlier_outputs_and_the_next_run_works(
    make_course: MakeCourse, tmp_path: Path
) -> None:
    settings = make_course({"hangs": HANG, "waits": ["1"], "quick": ["print('hello' + ' page')"]}, database=True)
    folder = settings.runs_dir / "hangs"
    earlier = write_notebook(folder / "hangs.ipynb", ["'earlier'"]).read_bytes()
    process = start(settings.root, ["hangs", "waits"], ["quick"], environment=foreign_kernelspec(tmp_path / "jupyter"))
    with process:
        wait_for((folder / "started").exists)
        pids = [int(pid) for pid in (folder / "started").read_text().split()]
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=40)
    assert stderr == ""
    interrupted, quick, log = (json.loads(line) for line in stdout.splitlines())
    assert interrupted == [["hangs", "interrupted", 1], ["waits", "interrupted", 0]]
    assert quick == [["quick", "ok", 1]]
    assert log == ["create", "drop", "stop"] * 2
    assert not any(alive(pid) for pid in pids)
    assert processes_of_course(settings.root) == []
    assert (folder / "hangs.ipynb").read_bytes() == earlier
    assert not list(folder.glob(".partial*"))
    page = settings.runs_dir / "quick" / "quick.html"
    assert "hello page" in page.read_text(encoding="utf-8")


def test_a_killed_parent_leaves_no_worker_and_no_kernel(make_course: MakeCourse) -> None:
    settings = make_course({"hangs": HANG})
    started = settings.runs_dir / "hangs" / "started"
    with (
        tempfile.TemporaryDirectory() as temporary,
        start(settings.root, ["hangs"], environment={**os.environ, "TMPDIR": temporary}) as process,
    ):
        wait_for(started.exists)
        pids = [int(pid) for pid in started.read_text().split()]
        process.kill()
        process.communicate(timeout=60)
        wait_for(lambda: not processes_of_course(settings.root) and not any(alive(pid) for pid in pids), seconds=90)
        wait_for(lambda: os.listdir(temporary) == [], seconds=90)


def test_a_caller_that_raises_still_gets_everything_cleaned_up(
    make_course: MakeCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_course({"hangs": HANG}, database=True)
    log: list[str] = []
    monkeypatch.setattr(database, "create_scratch", lambda label: "postgresql://scratch/x")
    monkeypatch.setattr(database, "drop_scratch", log.append)
    monkeypatch.setattr(database, "stop_embedded", lambda: log.append("server"))

    def fail(event: Event) -> None:
        if event.kind == "started":
            raise KeyError("a bug in the caller")

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyError, match="a bug in the caller"):
        running.run(settings=settings, on_event=fail)
    assert log == ["postgresql://scratch/x", "server"]
    assert processes_of_course(settings.root) == []
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_missing_database_is_an_error_before_anything_starts(
    make_course: MakeCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_course({"quick": ["1"]}, database=True)

    def refuse(label: str) -> str:
        raise DatabaseError("no Postgres here")

    monkeypatch.setattr(database, "create_scratch", refuse)
    monkeypatch.setattr(database, "stop_embedded", lambda: None)
    with pytest.raises(DatabaseError, match="no Postgres here"):
        running.run(settings=settings)
    assert processes_of_course(settings.root) == []


def test_a_second_run_of_the_same_module_is_refused(make_course: MakeCourse) -> None:
    settings = make_course({"quick": ["1"]})
    locks = settings.runs_dir / ".locks"
    locks.mkdir(parents=True)
    with open(locks / "quick", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="another `course run` is executing quick"):
            running.run(settings=settings)


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    make_course: MakeCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_course({"quick": ["1"]})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "ipykernel" else object())
    with pytest.raises(RunError, match="python -m pip install ipykernel"):
        running.run(settings=settings)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_become_a_request_to_stop_and_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with running._stop_on_signals() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(number) is before

"""Kernels that are forked from one process with everything imported: the same as others, only sooner, and gone as surely."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import nbformat
import psutil
import pytest

from coursekit.running import forking
from coursekit.running import runner as running
from coursekit.running.kernel_server import PRELOAD
from coursekit.running.records import Event
from coursekit.settings import Settings
from coursekit.zygote import ZygoteDied

from .conftest import MakeCourse, processes_of_course

SELF_PORTRAIT = """
import atexit, json, os, random, signal, sys, threading, time, numpy
def note(name):
    open(name, "w").close()
atexit.register(note, "at-exit")
threading.Thread(target=lambda: (time.sleep(0.3), note("thread-ended"))).start()
print(json.dumps({
    "name": __name__, "main": sys.modules["__main__"].__dict__ is globals(), "path": sys.path[0],
    "program": os.path.basename(sys.argv[0]), "leads a session": os.getsid(0) == os.getpid(),
    "interrupts": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
    "child signals": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
    "stdin": sys.stdin.read(), "token": os.environ["COURSE_RUN_TOKEN"], "backend": os.environ["MPLBACKEND"],
}))
print(random.random(), numpy.random.rand())
"""
FIGURE = "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])"
CHILDREN = "import subprocess\nprint(subprocess.run(['sh', '-c', 'echo $COURSE_RUN_TOKEN'], capture_output=True, text=True).stdout)"


def run(settings: Settings, **options: Any) -> dict[str, Any]:
    results = running.run(settings=settings, **options)
    assert [(result.status, result.message) for result in results] == [("ok", "")] * len(results)
    return {result.module: nbformat.read(result.output, as_version=4).cells[1:] for result in results if result.output}


def test_what_is_imported_before_the_fork_starts_nothing() -> None:
    code = (
        "import importlib, sys, threading\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "import zmq, asyncio\n"
        "from tornado.ioloop import IOLoop\n"
        "print(threading.active_count(), zmq.Context._instance, IOLoop.current(instance=False),"
        " {'matplotlib.pyplot', 'matplotlib_inline.backend_inline'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, *PRELOAD], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 None None set()"


def test_a_forked_kernel_looks_like_any_other_from_inside(make_course: MakeCourse) -> None:
    settings = make_course({"one": [SELF_PORTRAIT, FIGURE, CHILDREN], "two": [SELF_PORTRAIT, FIGURE, CHILDREN]})
    forked = run(settings)
    folder = settings.runs_dir / "one"
    for name in ("at-exit", "thread-ended"):
        (folder / name).unlink()  # made when the kernel ended
    plain = run(settings, zygote=False)
    portraits, chances = [], set()
    for cells in (forked["one"], forked["two"], plain["one"]):
        first, second = cells[0].outputs[0].text.splitlines()
        portrait = json.loads(first)
        assert cells[2].outputs[0].text.strip() == portrait.pop("token")
        portraits.append(portrait)
        chances.add(second)
        assert [output.output_type for output in cells[1].outputs] == ["display_data"]
        assert "image/png" in cells[1].outputs[0].data
    assert portraits[0] == portraits[1] == portraits[2]
    assert portraits[0]["interrupts"] and portraits[0]["leads a session"] and portraits[0]["stdin"] == ""
    assert len(chances) == 3
    assert processes_of_course(settings.root) == []


def test_kernels_that_are_started_one_by_one_end_the_same_ways(make_course: MakeCourse) -> None:
    settings = make_course({"exits": ["import os\nos._exit(3)"], "workerless": ["import os\nos.kill(os.getppid(), 9)"]})
    exits, workerless = running.run(settings=settings, workers=2, zygote=False)
    assert (exits.status, workerless.status) == ("kernel-died", "kernel-died")
    assert "exit code 3" in exits.message and "signal 9" in workerless.message
    assert processes_of_course(settings.root) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere they are found when the whole run ends")
def test_what_a_forked_kernel_forks_and_detaches_ends_with_its_notebook(make_course: MakeCourse) -> None:
    detach = (
        "import os, time\n"
        "read, write = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        os.write(write, str(os.getpid()).encode())\n"
        "        time.sleep(300)\n"
        "    os._exit(0)\n"
        "print(os.read(read, 20).decode())"
    )
    settings = make_course({"detaches": [detach], "later": ["1"]})
    left: list[bool] = []

    def look(event: Event) -> None:
        if event.kind == "finished" and event.module == "detaches":
            assert event.result is not None and event.result.output is not None
            cells = nbformat.read(event.result.output, as_version=4).cells
            left.append(psutil.pid_exists(int(cells[1].outputs[0].text)))

    run(settings, workers=1, on_event=look)
    assert left == [False]


def test_without_a_process_to_fork_from_kernels_are_started_one_by_one(
    make_course: MakeCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ZygoteDied("it did not come up")

    monkeypatch.setattr(forking.Zygote, "start", refuse)
    events: list[Event] = []
    settings = make_course({"quick": ["1 + 1"]})
    cells = run(settings, on_event=events.append)
    assert cells["quick"][0].outputs[0].data["text/plain"] == "2"
    assert [event.message for event in events if event.kind == "warning"] == [
        "kernels are started the slow way: it did not come up"
    ]

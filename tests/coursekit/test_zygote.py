"""The fork server: what a child gets, how it ends, and that nothing outlives its owner."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from coursekit import messages
from coursekit.zygote import Zygote, ZygoteDied

CHILDREN = '''
"""What the tests' children do."""
import os, random, signal, socket, subprocess, sys, time
from coursekit import messages
loaded = os.getpid()
def code(args, files): return args["code"]
def fail(args, files): raise RuntimeError("a child that fails")
def leave(args, files): raise SystemExit(9)
def sleep(args, files): time.sleep(60)
def tell(args, files):
    sock = socket.socket(fileno=files[0])
    open_files = sorted(int(name) for name in os.listdir("/dev/fd") if os.path.exists(f"/dev/fd/{name}"))
    messages.send(sock, {
        "environ": dict(os.environ), "cwd": os.getcwd(), "argv": len(sys.argv), "main": sorted(vars(sys.modules["__main__"])),
        "random": random.random(), "forked": loaded != os.getpid(), "files": open_files, "extra": os.read(files[1], 9).decode(),
        "signal": signal.getsignal(signal.SIGINT) is signal.default_int_handler, "leader": os.getsid(0) == os.getpid(), "args": args})
def speak(args, files):
    print("said", sys.stdin.readline().strip(), flush=True)
    print("complained", file=sys.stderr)
def detach(args, files):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    messages.send(socket.socket(fileno=files[0]), {"pid": child.pid})
'''


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "zygote_children.py").write_text(CHILDREN)
    return {"PATH": os.defpath, "PYTHONPATH": str(tmp_path)}


@pytest.fixture
def zygote(environ: dict[str, str]) -> Iterator[Zygote]:
    started = Zygote.start(["zygote_children", "no_such_module"], environ=environ)
    yield started
    started.close()
    assert not started.is_alive()


def _wait(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def _told(zygote: Zygote, **options: Any) -> dict[str, Any]:
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    os.write(writing, b"by a pipe")
    with ours, theirs:
        pid = zygote.spawn("zygote_children:tell", {"n": [1, "é"]}, [theirs.fileno(), reading], **options)
        for file in (reading, writing):
            os.close(file)
        told, _ = messages.receive(ours)
        assert zygote.wait(pid, 15) == 0
    return dict(told)


def test_a_child_has_what_it_was_given_and_nothing_else(zygote: Zygote, tmp_path: Path) -> None:
    told = _told(zygote, environ={"ONLY": "this"}, cwd=str(tmp_path))
    assert told["environ"].pop("LC_CTYPE", None) in (None, "C.UTF-8")
    assert (told["environ"], told["cwd"], told["args"]) == ({"ONLY": "this"}, str(tmp_path), {"n": [1, "é"]})
    assert (told["extra"], told["argv"], told["forked"], told["signal"], told["leader"]) == (
        "by a pipe",
        1,
        True,
        True,
        True,
    )
    assert set(told["main"]) <= {"__name__", "__doc__", "__package__", "__loader__", "__spec__"}
    assert len(told["files"]) <= 6  # 0, 1, 2, the two passed ones, and the listing's own


def test_children_draw_different_random_numbers(zygote: Zygote) -> None:
    assert _told(zygote, environ={})["random"] != _told(zygote, environ={})["random"]


@pytest.mark.parametrize(("entry", "expected"), [("code", 7), ("leave", 9), ("fail", 70), ("missing", 70)])
def test_exit_codes_come_back(zygote: Zygote, entry: str, expected: int) -> None:
    pid = zygote.spawn(f"zygote_children:{entry}", {"code": 7}, environ={})
    assert zygote.wait(pid, 15) == expected
    assert zygote.poll(pid) == expected
    zygote.forget(pid)


def test_what_a_failing_child_wrote_can_be_read(zygote: Zygote) -> None:
    zygote.wait(zygote.spawn("zygote_children:fail", {}, environ={}), 15)
    assert "RuntimeError: a child that fails" in zygote.said()


def test_a_child_is_killed_with_its_exit_code_telling_so(zygote: Zygote) -> None:
    pid = zygote.spawn("zygote_children:sleep", {}, environ={})
    assert zygote.poll(pid) is None and zygote.wait(pid, 0.05) is None
    zygote.kill(pid)
    assert zygote.wait(pid, 15) == -signal.SIGKILL
    zygote.kill(pid)  # once more does no harm
    assert zygote.wait(zygote.spawn("zygote_children:code", {"code": 0}, environ={}), 15) == 0


def test_files_become_the_childs_standard_streams(zygote: Zygote, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello\n")
    with open(tmp_path / "in") as given, open(tmp_path / "out", "w") as out, open(tmp_path / "err", "w") as err:
        files = [given.fileno(), out.fileno(), err.fileno()]
        assert zygote.wait(zygote.spawn("zygote_children:speak", {}, files, environ={}, stdio=True), 15) == 0
    assert (tmp_path / "out").read_text() == "said hello\n"
    assert (tmp_path / "err").read_text() == "complained\n"


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_what_a_child_detaches_ends_with_it(zygote: Zygote) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = zygote.spawn("zygote_children:detach", {}, [theirs.fileno()], environ={"PATH": os.defpath})
        stray, _ = messages.receive(ours)
        assert zygote.wait(pid, 15) == 0
    assert _wait(lambda: not psutil.pid_exists(stray["pid"]))


def test_closing_ends_the_children(environ: dict[str, str]) -> None:
    zygote = Zygote.start(["zygote_children"], environ=environ)
    pid = zygote.spawn("zygote_children:sleep", {}, environ={})
    zygote.close()
    assert _wait(lambda: not psutil.pid_exists(pid))
    with pytest.raises(ZygoteDied):
        zygote.spawn("zygote_children:code", {"code": 0}, environ={})


OWNER = """
import time
from coursekit.zygote import Zygote
zygote = Zygote.start(["zygote_children"])
print(zygote.process.pid, zygote.spawn("zygote_children:sleep", {}, environ={}), flush=True)
time.sleep(60)
"""


def test_an_owner_that_is_killed_leaves_nobody_behind(environ: dict[str, str]) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, env=environ, text=True) as owner:
        assert owner.stdout is not None
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 2 and all(map(psutil.pid_exists, pids))
        owner.kill()
    assert _wait(lambda: not any(map(psutil.pid_exists, pids)))


def test_a_preload_that_fails_is_quoted(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "broken_preload.py").write_text("raise RuntimeError('this module is broken')")
    with pytest.raises(ZygoteDied, match="this module is broken"):
        Zygote.start(["broken_preload"], environ=environ)
    with pytest.raises(ZygoteDied, match="did not start"):
        Zygote.start([], prefix=[sys.executable, "-c", "raise SystemExit(3)"], environ=environ)


def test_a_zygote_may_be_reached_by_a_path(environ: dict[str, str], tmp_path: Path) -> None:
    zygote = Zygote.start(["zygote_children"], environ=environ, via=str(tmp_path / "control"))
    try:
        assert _told(zygote, environ={"A": "b"})["environ"]["A"] == "b"
    finally:
        zygote.close()
    with pytest.raises(ZygoteDied):
        Zygote.start([], prefix=["false"], environ=environ, via=str(tmp_path / "other"))


def test_a_zygote_that_is_killed_is_missed(zygote: Zygote) -> None:
    assert zygote.process is not None
    pid = zygote.spawn("zygote_children:sleep", {}, environ={})
    zygote.process.kill()
    with pytest.raises(ZygoteDied, match="is gone"):
        zygote.wait(pid, 15)

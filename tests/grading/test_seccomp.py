"""The filter on system calls: installed in a child, it refuses what it lists and lets ordinary work through."""

from __future__ import annotations

import subprocess
import sys

import pytest

from coursekit.grading.isolation import seccomp, syscalls

pytestmark = pytest.mark.skipif(not syscalls.is_linux(), reason="system calls are filtered on Linux only")

_INSTALL = """
import os, socket, subprocess, sys, threading
from coursekit.grading.isolation import seccomp, syscalls
syscalls.no_new_privileges()
seccomp.refuse_calls()
"""


def _child(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", _INSTALL + code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "attempt",
    ["os.memfd_create('x')", "socket.socket(40, socket.SOCK_STREAM)", "socket.socket(17, socket.SOCK_RAW)"],
)
def test_memory_files_and_odd_sockets_are_refused(attempt: str) -> None:
    assert _child(f"try:\n    {attempt}\nexcept OSError as error:\n    print(error.errno)") == "1"


def test_tracing_and_mounting_are_refused() -> None:
    code = "import ctypes\nlibc = ctypes.CDLL(None)\nprint(libc.ptrace(0, 0, None, None), libc.mount(b'x', b'/', b'tmpfs', 0, None))"
    assert _child(code) == "-1 -1"


def test_processes_threads_files_and_sockets_work() -> None:
    code = """
done = []
thread = threading.Thread(target=done.append, args=(1,))
thread.start(); thread.join()
left, right = socket.socketpair()
with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
    print(done, subprocess.run(["true"]).returncode, os.getpid() > 0)
"""
    assert _child(code) == "[1] 0 True"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_program_fits_what_its_jumps_can_reach(machine: str) -> None:
    assert len(seccomp._program(machine)) // 8 < 255


def test_an_unknown_machine_is_said() -> None:
    with pytest.raises(OSError, match="pdp11"):
        seccomp._program("pdp11")

"""The process above the learner's: sets the stage, starts the learner, watches, and leaves nobody behind.

In namespaces of its own it is pid 1, which nothing inside can signal. Without them it adopts whatever the learner's
process detaches (Linux), and ends it. It tells the judge how things ended over a socket that the learner never has.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

from coursekit import messages, zygote
from coursekit.grading.isolation import enclosure, seccomp, syscalls
from coursekit.grading.isolation.limits import limit
from coursekit.grading.memory import descendants

_ROUND_SECONDS = 0.05
_KILL_ROUNDS = 200


def main(args: dict[str, Any], files: list[int]) -> int:
    """Run `args["entry"]` on `files[0]`, its channel, and report on `files[1]`."""
    channel, status = files
    report = socket.socket(fileno=status)
    report.set_inheritable(False)
    depth = args["depth"]
    try:
        if depth:
            enclosure.enter(depth, args["paths"], args["limits"]["disk_mb"])
        else:
            zygote.adopt_orphans()
        if args["own_network"]:
            _hand_over_ports(report, args["ports"])
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if syscalls.is_linux():
            syscalls.hide_memory()
        pid = os.fork()
    except OSError as error:
        _tell(report, "setup", f"the learner's process cannot be set apart: {error}")
        return 71
    if pid == 0:
        _become_learner(args, channel, report)
    os.close(channel)
    reason, code = _watch(pid, args["limits"])
    _end_everything(bool(depth))
    _tell(report, reason, code)
    return 0


def _become_learner(args: dict[str, Any], channel: int, report: socket.socket) -> None:
    code = 70
    try:
        zygote.die_with_parent()
        report.close()
        home = args["home"]
        os.environ["HOME"] = home
        os.environ["TMPDIR"] = os.path.join(home, "tmp")
        own_user = False
        if args["depth"]:
            own_user = True
            enclosure.shed_rights(enclosure.maps_nobody())
        if syscalls.is_linux():
            syscalls.no_new_privileges()
            syscalls.hide_memory(False)
            with suppress(OSError):  # a container engine whose kernel has no filters
                seccomp.refuse_calls()
        for folder in ("tmp", "work"):
            os.makedirs(os.path.join(home, folder), exist_ok=True)
        os.chdir(os.path.join(home, "work"))
        limit(args["limits"], own_user)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        module, _, function = args["entry"].partition(":")
        entry = getattr(importlib.import_module(module), function)
        with open(os.devnull, "r+b") as nowhere:
            for number in (0, 1, 2):
                os.dup2(nowhere.fileno(), number)
        code = entry(args["args"], [channel])
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001  the fork must not return into the warden
        import traceback

        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(code & 0xFF if isinstance(code, int) else 0)


def _hand_over_ports(report: socket.socket, ports: list[int]) -> None:
    """Listen on the learner's own loopback, and give the listening sockets to the judge, who serves them."""
    listeners = []
    for port in ports:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        listeners.append(listener)
    messages.send(report, {"ports": ports}, [listener.fileno() for listener in listeners])
    for listener in listeners:
        listener.close()


def _tell(report: socket.socket, reason: str, detail: Any) -> None:
    with suppress(OSError, messages.BadMessage):
        messages.send(report, {"ended": reason, "detail": detail})


def _watch(pid: int, limits: dict[str, Any]) -> tuple[str, int]:
    """Wait for the learner's end, or bring it about; says why and with which exit code."""
    baseline = _memory_kb(pid)
    while True:
        while True:
            try:
                done, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return "exit", 0
            if done == pid:
                return "exit", os.waitstatus_to_exitcode(status)
            if done == 0:
                break
        family = _family()
        if len(family) > limits["processes"]:
            return "processes", len(family)
        used = sum(max(_memory_kb(member) - baseline, 0) for member in family)
        if used > limits["memory_mb"] * 1024:
            return "memory", used // 1024
        time.sleep(_ROUND_SECONDS)


def _family() -> list[int]:
    """All descendants, or in a pid namespace all processes but this one. Empty where there is no /proc."""
    if os.getpid() == 1:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]
    return descendants(os.getpid())


def _memory_kb(pid: int) -> int:
    """Memory that is its own: not backed by a file, not given back."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
            return sum(int(line.split()[1]) for line in status if line.startswith(("RssAnon:", "RssShmem:")))
    except (OSError, ValueError, IndexError):
        return 0


def _end_everything(is_enclosed: bool) -> None:
    for _ in range(_KILL_ROUNDS):
        if is_enclosed:
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        else:
            for member in _family():
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(member, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)

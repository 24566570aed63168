"""A fork server: one process that has imported everything, from which others are forked within milliseconds.

`Zygote.start([...])` runs `python -m coursekit.zygote`, which imports the named modules and then waits on a socket. Each
`spawn` forks a child that runs `module:function(args, files)` and ends with what it returns as its exit code. The idea is
Android's zygote and CPython's `multiprocessing.forkserver`; this one passes open files, environments and exit codes.

Before the fork there is no thread, no event loop and no zmq context; after it the child has its own session, default
signals, fresh random states and an empty `__main__`. When the owner of the socket is gone, zygote and children end.
"""

from __future__ import annotations

import gc
import importlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

from coursekit import messages

START_SECONDS = 120.0
_SPAWN_SECONDS = 30.0


class ZygoteDied(Exception):
    """The fork server ended, or does not answer."""


class Zygote:
    """The owner's end of a fork server. Use it from one thread at a time."""

    def __init__(
        self, sock: socket.socket, process: subprocess.Popen[bytes] | None = None, log: IO[bytes] | None = None
    ) -> None:
        self.sock = sock
        self.process = process
        self._log = log
        self._exits: dict[int, int] = {}
        self._replies: list[dict[str, Any]] = []

    @classmethod
    def start(
        cls,
        preload: Sequence[str],
        *,
        prefix: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        via: str | None = None,
    ) -> Zygote:
        """Start one; `prefix` is put before the Python command (a sandbox), `preload` is imported before the first fork.

        Args:
            via: a path for a unix socket, where a sandbox lets no open file through (a container).

        Raises:
            ZygoteDied: it did not come up; says what it wrote to stderr.
        """
        log = tempfile.TemporaryFile()  # noqa: SIM115  closed by `close`
        if via is None:
            ours, theirs = socket.socketpair()
        else:
            ours, theirs = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
            theirs.bind(via)
            os.chmod(via, 0o777)
            theirs.listen(1)
        with theirs:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-P", "-m", "coursekit.zygote", via or str(theirs.fileno()), *preload],
                pass_fds=[theirs.fileno()] if via is None else [],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=dict(os.environ if environ is None else environ),
                start_new_session=True,
            )
            if via is not None:
                ours.close()
                ours = _accept(theirs, process)
        zygote = cls(ours, process, log)
        try:
            zygote._reply("ready", START_SECONDS)
        except ZygoteDied:
            said = zygote.said()
            zygote.close()
            raise ZygoteDied(f"the process to fork from did not start: {said or 'it said nothing'}") from None
        return zygote

    def said(self, characters: int = 600) -> str:
        """The end of what the zygote and its children wrote to stderr."""
        if self._log is None:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), characters, max(size - characters, 0)).decode(errors="replace").strip()

    def spawn(
        self,
        entry: str,
        args: Mapping[str, Any],
        files: Sequence[int] = (),
        *,
        environ: Mapping[str, str],
        cwd: str = "/",
        stdio: bool = False,
    ) -> int:
        """Fork a child that runs `entry` ("module:function") with `args` and its copies of `files`; returns its pid.

        With `stdio` the first three files become its standard input, output and error; otherwise these are /dev/null.
        The pid is the one that the zygote sees, which may live in another pid namespace.

        Raises:
            ZygoteDied: it is gone.
        """
        request = {
            "do": "spawn",
            "entry": entry,
            "args": dict(args),
            "environ": dict(environ),
            "cwd": cwd,
            "stdio": stdio,
        }
        self._send(request, files)
        return int(self._reply("spawned", _SPAWN_SECONDS)["pid"])

    def kill(self, pid: int, signum: int = signal.SIGKILL) -> None:
        """Signal a child and its process group; nothing happens when it has ended."""
        with suppress(ZygoteDied):
            self._send({"do": "kill", "pid": pid, "signal": int(signum)})

    def poll(self, pid: int) -> int | None:
        """The child's exit code (negative: the signal that ended it), or None while it runs."""
        return self.wait(pid, 0.0)

    def wait(self, pid: int, timeout: float) -> int | None:
        """Wait for a child's end; returns its exit code, or None when `timeout` (seconds) is over.

        Raises:
            ZygoteDied: it is gone, and the children with it.
        """
        deadline = time.monotonic() + timeout
        while pid not in self._exits:
            left = deadline - time.monotonic()
            if not self._take(max(left, 0.0)) and left <= 0:
                return None
        return self._exits[pid]

    def is_alive(self) -> bool:
        """Does its process still run? Only the one that started it can tell."""
        return self.process is not None and self.process.poll() is None

    def forget(self, pid: int) -> None:
        """Drop the exit code of a child that nobody will ask for again."""
        self._exits.pop(pid, None)

    def close(self) -> None:
        """End the zygote and all its children."""
        self.sock.close()
        if self._log is not None:
            self._log.close()
            self._log = None
        if self.process is not None:
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def _send(self, request: Mapping[str, Any], files: Sequence[int] = ()) -> None:
        try:
            messages.send(self.sock, request, files)
        except OSError as error:
            raise ZygoteDied(f"the process to fork from is gone: {error}") from None

    def _reply(self, kind: str, timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while True:
            for reply in self._replies:
                if reply["is"] == kind:
                    self._replies.remove(reply)
                    return reply
            left = deadline - time.monotonic()
            if left <= 0:
                raise ZygoteDied(f"the process to fork from did not answer within {timeout:g} s")
            self._take(left)

    def _take(self, timeout: float) -> bool:
        """Read one message if there is one within `timeout`."""
        try:
            if not select.select([self.sock], [], [], timeout)[0]:
                return False
            message, _ = messages.receive(self.sock)
        except (EOFError, OSError, ValueError, messages.BadMessage) as error:
            raise ZygoteDied(f"the process to fork from is gone: {error}") from None
        if message["is"] == "exited":
            self._exits[message["pid"]] = message["code"]
        else:
            self._replies.append(message)
        return True


def _accept(listener: socket.socket, process: subprocess.Popen[bytes]) -> socket.socket:
    """The connection that the new process makes; a closed socket when it ended before."""
    listener.settimeout(0.2)
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(TimeoutError):
            sock, _ = listener.accept()
            sock.settimeout(None)
            return sock
    nobody, other = socket.socketpair()
    other.close()
    return nobody


# ── inside the fork server ───────────────────────────────────────────────────────────────────────────────────


def serve(sock: socket.socket, preload: Sequence[str]) -> None:
    """Import, then fork on request until the owner closes the socket."""
    for name in preload:
        with suppress(ImportError):  # an optional package that this installation lacks
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the collector would touch, and so copy, every shared page
    wakeup, signalled = os.pipe()
    os.set_blocking(wakeup, False)
    os.set_blocking(signalled, False)
    signal.set_wakeup_fd(signalled, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    adopt_orphans()
    children: set[int] = set()
    try:
        messages.send(sock, {"is": "ready"})
        while True:
            readable, _, _ = select.select([sock.fileno(), wakeup], [], [])
            if wakeup in readable:
                with suppress(BlockingIOError):
                    os.read(wakeup, 4096)
                _reap(sock, children)
            if sock.fileno() in readable:
                request, files = messages.receive(sock, takes_files=True)
                if request["do"] == "spawn":
                    children.add(_fork(sock, (wakeup, signalled), request, files))
                elif request["pid"] in children:
                    _signal(request["pid"], request["signal"])
    except (EOFError, OSError, messages.BadMessage):
        pass
    finally:
        for pid in children:
            _signal(pid, signal.SIGKILL)


def _reap(sock: socket.socket, children: set[int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid in children:
            children.discard(pid)
            _signal_group(pid, signal.SIGKILL)
            _end_strays(children)
            messages.send(sock, {"is": "exited", "pid": pid, "code": os.waitstatus_to_exitcode(status)})


def _end_strays(children: set[int]) -> None:
    """Kill adopted orphans: what a child started, detached and left behind (Linux; elsewhere their owners see to it)."""
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return  # /proc shows another pid namespace: its numbers are not ours
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as listing:
            mine = {int(word) for word in listing.read().split()}
    except OSError:
        return
    for pid in mine - children:
        _signal(pid, signal.SIGKILL)


def _fork(sock: socket.socket, pipes: tuple[int, int], request: dict[str, Any], files: list[int]) -> int:
    pid = os.fork()
    if pid:
        messages.close(files)
        messages.send(sock, {"is": "spawned", "pid": pid})
        return pid
    code = 70
    try:
        sock.close()
        for pipe in pipes:
            os.close(pipe)
        code = _run(request, files)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001  a forked child must never return into the server's loop
        import traceback

        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code & 0xFF)


def _run(request: dict[str, Any], files: list[int]) -> int:
    os.setsid()
    die_with_parent()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    if request["stdio"]:
        files = _take_stdio(files)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    sys.argv = [sys.argv[0]]
    sys.modules["__main__"] = types.ModuleType("__main__")
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    module, _, function = request["entry"].partition(":")
    result = getattr(importlib.import_module(module), function)(request["args"], files)
    return result if isinstance(result, int) else 0


def _take_stdio(files: list[int]) -> list[int]:
    high = [os.dup(file) for file in files[:3]]
    for number, file in enumerate(high):
        os.dup2(file, number)
        os.set_inheritable(number, True)
        os.close(file)
    messages.close([file for file in files[:3] if file > 2])
    return files[3:]


def _signal(pid: int, number: int) -> None:
    _signal_group(pid, number)
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _prctl(option: int, value: int) -> bool:
    """Linux's prctl; False elsewhere."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)


def die_with_parent() -> bool:
    """Ask the kernel to kill this process when its parent ends (Linux only; False elsewhere)."""
    return _prctl(1, signal.SIGKILL)


def adopt_orphans() -> bool:
    """Become the parent of descendants whose own parent has ended (Linux only; False elsewhere)."""
    return _prctl(36, 1)


def main() -> None:
    """`python -m coursekit.zygote <descriptor or socket path> [module …]`, started by `Zygote.start`."""
    if sys.argv[1].isdigit():
        sock = socket.socket(fileno=int(sys.argv[1]))
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(sys.argv[1])
    sock.set_inheritable(False)
    serve(sock, sys.argv[2:])


if __name__ == "__main__":
    from coursekit.zygote import main as imported_main  # so that forked children see one copy of this module

    imported_main()

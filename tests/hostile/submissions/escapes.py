"""Attacks on the isolation itself: kernel interfaces that namespaces do not cover, memory that nobody counts, signals.

An own cell before right answers confesses what was possible. What could hurt this machine is tried only where the payload
sees that it is in a process namespace of its own (`apart`), and never beyond opening or attaching.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.hostile.maker import ALL, Hostile, attack, without
from tests.hostile.scene import Scene
from tests.hostile.submissions.resources import _no_big_files

KERNEL = '''
import ctypes
import errno
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)


def apart():
    """In a process namespace of its own: pid 1 is a grader's process, and there are few others."""
    return os.getpid() != 1 and len([name for name in os.listdir("/proc") if name.isdigit()]) < 10


def must_fail(what, result):
    if result is not None and result >= 0:
        LOOT.append(what)

'''


def _escape(
    name: str,
    what: str,
    code: str,
    *,
    needs_isolation: bool = True,
    leaves: Callable[[Scene], None] | None = None,
    may_earn: frozenset[str] | None = None,
) -> Hostile:
    earns = ALL if may_earn is None else frozenset[str]()
    return attack(name, what, first=KERNEL + code, confess=True, needs_isolation=needs_isolation, leaves=leaves, earns=earns, may_earn=may_earn or frozenset())  # fmt: skip


def _weapon(
    name: str, what: str, body: str, *, needs_isolation: bool = False, may_earn: frozenset[str] = frozenset()
) -> Hostile:
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    source = f"{KERNEL}\n\ndef slug(text):\n{lines}\n    return text"
    return attack(name, what, informed=True, earns=without("slug"), may_earn=may_earn, replaced={"slug": source}, needs_isolation=needs_isolation)  # fmt: skip


MEMFD = """
def memory_files():
    held = []
    for number in range(10):
        file = os.memfd_create(MARKER)
        for _ in range(30):
            os.write(file, b"x" * 1_000_000)
        held.append(file)
    LOOT.append("300 MB in memory that belongs to no process")


trying(memory_files)
"""

SHARED_MEMORY = """
KEY = int(MARKER[2:], 16) & 0x7FFFFFFF
size = 64 << 20
if LIBC.shmget(KEY, 0, 0o600) >= 0:
    LOOT.append("shared memory of an earlier submission")
number = LIBC.shmget(KEY, size, 0o1600)  # IPC_CREAT
if number >= 0:
    LOOT.append("64 MB of shared memory that outlives the process")
    LIBC.shmctl(number, 0, None)  # this suite leaves nothing behind, even when it gets through
"""

KEYRING = """
ADD_KEY = {"x86_64": 248, "aarch64": 217}[os.uname().machine]
for ring in (-4, -5):  # the user's and the session's keyring
    must_fail(f"a key in keyring {ring}", LIBC.syscall(ADD_KEY, b"user", MARKER.encode(), b"x", ctypes.c_size_t(1), ring))
"""

NAMESPACES = """
for flag, name in ((0x10000000, "user"), (0x00020000, "mount"), (0x40000000, "network"), (0x20000000, "pid")):
    if os.fork() == 0:
        os._exit(0 if LIBC.unshare(flag) == 0 else 1)
    if os.wait()[1] == 0:
        LOOT.append(f"a new {name} namespace")
must_fail("a mount", LIBC.mount(b"x", b"/tmp", b"tmpfs", 0, None))
must_fail("an unmount", LIBC.umount2(b"/proc", 2))
must_fail("a changed root", LIBC.chroot(b"/tmp"))
for pid in ("1", str(os.getppid())):
    for kind in ("mnt", "net", "pid", "user"):
        try:
            file = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
        except OSError:
            continue
        if LIBC.setns(file, 0) == 0:
            LOOT.append(f"joined the {kind} namespace of {pid}")
"""

SOCKETS = """
for family, kind, name in ((40, socket.SOCK_STREAM, "vsock"), (17, socket.SOCK_RAW, "packet"), (38, socket.SOCK_SEQPACKET, "alg"),
                           (2, socket.SOCK_RAW, "raw"), (30, socket.SOCK_SEQPACKET, "tipc"), (31, socket.SOCK_RAW, "bluetooth")):
    try:
        socket.socket(family, kind).close()
        LOOT.append(f"a socket of the family {name}, which no network namespace holds back")
    except OSError:
        continue
"""

TRACE = """
if apart():
    for pid in {1, os.getppid()}:
        if LIBC.ptrace(16, pid, None, None) == 0:  # PTRACE_ATTACH
            LOOT.append(f"traces process {pid}")
            LIBC.ptrace(17, pid, None, None)
        for name in ("mem", "environ", "maps", "auxv"):
            try:
                os.close(os.open(f"/proc/{pid}/{name}", os.O_RDWR if name == "mem" else os.O_RDONLY))
                LOOT.append(f"opens /proc/{pid}/{name}")
            except OSError:
                continue
        try:
            LOOT.extend(f"descriptor {number} of {pid}" for number in os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue
"""

TUNABLES = """
for path in ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches",
             "/sys/kernel/uevent_helper", "/proc/1/oom_score_adj", "/dev/mem", "/dev/kmsg", "/dev/fuse", "/dev/net/tun",
             "/dev/kvm", "/proc/kcore", "/proc/sys/user/max_user_namespaces", "/etc/passwd", "/dev/vda", "/dev/vsock"):
    try:
        os.close(os.open(path, os.O_WRONLY))  # opened, never written
        LOOT.append(f"may write {path}")
    except OSError:
        continue
"""

PRIVILEGES = """
status = open("/proc/self/status").read()
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    value = status.split(name + ":")[1].split()[0]
    if int(value, 16):
        LOOT.append(f"{name} {value}")
if "NoNewPrivs:\\t1" not in status:
    LOOT.append("may gain privileges")
if os.getuid() == 0 or os.getgid() == 0 or os.getgroups() not in ([], [os.getgid()], [65534], [1000]):
    LOOT.append(f"user {os.getuid()}, group {os.getgid()}, groups {os.getgroups()}")
for step in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
    try:
        step()
        LOOT.append("became root")
    except OSError:
        continue
"""

SIGNALS = """
if apart():
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGUSR1, signal.SIGSEGV, signal.SIGALRM):
        try:
            os.kill(1, number)
        except OSError:
            continue
"""

ADDRESSES = """
for path in ("/run", "/var/run", "/tmp", "/var/tmp", os.environ.get("XDG_RUNTIME_DIR", "/run/user")):
    for folder, folders, files in os.walk(path):
        for name in files:
            place = os.path.join(folder, name)
            try:
                if os.path.exists(place) and (os.stat(place).st_mode & 0o170000) == 0o140000:
                    LOOT.append(f"a socket at {place}")
            except OSError:
                continue
LOOT.extend(line.split()[-1] for line in open("/proc/net/unix").read().splitlines()[1:] if "@" in line or "docker" in line)
LOOT.extend(f"a device {line.split(':')[0].strip()}" for line in open("/proc/net/dev").read().splitlines()[2:] if "lo:" not in line)
"""

STAGE = """
for folder, folders, files in os.walk(os.environ["COURSE_ROOT"]):
    for name in files:
        path = os.path.join(folder, name)
        if "solution" in path or name.endswith((".ipynb", ".db")):
            LOOT.append(path)
        try:
            os.close(os.open(path, os.O_WRONLY))
            LOOT.append(f"may write {path}")
        except OSError:
            continue
import coursekit, simllm
for module in (coursekit, simllm, os, sys.modules["numpy"]):
    folder = os.path.dirname(module.__file__)
    try:
        os.close(os.open(os.path.join(folder, MARKER), os.O_CREAT | os.O_WRONLY))
        LOOT.append(f"may write into {folder}")
        os.unlink(os.path.join(folder, MARKER))
    except OSError:
        continue
"""

KILL_ALL = """
if apart():
    os.kill(-1, signal.SIGKILL)
"""

THREADS = """
def wait():
    time.sleep(30)

for _ in range(10_000):
    try:
        threading.Thread(target=wait, daemon=True).start()
    except (RuntimeError, MemoryError):
        break
"""

SPARSE = """
for number in range(200):
    try:
        with open(f"/tmp/{MARKER}-{number}", "wb") as file:
            file.truncate(10 << 40)
    except (OSError, ValueError):
        continue
"""

INODES = """
for number in range(100_000):
    try:
        os.mkdir(f"/tmp/{MARKER}-{number}")
    except OSError:
        break
"""

DAEMONS = """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            try:
                open("/proc/self/comm", "w").write(MARKER)
            except OSError:
                pass
            LIBC.prctl(1, 0, 0, 0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
        os._exit(0)
    os.wait()
"""

STOPPED_CHILDREN = """
children = []
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        open("/proc/self/comm", "w").write(MARKER)
        time.sleep(60)
        os._exit(0)
    os.kill(pid, signal.SIGSTOP)
"""

ZOMBIES = """
for _ in range(200):
    try:
        if os.fork() == 0:
            os._exit(0)
    except OSError:
        break
"""

PIPES = """
held = []
try:
    while True:
        read, write = os.pipe()
        held.append(read)
        os.set_blocking(write, False)
        os.write(write, b"x" * 65536)
except OSError:
    pass
"""

PICKLE = """
import pickle
held = pickle.dumps([b"x" * 1_000_000 for _ in range(1)] * 1)
tree = ["x"]
for _ in range(22):
    tree = [tree, tree]
text = repr(tree)
"""

SHARED_MAP = """
import mmap
held = mmap.mmap(-1, 700 << 20)
for offset in range(0, 700 << 20, 4096):
    held[offset] = 1
"""

EXACTLY = "time.sleep(4.0)"
DISPLAYS = "from IPython.display import display\nfor _ in range(1_000_000):\n    display(1)"
LARGE_ERROR = 'raise ValueError("x" * 50_000_000)'

SUBMISSIONS = [
    _escape("memory-files", "300 MB in memory files, which belong to no process", MEMFD, may_earn=ALL),
    _escape("shared-memory", "System V shared memory for the next learner", SHARED_MEMORY),
    _escape("keyring", "keys in the kernel's keyrings", KEYRING),
    _escape("new-namespaces", "new namespaces, mounts, roots; joins those of others", NAMESPACES),
    _escape("odd-sockets", "sockets that network namespaces do not hold back", SOCKETS),
    _escape("traced-parent", "traces and reads the processes above it", TRACE),
    _escape("tunables", "devices and settings of the machine", TUNABLES),
    _escape("privileges", "capabilities and identities", PRIVILEGES),
    _escape("signals-up", "signals to the first process of its namespace", SIGNALS),
    _escape("sockets-around", "sockets and devices of the machine", ADDRESSES),
    _escape("stage", "what lies on its stage, and whether it can be changed", STAGE),
    _escape("sparse", "200 sparse files of ten terabytes", SPARSE, leaves=_no_big_files),
    _escape("inodes", "100,000 folders", INODES, leaves=_no_big_files),
    _weapon("kill-all", "kills everything that it may, from a namespace of its own", KILL_ALL, needs_isolation=True),
    _weapon("ten-thousand-threads", "starts 10,000 threads", THREADS),
    _weapon("daemons", "leaves daemons behind in the middle of a check", DAEMONS),
    _weapon("stopped-children", "stops its children", STOPPED_CHILDREN),
    _weapon("zombies", "200 children that nobody waits for", ZOMBIES),
    _weapon("pipes", "fills pipes until there are none", PIPES),
    _weapon("pickle", "a large pickle and a text that doubles 22 times", PICKLE),
    _weapon("shared-map", "700 MB of shared memory pages", SHARED_MAP),
    _weapon("exactly", "answers when the limit is reached", EXACTLY),
    _weapon("displays", "shows something a million times in a check", DISPLAYS),
    _weapon("large-error", "an error with 50 MB of text", LARGE_ERROR),
]  # fmt: skip

"""Submissions that hang, die, hog or leave something running: the limit ends the call, earlier points stay, nothing remains.

Where the last exercise is the weapon, it earns nothing and the others count. Where an own cell is, it stands after the last
check, or it does nothing that the answers need.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.hostile.maker import Hostile, attack, without
from tests.hostile.scene import Scene

OTHERS = without("slug")


def _weapon(
    name: str, what: str, body: str, *, imports: str = "", needs_isolation: bool = False, leaves: object = None
) -> Hostile:
    """The last exercise does `body` when its check calls it, then answers wrongly."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    source = f"{imports}\n\n\ndef slug(text):\n{lines}\n    return text".strip()
    after = leaves if callable(leaves) else None
    return attack(
        name,
        what,
        earns=OTHERS,
        replaced={"slug": source},
        informed=True,
        needs_isolation=needs_isolation,
        leaves=after,
    )


def _no_big_files(scene: Scene) -> None:
    """Nothing of the marker's is left where temporary files go, in the instructor's HOME or outside."""
    places = [Path(tempfile.gettempdir()), Path("/dev/shm"), Path("/var/tmp"), scene.home, scene.outside]
    assert [path for place in places if place.is_dir() for path in place.glob(f"{scene.marker}*")] == []


STUBBORN = """
import signal
import time

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGXCPU, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        while time.monotonic() < end:
            pass
    except BaseException:
        continue
"""

POLITE_LOOP = """
import time

end = time.monotonic() + 60
while time.monotonic() < end:
    pass
"""

NAME_ITSELF = """
def mark():
    \"\"\"Carry the test's marker in this process's name: children inherit it.\"\"\"
    try:
        with open("/proc/self/comm", "w") as name:
            name.write(MARKER)
    except OSError:
        pass
"""

FORKS = """
mark()
for _ in range(60):
    try:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
    except OSError:
        break
"""

DETACHED = f"""
import os
import subprocess
import sys
import time

{NAME_ITSELF}

mark()
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(256):
                try:
                    os.close(number)
                except OSError:
                    pass
            time.sleep(60)
        os._exit(0)
    os.wait()
command = [sys.executable, "-c", "import time; time.sleep(60)", MARKER]
trying(lambda: subprocess.Popen(command, start_new_session=True, stdin=-3, stdout=-3, stderr=-3))
"""

IGNORING_CHILD = f"""
import os
import signal
import time

{NAME_ITSELF}

if os.fork() == 0:
    mark()
    for number in range(1, 32):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)
    os._exit(0)
"""

MEMORY = """
held = []
for _ in range(15):
    held.append(b"x" * 20_000_000)
    time.sleep(0.02)
time.sleep(1)
"""

DISK = """
for folder in (".", os.path.expanduser("~"), "/tmp", "/var/tmp", "/dev/shm", OUTSIDE):
    try:
        with open(os.path.join(folder, MARKER + "-big"), "wb") as file:
            for _ in range(16):
                file.write(b"x" * 1_000_000)
    except OSError as error:
        print(folder, error)
"""

MANY_FILES = """
for number in range(20_000):
    try:
        open(os.path.join("/tmp", f"{MARKER}-{number}"), "w").close()
    except OSError:
        break
"""

KILL_PARENT = """
parent = os.getppid()
if parent > 1:  # never the machine's own first process
    os.kill(parent, signal.SIGKILL)
"""

STOP_PARENT = KILL_PARENT.replace("SIGKILL", "SIGSTOP")

DESCRIPTORS = """
held = []
while len(held) < 5000:
    try:
        held.append(os.dup(0))
    except OSError:
        break
"""

THREADS = """
import threading
import time

started = 0
for _ in range(200):
    try:
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
    except RuntimeError:
        break
"""

RUINED_PLACE = """
import os
import sys

os.umask(0o777)
os.chdir("/")
sys.stdout = sys.stderr = sys.__stdout__ = None
sys.path.clear()
"""

SEGFAULT = "ctypes.string_at(0)"
RECURSION = "sys.setrecursionlimit(10**9)\ndeep = lambda n: deep(n + 1)\ndeep(0)"
NATIVE_RECURSION = "thing = ()\nfor _ in range(3_000_000):\n    thing = (thing,)\nhash(thing)"

SUBMISSIONS = [
    attack("own-loop", "an own cell that loops until it is interrupted; the answers come after it", first=POLITE_LOOP),
    attack("stubborn-loop", "an own cell that ignores every signal, after the last check", last=STUBBORN),
    attack("stubborn-first", "an own cell that ignores every signal, before the first exercise", first=STUBBORN, earns=frozenset(), may_earn=without()),
    attack("slow-notebook", "twelve own cells of two seconds each", last="import time\n\nfor _ in range(12):\n    time.sleep(2)"),
    _weapon("loop", "loops in a check", "while True:\n    pass"),
    _weapon("stubborn-call", "loops in a check and ignores every signal", STUBBORN),
    _weapon("sleep", "sleeps for a minute in a check", "time.sleep(60)", imports="import time"),
    _weapon("regex", "a regular expression that backtracks for ever and cannot be interrupted", 're.match(r"(a+)+$", "a" * 40 + "b")', imports="import re"),
    _weapon("power", "one C call that lasts for ever", "pow(7, 10**9)"),
    _weapon("stopped", "stops itself", "os.kill(os.getpid(), signal.SIGSTOP)", imports="import os\nimport signal"),
    _weapon("killed", "kills itself", "os.kill(os.getpid(), signal.SIGKILL)", imports="import os\nimport signal"),
    _weapon("abort", "aborts", "os.abort()", imports="import os"),
    _weapon("segfault", "reads address 0", SEGFAULT, imports="import ctypes"),
    _weapon("group-killed", "kills its process group", "os.killpg(0, signal.SIGKILL)", imports="import os\nimport signal"),
    _weapon("parent-killed", "kills its parent", KILL_PARENT, imports="import os\nimport signal", needs_isolation=True),
    _weapon("parent-stopped", "stops its parent", STOP_PARENT, imports="import os\nimport signal", needs_isolation=True),
    _weapon("recursion", "recurses without a limit", RECURSION, imports="import sys"),
    _weapon("native-recursion", "overflows the C stack", NATIVE_RECURSION),
    _weapon("memory", "takes 300 MB", MEMORY, imports="import time"),
    _weapon("processes", "forks 60 times", FORKS, imports=f"import os\nimport time\n{NAME_ITSELF}", leaves=_no_big_files),
    _weapon("disk", "writes 16 MB in each of six places", DISK, imports="import os", needs_isolation=True, leaves=_no_big_files),
    _weapon("many-files", "makes 20,000 empty files", MANY_FILES, imports="import os", needs_isolation=True, leaves=_no_big_files),
    _weapon("output", "prints 50 MB in a check", 'for _ in range(500):\n    print("x" * 100_000)'),
    _weapon("descriptors", "opens descriptors until there are none", DESCRIPTORS, imports="import os"),
    _weapon("closed-descriptors", "closes every descriptor", "os.closerange(0, 4096)", imports="import os"),
    _weapon("no-modules", "empties sys.modules", "sys.modules.clear()", imports="import sys"),
    attack("own-output", "prints 20 MB and 30,000 displays in an own cell", first='from IPython.display import display\n\nfor _ in range(200):\n    print("x" * 100_000)\nfor _ in range(30_000):\n    display("y")', may_earn=without()),
    attack("binary-output", "prints control characters and broken escapes", first='import sys\n\nprint("\\x00\\x1b[31m\\x9b\\u202e\\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace") * 50)\nsys.stdout.buffer.write(b"\\xff\\xfe" * 50) if hasattr(sys.stdout, "buffer") else None'),
    attack("error-output", "writes to stderr and warns everywhere", first='import sys\nimport warnings\n\nprint("oh no", file=sys.stderr)\nwarnings.warn("nothing is wrong")', replaced={"median": "import sys\n\n\ndef median(values):\n    print('noise', file=sys.stderr)\n    if not values:\n        raise ValueError('none')\n    ordered = sorted(values)\n    half = len(ordered) // 2\n    return (ordered[half] + ordered[-half - 1]) / 2 if len(ordered) % 2 == 0 else ordered[half]"}),
    attack("input", "waits for a person to type", first='name = input("Your name? ")'),
    attack("threads", "starts 200 threads that sleep", first=THREADS),
    attack("detached", "leaves detached children behind", last=DETACHED, informed=True),
    attack("ignoring-child", "leaves a stopped child behind that ignores signals", last=IGNORING_CHILD, informed=True),
    attack("ruined-place", "another folder, no stdout, no import path", first=RUINED_PLACE),
]  # fmt: skip

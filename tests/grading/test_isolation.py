"""Which isolation is chosen, what a container is started with, and what a process inside sees."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coursekit import manifest, messages, settings
from coursekit.errors import GradingError
from coursekit.grading import autograde
from coursekit.grading.isolation import backends, cage
from coursekit.zygote import Zygote
from tests import notebook_files

LIMITS = manifest.Limits(memory_mb=700, processes=20, disk_mb=30)


@pytest.fixture
def fresh_probes() -> Iterator[None]:
    backends.unusable.cache_clear()
    yield
    backends.unusable.cache_clear()


def _only(monkeypatch: pytest.MonkeyPatch, *working: str) -> None:
    monkeypatch.setattr(backends, "unusable", lambda name: "" if name in working else "it is broken")


@pytest.mark.parametrize(
    ("working", "chosen"),
    [
        (("plain",), "plain"),
        (("plain", "namespaces"), "namespaces"),
        (("plain", "namespaces", "bwrap"), "bwrap"),
        (("plain", "namespaces", "bwrap", "podman"), "podman"),
        (("plain", "bwrap", "podman", "docker"), "docker"),
    ],
)
def test_the_strongest_that_works_is_chosen(
    monkeypatch: pytest.MonkeyPatch, working: tuple[str, ...], chosen: str
) -> None:
    _only(monkeypatch, *working)
    assert backends.choose().name == chosen
    assert backends.choose("plain").name == "plain"


def test_a_forced_name_is_refused_with_the_reason_or_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    _only(monkeypatch, "plain")
    with pytest.raises(GradingError, match="'bwrap' does not work here: it is broken"):
        backends.choose("bwrap")
    with pytest.raises(
        GradingError, match="no isolation 'chroot'. There are: auto, docker, podman, bwrap, namespaces, plain"
    ):
        backends.choose("chroot")


def test_plain_says_that_it_is_not_isolated() -> None:
    assert "NOT ISOLATED" in backends.BACKENDS["plain"].summary
    assert [name for name, backend in backends.BACKENDS.items() if not backend.is_isolated] == ["plain"]


def _program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!{sys.executable}\n{body}")
    (folder / name).chmod(0o755)


@pytest.mark.usefixtures("fresh_probes")
def test_a_program_that_is_missing_or_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "no program docker" in backends.unusable("docker")
    assert "no program bwrap" in backends.unusable("bwrap")
    _program(tmp_path / "bin", "podman", "raise SystemExit(1)")
    assert "no engine is running" in backends.unusable("podman")
    _program(tmp_path / "bin", "docker", "print('an id')")
    backends.unusable.cache_clear()
    assert backends.unusable("docker") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is a Linux program")
@pytest.mark.usefixtures("fresh_probes")
def test_a_bubblewrap_that_may_not_work_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _program(tmp_path / "bin", "bwrap", "raise SystemExit('bwrap: No permissions to create new namespace')")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    assert backends.unusable("bwrap") == "bwrap: No permissions to create new namespace"


def test_a_container_is_started_with_every_restriction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_GRADING_IMAGE", "an/image:1")
    command = cage.container_prefix("podman", ["/usr", "/opt/x"], {"LANG": "C.UTF-8"}, LIMITS, tmp_path)
    assert command[:2] == ["podman", "run"] and command[-1] == "an/image:1"
    options = list(zip(command, command[1:], strict=False))
    for option in (
        ("--network", "none"), ("--cap-drop", "ALL"), ("--security-opt", "no-new-privileges"), ("--ipc", "private"),
        ("--memory", f"{700 + cage.BASE_MEMORY_MB}m"), ("--memory-swap", f"{700 + cage.BASE_MEMORY_MB}m"),
        ("--volume", "/usr:/usr:ro"), ("--volume", "/opt/x:/opt/x:ro"), ("--env", "LANG=C.UTF-8"),
    ):  # fmt: skip
        assert option in options
    assert "--read-only" in command and "--rm" in command and "--privileged" not in command
    assert int(dict(options)["--pids-limit"]) <= 20 + 16
    assert dict(options)["--user"].split(":")[0] != "0"
    assert [value for name, value in options if name == "--volume" and not value.endswith(":ro")] == [
        f"{tmp_path}:{tmp_path}:rw"
    ]
    assert {value.split(":")[0] for name, value in options if name == "--tmpfs"} == {"/home/learner", "/tmp"}


ENGINE = """
import os, sys
args = sys.argv[1:]
if args[0] == "info":
    print("an id")
    sys.exit(0)
from coursekit.grading.isolation import syscalls
valued = {"--network", "--cap-drop", "--security-opt", "--user", "--ipc", "--memory", "--memory-swap", "--pids-limit",
          "--tmpfs", "--volume", "--env"}
environ, place = {}, 1
while args[place].startswith("--"):
    if args[place] == "--env":
        name, _, value = args[place + 1].partition("=")
        environ[name] = value
    place += 2 if args[place] in valued else 1
uid = os.getuid()
syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
open("/proc/self/uid_map", "w").write(f"0 {uid} 1")
syscalls.loopback_up()
os.execvpe(args[place + 1], args[place + 1:], environ)
"""


@pytest.mark.usefixtures("fresh_probes")
def test_a_small_course_is_graded_in_containers(
    small_course: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is a stand-in that only takes the network away: what is tested is our side of it."""
    if problem := backends.unusable("namespaces"):
        pytest.skip(problem)
    root = small_course()
    source = notebook_files.write(root / "solutions" / "a1_first" / "a1_first.ipynb", notebook_files.first_module())
    wrong = notebook_files.write(root / "wrong.ipynb", notebook_files.first_module("return a - b"))
    _program(tmp_path / "bin", "podman", ENGINE)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    where, course = settings.load(), manifest.load(root)
    grades = autograde.grade_apart(
        where, course, course.modules[0], {"right": source, "wrong": wrong}, isolation="podman"
    )
    assert [(grade.points, grade.isolation, grade.error) for grade in grades.values()] == [
        (2, "podman", None),
        (0, "podman", None),
    ]


LOOK = '''
"""What a learner's process can see."""
import json, os, socket
def attempt(action):
    try:
        return str(action())
    except OSError as error:
        return f"refused: {error.strerror}"
def main(args, files):
    seen = {
        "environ": sorted(os.environ), "home": os.environ.get("HOME"), "uid": os.getuid(), "fds": len(os.listdir("/proc/self/fd")),
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "network": sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else [name for _, name in socket.if_nameindex()],
        "outside": attempt(lambda: socket.create_connection(("192.0.2.1", 80), 2)),
        "secret": attempt(lambda: open(args["secret"]).read()), "listing": attempt(lambda: os.listdir(args["folder"])),
        "library": attempt(lambda: open(json.__file__, "a")), "system": attempt(lambda: open("/usr/planted", "w")),
        "own": attempt(lambda: open(os.path.expanduser("~/mine"), "w").write("x")), "mount": attempt(lambda: os.mkdir("/planted")),
    }
    sock = socket.socket(fileno=files[0])
    data = json.dumps(seen).encode()
    sock.sendall(len(data).to_bytes(4, "big") + data)
    return 0
'''


@pytest.mark.parametrize("name", ["bwrap", "namespaces"])
def test_inside_there_is_nothing_but_libraries_and_an_own_home(name: str, tmp_path: Path) -> None:
    if problem := backends.unusable(name):
        pytest.skip(problem)
    backend = backends.BACKENDS[name]
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "answer.txt").write_text("the answer")
    shown = tmp_path / "stage"
    shown.mkdir()
    (shown / "look_around.py").write_text(LOOK)
    seen = _look(backend, shown, tmp_path / "solutions")
    assert seen["environ"] == ["HOME", "LC_CTYPE", "TMPDIR"] or seen["environ"] == ["HOME", "TMPDIR"]
    assert seen["home"] == "/home/learner" and seen["uid"] != 0
    assert seen["processes"][0] == 1 and len(seen["processes"]) == 2
    assert seen["fds"] <= 6
    assert set(seen["network"]) <= {"lo"}
    for refused in ("outside", "secret", "listing", "library", "system", "mount"):
        assert seen[refused].startswith("refused"), (refused, seen[refused])
    assert seen["own"] == "1"


def _look(backend: backends.Backend, shown: Path, hidden: Path) -> dict[str, Any]:
    paths = cage.visible_paths(shown)
    environ = {"PATH": os.defpath, "PYTHONPATH": str(shown)}
    prefix = cage.bubblewrap_prefix(paths) if backend.name == "bwrap" else []
    zygote = Zygote.start(["coursekit.grading.isolation.warden", "look_around"], prefix=prefix, environ=environ)
    ours, theirs = socket.socketpair()
    reports, status = socket.socketpair()
    job = {
        "entry": "look_around:main", "args": {"secret": str(hidden / "answer.txt"), "folder": str(hidden)},
        "depth": backend.depth, "own_network": True, "paths": paths, "home": cage.home_for(backend, shown), "ports": [],
        "limits": {**manifest.Limits().model_dump(), "disk_mb": 8},
    }  # fmt: skip
    try:
        with ours, theirs, reports, status:
            pid = zygote.spawn(
                "coursekit.grading.isolation.warden:main", job, [theirs.fileno(), status.fileno()], environ={}
            )
            theirs.close()
            reports.settimeout(30)
            first, _ = messages.receive(reports, takes_files=True)
            assert first == {"ports": []}, first
            ours.settimeout(30)
            seen, _ = messages.receive(ours)
            ended, _ = messages.receive(reports)
            assert ended == {"ended": "exit", "detail": 0}
            assert zygote.wait(pid, 15) == 0
    finally:
        zygote.close()
    return dict(json.loads(json.dumps(seen)))


def test_what_is_shown_lies_in_no_other_shown_folder() -> None:
    paths = cage.visible_paths(Path(sys.prefix) / "lib", Path("/usr/share"))
    assert len(paths) == len(set(paths)) and all(os.path.exists(path) for path in paths)
    assert not any(one != other and one.startswith(f"{other}/") for one in paths for other in paths)
    assert shutil.which("python3") is None or str(Path.home()) not in paths

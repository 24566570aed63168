"""The cage: a sandboxed process that has imported everything, from which learners' processes are forked.

It sees Python, the packages, coursekit, the course's stage and sockets, all read-only; no solutions, no gradebook, no
classmates, none of the instructor's environment. What each learner sees on top is up to `enclosure` and `warden`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from coursekit import manifest, settings
from coursekit.grading.isolation import enclosure
from coursekit.grading.isolation.backends import Backend
from coursekit.zygote import Zygote

PRELOAD = (
    "IPython.core.interactiveshell",
    "coursekit.checks",
    "coursekit.corpus",
    "coursekit.grading.isolation.warden",
    "coursekit.grading.judging.learner",
    "coursekit.jupyter",
    "coursekit.models",
    "coursekit.plots",
    "coursekit.scoreboard",
    "matplotlib.pyplot",
    "numpy",
    "openai",
    "openai.types.chat",
    "pandas",
    "pgvector.psycopg",
    "psycopg",
    "pydantic",
    "tokenizers",
)
BASE_MEMORY_MB = 512  # what the imported packages take before a learner's first line
_SYSTEM = (
    "/usr",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/ssl/certs",
    "/etc/fonts",
)
_PACKAGES = ("coursekit", "simllm")


def visible_paths(*extra: Path) -> list[str]:
    """What a learner's process may read: the system's libraries, Python, the packages, and `extra`; none inside another."""
    found = [sys.prefix, sys.base_prefix, *map(str, extra)]
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        found += list(spec.submodule_search_locations or []) if spec is not None else []
    system = [path for path in _SYSTEM if os.path.exists(path)]
    system += [
        f"/{name}"
        for name in ("bin", "sbin", "lib", "lib64")
        if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}")
    ]
    resolved = [path for path in dict.fromkeys([*system, *found]) if os.path.exists(path)]
    return [path for path in resolved if not any(path.startswith(other.rstrip("/") + "/") for other in resolved)]


def package_folders() -> list[str]:
    """Where our packages are imported from: a checkout need not be the one that is installed."""
    found = [spec for name in _PACKAGES if (spec := importlib.util.find_spec(name)) is not None]
    locations = [place for spec in found for place in spec.submodule_search_locations or []]
    return list(dict.fromkeys(os.path.dirname(place) for place in locations))


def start(
    backend: Backend, paths: list[str], environ: dict[str, str], limits: manifest.Limits, run_dir: Path
) -> Zygote:
    """Start the process to fork learners from.

    Args:
        paths: what `visible_paths` says.
        run_dir: an empty folder of the station's own, for a container's control socket.

    Raises:
        ZygoteDied: it did not come up.
    """
    if backend.name in ("docker", "podman"):
        control = run_dir / "control"
        control.unlink(missing_ok=True)
        prefix = container_prefix(backend.name, [*paths], environ, limits, run_dir)
        return Zygote.start(PRELOAD, prefix=prefix, environ=dict(os.environ), via=str(control))
    prefix = bubblewrap_prefix(paths) if backend.name == "bwrap" else []
    return Zygote.start(PRELOAD, prefix=prefix, environ=environ)


def container_prefix(
    program: str, paths: Sequence[str], environ: dict[str, str], limits: manifest.Limits, run_dir: Path
) -> list[str]:
    """The command line of a container up to the program: the host's Python and packages in an empty image.

    The image only has to exist (COURSE_GRADING_IMAGE, default debian:stable-slim): all that runs is shown to it read-only.
    """
    user = os.getuid() or enclosure.NOBODY
    memory = limits.memory_mb + BASE_MEMORY_MB
    command = [
        program, "run", "--rm", "--init", "--network", "none", "--read-only", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--user", f"{user}:{user}", "--ipc", "private",
        "--memory", f"{memory}m", "--memory-swap", f"{memory}m", "--pids-limit", str(limits.processes + 16),
        "--tmpfs", f"{enclosure.HOME}:rw,mode=1777,size={limits.disk_mb}m", "--tmpfs", "/tmp:rw,mode=1777,size=64m",
    ]  # fmt: skip
    for path in paths:
        command += ["--volume", f"{path}:{path}:ro"]
    command += ["--volume", f"{run_dir}:{run_dir}:rw"]
    for name, value in environ.items():
        command += ["--env", f"{name}={value}"]
    return [*command, settings.load().grading_image]


def bubblewrap_prefix(paths: Sequence[str]) -> list[str]:
    """bubblewrap's command line up to the program.

    The real /proc is bound so that each learner can mount an own, complete one over it; only trusted code sees it.
    """
    command = [
        shutil.which("bwrap") or "bwrap",
        "--die-with-parent",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
    ]
    if os.geteuid() == 0:
        command += ["--cap-add", "ALL"]
    else:
        command += ["--unshare-user"]
    command += [
        "--dev",
        "/dev",
        "--bind",
        "/proc",
        "/proc",
        "--tmpfs",
        "/tmp",
        "--tmpfs",
        "/home",
        "--dir",
        enclosure.HOME,
    ]
    parents = dict.fromkeys(str(parent) for path in paths for parent in reversed(Path(path).parents[:-1]))
    for parent in parents:  # readable by the learner's own user too
        command += ["--perms", "0755", "--dir", parent]
    for path in paths:
        command += ["--ro-bind", path, path]
    for name in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            command += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
    return [*command, "--remount-ro", "/", "--chdir", "/", "--"]


def home_for(backend: Backend, private: Path) -> str:
    """Where a learner's process lives: in its own memory file system, or in `private` where there is none."""
    return str(private) if backend.name == "plain" else enclosure.HOME

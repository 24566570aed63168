"""The peers' own Python environment under `.course/bench/peers`, made on first use from the hashed `peers.lock`.

Made with uv where there is one, else with pip. It shares nothing with the course's environment: the peers want other
versions of pgvector and SQLAlchemy. `peers.lock` is made from `peers.in` by the command that its first lines name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from coursekit import settings
from coursekit.errors import BenchError

LOCK = Path(__file__).parent / "peers.lock"


def folder(where: settings.Settings) -> Path:
    """Where the environment lies."""
    return where.state_dir / "bench" / "peers"


def python(where: settings.Settings) -> Path:
    """The environment's interpreter."""
    return folder(where) / "bin" / "python"


def is_ready(where: settings.Settings) -> bool:
    """Whether it was made completely, from the present lock and by this Python."""
    stamp = folder(where) / "stamp"
    return python(where).exists() and stamp.is_file() and stamp.read_text(encoding="utf-8") == _wanted()


def ensure(where: settings.Settings, say: Callable[[str], None]) -> Path:
    """Make the environment unless it is ready; gives its interpreter.

    Raises:
        BenchError: it cannot be made: no network, a package that this platform does not have; with the installer's words.
    """
    if is_ready(where):
        return python(where)
    say(f"installing the peers into {folder(where)} (about 300 MB, a minute or two, once)")
    shutil.rmtree(folder(where), ignore_errors=True)
    uv = shutil.which("uv")
    locked = ["install", "--quiet", "--require-hashes", "--no-deps", "-r", str(LOCK)]  # the lock is complete
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder(where))])
        _run([uv, "pip", *locked, "--python", str(python(where))])
    else:
        _run([sys.executable, "-m", "venv", str(folder(where))])
        _run([str(python(where)), "-m", "pip", "--disable-pip-version-check", *locked])
    (folder(where) / "stamp").write_text(_wanted(), encoding="utf-8")
    return python(where)


def _wanted() -> str:
    return f"{sys.version} {hashlib.sha256(LOCK.read_bytes()).hexdigest()}"


def _run(command: list[str]) -> None:
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environ, check=False)
    except OSError as error:
        raise BenchError(f"the peers' environment cannot be made: {error}") from error
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise BenchError(f"the peers' environment cannot be made: {lines[-1] if lines else 'no reason was given'}")

"""Run one module of `systems/` in a process of its own, and pass on what it says."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from coursekit.errors import BenchError

HERE = Path(__file__).parent


def run_module(
    name: str,
    folder: Path,
    environ: Mapping[str, str],
    say: Callable[[str], None],
    *,
    python: str | Path = sys.executable,
) -> None:
    """`python -m systems.<name> folder`; its reports go to `say` with an estimate of the time that is left.

    Raises:
        BenchError: it failed; with the last line that it wrote to stderr.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            [str(python), "-m", f"systems.{name}", str(folder)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=dict(environ),
            cwd=folder,
        )
        with process:
            try:
                _pass_on(process, say)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            errors.seek(0)
            lines = [line.strip() for line in errors.read().splitlines() if line.strip()]
            raise BenchError(lines[-1] if lines else f"it ended with exit code {process.returncode} and said nothing")


def _pass_on(process: subprocess.Popen[str], say: Callable[[str], None]) -> None:
    started: dict[str, float] = {}
    assert process.stdout is not None
    for line in process.stdout:
        try:
            what, done, total = json.loads(line)
        except (ValueError, TypeError):
            continue  # a library that prints
        start, now = started.setdefault(what, time.monotonic()), time.monotonic()
        left = (now - start) / done * (total - done)
        say(f"{what}: {done:,} of {total:,}" + (f", about {left:.0f} s left" if left >= 1 else ""))

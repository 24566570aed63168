"""The warden sees what outlives a command, ends it, and passes a signal on when it was told to."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import ROOT
from tests.hostile import scene

DETACHED = """
import os, subprocess, sys
command = [sys.executable, "-c", "import time; time.sleep(60)", sys.argv[1]]
if os.fork() == 0:
    os.setsid()
    subprocess.Popen(command, start_new_session=True)
    os._exit(0)
os.wait()
"""


def _watch(tmp_path: Path, *command: str, timeout: float = 20, number: int = 0) -> dict[str, Any]:
    out, report = tmp_path / "out", tmp_path / "report"
    out.write_text("one line\n")
    arguments = [str(report), str(timeout), str(number), "1", str(out)]
    subprocess.run(
        [sys.executable, "-m", "tests.hostile.warden", *arguments, *command], cwd=ROOT, check=True, timeout=60
    )
    return dict(json.loads(report.read_text(encoding="utf-8")))


def test_a_detached_grandchild_is_found_and_ended(tmp_path: Path) -> None:
    marker = f"hxw{tmp_path.stat().st_ino}"
    result = _watch(tmp_path, sys.executable, "-c", DETACHED, marker)
    assert result["exit_code"] == 0
    assert len(result["orphans"]) == 1 and marker in result["orphans"][0]
    assert not psutil.pid_exists(int(result["orphans"][0].split()[0]))
    assert scene.marked_processes(marker) == []


def test_a_clean_command_leaves_nothing(tmp_path: Path) -> None:
    result = _watch(tmp_path, sys.executable, "-c", "import subprocess; subprocess.run(['true'])")
    assert (result["exit_code"], result["orphans"], result["timed_out"]) == (0, [], False)


def test_a_signal_is_sent_when_enough_lines_are_there(tmp_path: Path) -> None:
    result = _watch(tmp_path, sys.executable, "-c", "import time; time.sleep(60)", number=signal.SIGKILL)
    assert result["exit_code"] == -signal.SIGKILL


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    result = _watch(tmp_path, sys.executable, "-c", "import time; time.sleep(60)", timeout=0.5)
    assert result["timed_out"] and result["orphans"] == []

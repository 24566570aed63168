"""`course lab`: JupyterLab with nbgrader's extensions on the learner's own copies."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coursekit import lab as lab_module
from coursekit import manifest, settings, workspace
from tests import notebook_files
from tests.conftest import ROOT

TOKEN = "for-this-test-only"


@pytest.fixture
def lab(small_course: Callable[..., Path], tmp_path: Path) -> Iterator[tuple[Path, str]]:
    root = small_course()
    notebook_files.write(root / "notebooks" / "a1_first" / "a1_first.ipynb", notebook_files.first_module())
    shutil.copyfile(ROOT / "nbgrader_config.py", root / "nbgrader_config.py")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "JUPYTER_TOKEN": TOKEN, "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "coursekit", "lab", "--no-browser", "--port", str(port)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
    try:
        yield root, f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _get(url: str, seconds: float = 60) -> str:
    end = time.monotonic() + seconds
    while True:
        try:
            request = urllib.request.Request(url, headers={"Authorization": f"token {TOKEN}"})
            with urllib.request.urlopen(request, timeout=20) as reply:
                return str(reply.read().decode())
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


def test_lab_opens_the_named_module_else_the_first_unfinished_one(
    small_course: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = small_course()
    for number, cells in (("a1_first", notebook_files.first_module()), ("a2_second", notebook_files.second_module())):
        notebook_files.write(root / "solutions" / number / f"{number}.ipynb", cells)
    where, course = settings.load(), manifest.load(root)
    arguments = lab_module.command(where, course.module("a2"), ip="127.0.0.1", port=8888, browser=False)
    assert "--LabApp.default_url=/lab/tree/workspace/a2_second/a2_second.ipynb" in arguments
    assert lab_module.next_module(where, course).id == "a1_first"
    states = {"a1_first": "passed", "a2_second": "stale"}
    monkeypatch.setattr(workspace, "check_states", lambda where, course, module: {"a-check": states[module.id]})
    assert lab_module.next_module(where, course).id == "a2_second"


def test_lab_serves_the_copies_the_formgrader_and_the_validate_extension(lab: tuple[Path, str]) -> None:
    root, url = lab
    page = _get(f"{url}/lab")
    assert "@jupyterlab/apputils-extension:announcements" in page
    assert "@jupyter/nbgrader" in page
    assert (root / "workspace" / "a1_first" / "a1_first.ipynb").is_file()
    assert "a1_first.ipynb" in _get(f"{url}/api/contents/workspace/a1_first")
    assert "formgrader" in _get(f"{url}/formgrader").lower()
    assert "status" in _get(f"{url}/formgrader/api/status")
    assert "true" in _get(f"{url}/nbgrader_version?version=0.9.6")

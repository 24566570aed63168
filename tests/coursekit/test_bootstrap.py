"""`./course`: makes the environment once, says what it does, and recovers from a broken installation."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

FAKE_UV = """#!/bin/sh
echo "uv $*" >> "$LOG"
[ -n "${FAIL:-}" ] && { echo "no space left on device" >&2; exit 1; }
case "$1" in
  venv) for folder; do :; done; mkdir -p "$folder/bin"
        printf '#!/bin/sh\\necho "ran: $*"\\n' > "$folder/bin/python"; chmod +x "$folder/bin/python" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "a checkout with spaces"
    root.mkdir()
    for name in ("course", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, root / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "uv").write_text(FAKE_UV, encoding="utf-8")
    (tools / "uv").chmod(0o755)
    return root


def _course(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    tools = checkout.parent / "tools"
    env = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "LOG": str(checkout.parent / "log"), **environment}
    return subprocess.run(
        [checkout / "course", *arguments], env=env, capture_output=True, text=True, cwd=checkout.parent
    )


def test_the_first_call_installs_from_the_hashed_lock_and_the_second_does_not(checkout: Path) -> None:
    first = _course(checkout, "status", "--now")
    assert first.returncode == 0, first.stderr
    assert first.stdout == "ran: -m coursekit status --now\n"
    assert "preparing" in first.stderr and "requirements.lock" in first.stderr
    assert "--require-hashes" in (checkout.parent / "log").read_text()
    second = _course(checkout, "status")
    assert (second.stdout, second.stderr) == ("ran: -m coursekit status\n", "")


def test_a_changed_lock_installs_again(checkout: Path) -> None:
    _course(checkout, "status")
    with (checkout / "requirements.lock").open("a", encoding="utf-8") as lock:
        lock.write("# changed\n")
    assert "preparing" in _course(checkout, "status").stderr


def test_a_failed_installation_says_so_and_the_next_call_starts_over(checkout: Path) -> None:
    failed = _course(checkout, "status", FAIL="1")
    assert failed.returncode == 1
    assert "no space left" in failed.stderr and failed.stdout == ""
    assert _course(checkout, "status").returncode == 0


def test_without_uv_and_without_a_supported_python_the_message_says_what_to_install(checkout: Path) -> None:
    tools = checkout.parent / "bare"
    tools.mkdir()
    for name in ("sh", "cat", "cksum", "dirname", "rm", "printf"):
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    done = subprocess.run(
        [checkout / "course", "status"], env={"PATH": str(tools)}, capture_output=True, text=True, cwd=checkout
    )
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13" in done.stderr

"""`course portfolio`: a repository of the learner's own that runs without the course."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from coursekit import manifest, portfolio, settings
from coursekit.errors import ExportError


@pytest.fixture
def written(tmp_path: Path, where: settings.Settings, course: manifest.Manifest) -> Path:
    portfolio.write(where, course, tmp_path / "assistant-repo")
    return tmp_path / "assistant-repo"


def test_the_portfolio_passes_its_own_tests_without_the_course(written: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    blocked = "import sys; sys.modules['coursekit'] = sys.modules['simllm'] = None"
    (written / "conftest.py").write_text(blocked, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(written)}
    done = subprocess.run(command, cwd=written, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_requirements_are_what_its_files_import(written: Path) -> None:
    project = tomllib.loads((written / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {line.split(">")[0].split("[")[0] for line in project["dependencies"]}
    assert {"openai", "tokenizers"} <= names
    assert not names & {"coursekit", "simllm", "assistant", "ai-backend-course"}


def test_the_readme_says_which_files_are_whose(written: Path) -> None:
    text = (written / "README.md").read_text(encoding="utf-8")
    assert "| `tokens.py` | m01_models_as_dependencies |" in text
    assert "{{" not in text + (written / "Dockerfile").read_text(encoding="utf-8")


def test_writing_again_replaces_the_folder_and_keeps_its_git_history(
    written: Path, where: settings.Settings, course: manifest.Manifest
) -> None:
    (written / ".git").mkdir()
    (written / ".git" / "HEAD").write_text("ref: refs/heads/main")
    (written / "stray.txt").write_text("old")
    portfolio.write(where, course, written)
    assert (written / ".git" / "HEAD").read_text() == "ref: refs/heads/main"
    assert not (written / "stray.txt").exists()


def test_a_folder_that_we_did_not_write_is_never_touched(
    tmp_path: Path, where: settings.Settings, course: manifest.Manifest
) -> None:
    (tmp_path / "precious.txt").write_text("keep me")
    with pytest.raises(ExportError, match="not a portfolio"):
        portfolio.write(where, course, tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "keep me"

"""The `course` command: help with examples everywhere, one sentence and an exit code for what is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from coursekit import cli
from tests import notebook_files

COMMANDS = sorted(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]


def course(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coursekit", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.fixture
def root(small_course: Callable[..., Path]) -> Path:
    folder = small_course()
    notebook_files.write(folder / "solutions" / "a1_first" / "a1_first.ipynb", notebook_files.first_module())
    notebook_files.write(folder / "solutions" / "a2_second" / "a2_second.ipynb", notebook_files.second_module())
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(cli.app, [name, "--help"], prog_name="course")
    assert result.exit_code == 0
    assert f"Example:  course {name}" in " ".join(result.output.replace("│", " ").split()).replace(
        "Example: ", "Example:  "
    )


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "m99"], 2, "no module 'm99'"),
        (["check", "a1"], 1, "`course lab` makes your copy"),
        (["check", "a1", "a1-nothing"], 2, "has no exercise a1-nothing"),
        (["grade", "a1"], 1, "nobody has submitted a1_first"),
        (["feedback", "a1"], 1, "course grade a1"),
        (["export-grades"], 1, "no gradebook"),
        (["reset", "a1"], 2, "`course lab` copies"),
        (["release", "zz"], 2, "no module 'zz'"),
    ],
)
def test_what_is_wrong_is_one_sentence_on_stderr_with_an_exit_code(
    arguments: list[str], code: int, words: str, root: Path
) -> None:
    done = course(*arguments, cwd=root)
    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr


def test_outside_of_a_course_the_command_says_where_to_go(tmp_path: Path) -> None:
    done = course("status", cwd=tmp_path)
    assert done.returncode == 1
    assert "no course.yml in" in done.stderr and "COURSE_ROOT" in done.stderr


def test_a_broken_course_yml_stops_every_command_with_its_line(root: Path) -> None:
    text = (root / "course.yml").read_text(encoding="utf-8")
    (root / "course.yml").write_text(text.replace("minutes: 10", "minutes: ten", 1), encoding="utf-8")
    done = course("status", cwd=root)
    assert done.returncode == 2
    assert "modules.0.minutes = 'ten'" in done.stderr


def test_status_shows_points_and_whose_files_are_in_use(root: Path) -> None:
    done = course("status", cwd=root)
    assert done.returncode == 0
    assert "0 / 2" in done.stdout and "0 / 1" in done.stdout
    assert "adding.py" in done.stdout and "reference" in done.stdout


def test_running_a_bad_notebook_shows_the_cell_and_the_error_not_a_wall_of_traceback(root: Path) -> None:
    cells = notebook_files.first_module()
    cells.insert(3, notebook_files.code("answer = 41\nanswer / (answer - 41)", "bad"))
    notebook_files.write(root / "solutions" / "a1_first" / "a1_first.ipynb", cells)
    done = course("run", "a1", cwd=root)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stdout and "answer / (answer - 41)" in done.stdout
    assert "site-packages" not in done.stdout
    assert len(done.stdout.splitlines()) < 60


def test_reset_keeps_the_earlier_copy_under_another_name(root: Path) -> None:
    assert course("release", cwd=root).returncode == 0
    own = notebook_files.write(
        root / "workspace" / "a1_first" / "a1_first.ipynb", [notebook_files.code("mine = 1", "x")]
    )
    exported = root / "workspace" / "assistant" / "adding.py"
    exported.parent.mkdir()
    exported.write_text("def add(): ...\n", encoding="utf-8")
    done = course("reset", "a1", cwd=root)
    assert done.returncode == 0, done.stderr
    assert not exported.exists()
    released = root / "notebooks" / "a1_first" / "a1_first.ipynb"
    assert own.read_bytes() == released.read_bytes()
    (kept,) = own.parent.glob("a1_first.*.ipynb")
    assert "mine = 1" in kept.read_text(encoding="utf-8")

"""`course corpus …`: problems with file and line and exit code 2; counts, tables and a picture when all is well."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from coursekit import cli, cli_corpus
from coursekit.corpus import load
from tests.corpus import bakery

COMMANDS = sorted(typer.main.get_command(cli_corpus.app).commands)  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound corpus."""
    return bakery.write(tmp_path / "the bakery")


def corpus(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coursekit", "corpus", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def output(*arguments: object) -> str:
    result = CliRunner().invoke(cli.app, ["corpus", *map(str, arguments)], prog_name="course", catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    assert f"Example: course corpus {name}" in " ".join(output(name, "--help").replace("│", " ").split())


def test_a_clean_corpus_is_shown_with_counts_and_checksum(folder: Path) -> None:
    assert output("check", folder).strip() == (
        f"3 documents, 3 questions, 4 judgments, checksum {load(folder).checksum[:12]}"
    )


def test_every_problem_is_printed_with_file_line_and_repair_and_the_exit_code_is_2(folder: Path) -> None:
    (folder / "documents" / "oven-start.md").write_text("# oven\n", encoding="utf-8")
    with (folder / "qrels.txt").open("a", encoding="utf-8") as file:
        file.write("q009 0 order-cutoff 0\n")
    done = corpus("check", folder, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    for line in ("documents/oven-start.md:1: front matter is missing; ", "qrels.txt:5: no question 'q009'; "):
        assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_the_repair_of_a_checksum_is_a_command_that_works(folder: Path) -> None:
    with (folder / "documents" / "oven-start.md").open("a", encoding="utf-8") as file:
        file.write("More.\n")
    done = corpus("check", folder, cwd=folder)
    assert f"course corpus checksums '{folder}'" in done.stderr
    assert "3 documents" in output("checksums", folder)
    assert "3 documents" in output("check", folder)


def test_checksums_of_a_folder_that_is_no_corpus_writes_nothing(tmp_path: Path) -> None:
    done = corpus("checksums", tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "no folder documents/ here" in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_a_folder_it_is_the_courses_corpus(small_course: Callable[..., Path]) -> None:
    root = small_course({"corpus": "bakery"})
    bakery.write(root / "bakery", world=False)
    assert "3 documents" in output("check")
    (root / "bakery" / "CHECKSUMS").unlink()
    assert "3 documents" in output("checksums")


def test_stats_shows_documents_lengths_questions_judgments_and_agreement(folder: Path) -> None:
    text = " ".join(output("stats", folder).split())
    for words in (
        "kind policy 2, runbook 1",
        "service till 2, oven 1",
        "trait superseded 1",
        "temporal 0 1 1 1.0 1.0",
        "unanswerable 0 1 0 – –",
        "words min",
        "overlap of question and passage, outside of category identifier: 10%",
        "4: grade 2 2, grade 1 0, grade 0 2",
        "75.0% same grade",
        "Cohen's kappa grades 0.60, linear 0.75, binary 0.50",
    ):
        assert words in text, words


def test_stats_says_what_is_not_measured_or_not_defined(tmp_path: Path) -> None:
    plain = bakery.write(tmp_path / "plain", judging=False)
    assert "not measured: there are no judging passes" in output("stats", plain)
    same = bakery.write(tmp_path / "same")
    for name in ("pass-1.txt", "pass-2.txt"):
        (same / "judging" / name).write_text("q001 0 oven-start 2\n", encoding="utf-8")
    output("checksums", same)
    assert "undefined (only one grade was given)" in " ".join(output("stats", same).split())


def test_stats_writes_one_png(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "corpus.png"
    assert f"as a picture: {picture}" in output("stats", folder, "--picture", picture).replace("\n", "").replace(
        "picture:/", "picture: /"
    )
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("name", "words"), [("corpus.pdf", "ends in .png"), ("no/such/folder.png", "cannot be writ")])
def test_a_picture_that_cannot_be_written_is_one_sentence(folder: Path, name: str, words: str) -> None:
    done = corpus("stats", folder, "--picture", name, cwd=folder)
    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr

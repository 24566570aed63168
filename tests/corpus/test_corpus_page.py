"""The generated counts of docs/corpus.md, and the command that writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from coursekit.cli_corpus import app
from coursekit.corpus import CATEGORIES, Corpus, load
from coursekit.corpus.page import PAGE, read_section
from coursekit.corpus.summary import summarise
from coursekit.corpus.summary_page import COMMAND, PICTURE, SECTION, markdown
from coursekit.errors import CorpusError
from tests.conftest import ROOT


def test_the_page_counts_this_corpus(corpus: Corpus) -> None:
    repair = f"{PAGE} is older than the corpus. Run: {COMMAND}"
    assert read_section(ROOT / PAGE, SECTION).strip() == markdown(summarise(corpus)), repair
    assert (ROOT / PICTURE).is_file(), repair


def test_the_section_names_counts_and_agreement(small: Path) -> None:
    loaded = load(small)
    text = markdown(summarise(loaded))
    assert loaded.checksum[:12] in text
    assert COMMAND in text
    assert "| kind | policy 2, runbook 1 |" in text
    assert all(f"| {category} | " in text for category in CATEGORIES)
    assert "4 pairs were judged twice" in text
    assert "at least one judge graded above 0" in text


def test_the_command_writes_the_section_and_refuses_a_page_without_markers(small: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- corpus:begin -->\n<!-- corpus:end -->\nb\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["stats", str(small), "--write", str(page)])
    assert done.exit_code == 0, done.output
    assert load(small).checksum[:12] in page.read_text(encoding="utf-8")
    page.write_text("no markers", encoding="utf-8")
    done = CliRunner().invoke(app, ["stats", str(small), "--write", str(page)])
    assert isinstance(done.exception, CorpusError)
    assert page.read_text(encoding="utf-8") == "no markers"


def test_without_passes_the_page_says_nothing_of_agreement(small: Path) -> None:
    for name in ("pass-1.txt", "pass-2.txt"):
        (small / "judging" / name).unlink()
    loaded = CliRunner().invoke(app, ["checksums", str(small)])
    assert loaded.exit_code == 0, loaded.output
    assert "judged twice" not in markdown(summarise(load(small)))


@pytest.mark.parametrize("name", ["a.jpg", "a"])
def test_a_picture_that_is_no_png_is_refused(small: Path, tmp_path: Path, name: str) -> None:
    done = CliRunner().invoke(app, ["stats", str(small), "--picture", str(tmp_path / name)])
    assert isinstance(done.exception, CorpusError)

"""The page, the picture and the tables of the baselines."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from coursekit.cli_corpus import app
from coursekit.corpus import Corpus, load
from coursekit.corpus.baseline import SECTION, Baselines, MethodResult, main_table, save_picture
from coursekit.corpus.baseline.measures import MEASURES
from coursekit.corpus.baseline.page import COMMAND, PICTURE, markdown
from coursekit.corpus.baseline.retrieval import METHODS
from coursekit.corpus.page import PAGE, read_section, write_section
from coursekit.errors import CorpusError
from coursekit.settings import Settings
from tests.conftest import ROOT


@pytest.fixture
def results(corpus: Corpus) -> Baselines:
    """Invented values: every third question is found by words, every second one by vectors, all by hybrids."""
    questions = tuple(question for question in corpus.golden if question.answerable)

    def value(method: str, row: int) -> float:
        every = {"fts-and": 10**6, "minilm": 2, "convex": 1, "rrf": 1}.get(method, 3)
        return float((row + 1) % every == 0)

    methods = tuple(
        MethodResult(name, label, {m: {q.id: value(name, i) for i, q in enumerate(questions)} for m in MEASURES})
        for name, label in METHODS.items()
    )
    return Baselines(corpus.checksum, len(corpus.documents), 99, questions, 0.4, methods)


def test_the_page_shows_this_corpus(corpus: Corpus) -> None:
    repair = f"{PAGE} is older than the corpus. Run: {COMMAND}"
    assert corpus.checksum[:12] in read_section(ROOT / PAGE, SECTION), repair
    assert (ROOT / PICTURE).is_file(), repair


def test_the_section_has_all_tables_and_sentences(results: Baselines) -> None:
    text = markdown(results)
    assert results.checksum[:12] in text
    assert COMMAND in text
    for label in METHODS.values():
        assert text.count(label) >= 3
    for category in results.by_category():
        assert f"| {category} (n = " in text
        assert f"- **{category}** (" in text
    assert "| convex (BM25 stemmed, MiniLM) at alpha 0.4 | 1.00 (1.00–1.00) |" in text
    assert "**What fusion adds, test questions only**" in text


def test_a_difference_whose_interval_holds_zero_is_not_called_clear(results: Baselines) -> None:
    flat = {name: dict.fromkeys(values, 0.0) for name, values in results.methods[0].values.items()}
    equal = Baselines(
        results.checksum, 1, 1, results.questions, 0.5, tuple(MethodResult(n, t, flat) for n, t in METHODS.items())
    )
    sentences = [line for line in markdown(equal).splitlines() if line.startswith("- **W")]
    assert len(sentences) == 6
    assert all("not clear" in line for line in sentences)
    assert "no single method finds any" in markdown(equal)


def test_the_same_results_give_the_same_page_and_only_the_section_changes(results: Baselines, tmp_path: Path) -> None:
    page = tmp_path / "corpus.md"
    page.write_text("before\n<!-- baseline:begin -->\nold\n<!-- baseline:end -->\nafter\n", encoding="utf-8")
    first = write_section(page, SECTION, markdown(results)).read_text(encoding="utf-8")
    assert first.startswith("before\n")
    assert first.endswith("after\n")
    assert "old" not in first
    assert write_section(page, SECTION, markdown(results)).read_text(encoding="utf-8") == first


@pytest.mark.parametrize("text", ["no markers", None])
def test_a_page_without_markers_is_named_and_left_alone(results: Baselines, tmp_path: Path, text: str | None) -> None:
    page = tmp_path / "corpus.md"
    if text is not None:
        page.write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=r"corpus\.md"):
        write_section(page, SECTION, markdown(results))
    assert not page.exists() or page.read_text(encoding="utf-8") == text


def test_the_picture_is_a_png_and_the_same_each_time(results: Baselines, tmp_path: Path) -> None:
    first, second = (save_picture(results, tmp_path / f"{name}.png").read_bytes() for name in "ab")
    assert first.startswith(b"\x89PNG")
    assert first == second


@pytest.mark.parametrize("width", [80, 120])
def test_the_tables_fit_a_terminal(results: Baselines, width: int) -> None:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(main_table(results))
    text = capture.get()
    assert "…" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "nDCG@10" in text


def test_the_command_prints_the_tables_and_writes_page_and_picture(
    small: Path, where: Settings, tmp_path: Path
) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "picture.png"
    page.write_text("<!-- baseline:begin -->\n<!-- baseline:end -->\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["baseline", str(small), "--write", str(page), "--picture", str(picture)])
    assert done.exit_code == 0, done.output
    assert "Postgres AND" in done.stdout
    assert load(small).checksum[:12] in page.read_text(encoding="utf-8")
    assert picture.stat().st_size > 5_000


@pytest.mark.parametrize(("option", "name"), [("--picture", "a.jpg"), ("--write", "nowhere.md")])
def test_the_command_refuses_a_bad_target_before_it_measures(
    small: Path, tmp_path: Path, option: str, name: str
) -> None:
    done = CliRunner().invoke(app, ["baseline", str(small), option, str(tmp_path / name)])
    assert isinstance(done.exception, CorpusError)
    assert name in str(done.exception)
    assert done.stdout == ""

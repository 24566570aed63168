"""A course can use another corpus: three documents about a bakery, with or without a world, from any system."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from coursekit import diagnosis, manifest
from coursekit.corpus import course_folder, load, write_checksums
from coursekit.errors import CorpusError
from tests.corpus import bakery


def test_three_documents_without_world_and_judging_are_a_corpus(tmp_path: Path) -> None:
    corpus = load(bakery.write(tmp_path / "bakery", world=False, judging=False))
    assert [document.id for document in corpus.documents] == ["order-cutoff", "order-cutoff-2024", "oven-start"]
    assert (corpus.world, corpus.passes, corpus.pool) == ({}, (), frozenset())
    assert len(corpus.golden) == 3


def test_without_a_world_names_are_taken_as_they_are_and_with_one_they_are_checked(tmp_path: Path) -> None:
    folder = bakery.write(tmp_path / "bakery", world=False)
    path = folder / "documents" / "oven-start.md"
    path.write_text(path.read_text(encoding="utf-8").replace("service: oven", "service: mixer"), encoding="utf-8")
    write_checksums(folder)
    assert load(folder).document("oven-start").service == "mixer"
    (folder / "world.yaml").write_text(bakery.WORLD, encoding="utf-8")
    write_checksums(folder)
    with pytest.raises(CorpusError, match="unknown service 'mixer'"):
        load(folder)


def test_a_course_that_names_another_corpus_uses_it(
    small_course: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_postgres", "_models", "_kernel", "_nbgrader", "_isolation"):  # not what this is about, and slow
        monkeypatch.setattr(diagnosis, name, lambda: "not examined")
    root = small_course({"corpus": "material/bakery"})
    bakery.write(root / "material" / "bakery", world=False)
    assert manifest.load(root).corpus == "material/bakery"
    assert load().folder == course_folder() == root / "material" / "bakery"
    found = {finding.what: finding for finding in diagnosis.examine()}
    assert found["course.yml"].ok
    assert (found["corpus"].ok, found["corpus"].found) == (True, "3 documents, 3 questions")


def test_a_course_without_a_corpus_says_where_to_set_one(small_course: Callable[..., Path]) -> None:
    small_course()
    with pytest.raises(CorpusError, match=r"course\.yml names no corpus; set corpus: to a folder"):
        load()


def test_windows_line_ends_change_no_text_and_quotes_match(tmp_path: Path) -> None:
    unix = bakery.write(tmp_path / "unix")
    windows = bakery.write(tmp_path / "windows", newline="\r\n")
    assert b"\r\n" in (windows / "documents" / "oven-start.md").read_bytes()
    quote = "Never open the damper\nbefore"
    for folder in (unix, windows):
        path = folder / "questions.jsonl"
        with path.open(encoding="utf-8", newline="") as file:
            text = file.read()
        changed = text.replace("The stones need 50 minutes", quote.replace("\n", "\\n"))
        path.write_text(changed, encoding="utf-8", newline="")
        write_checksums(folder)
    one, other = load(unix), load(windows)
    assert one.question("q001").passages[0].quote == quote
    assert [document.text for document in one.documents] == [document.text for document in other.documents]
    assert (one.golden, one.judgments) == (other.golden, other.judgments)
    assert one.checksum != other.checksum


def test_separators_that_are_no_line_ends_stay_in_the_text(small: Path) -> None:
    path = small / "documents" / "oven-start.md"
    path.write_text(path.read_text(encoding="utf-8") + "Flour\u2028water\x0csalt\n", encoding="utf-8")
    write_checksums(small)
    assert load(small).document("oven-start").text.endswith("Flour\u2028water\x0csalt\n")


def test_documents_may_lie_in_subfolders_and_hidden_files_are_nobodys(small: Path) -> None:
    before = load(small)
    (small / "documents" / "shop").mkdir()
    shutil.move(small / "documents" / "order-cutoff.md", small / "documents" / "shop" / "order-cutoff.md")
    write_checksums(small)
    for name in (".DS_Store", "documents/.draft.md", ".git/config"):
        (small / name).parent.mkdir(exist_ok=True)
        (small / name).write_bytes(b"\x00")
    after = load(small)
    assert [document.text for document in after.documents] == [document.text for document in before.documents]
    assert after.document("order-cutoff").path.parent.name == "shop"


def test_other_files_beside_the_documents_are_sealed_and_otherwise_left_alone(small: Path) -> None:
    (small / "NOTICE").write_text("From the bakery.\n", encoding="utf-8")
    (small / "judging" / "guidelines.md").write_text("2 answers.\n", encoding="utf-8")
    before = load_checksums(small)
    write_checksums(small)
    assert load_checksums(small) - before == {"NOTICE", "judging/guidelines.md"}
    assert len(load(small).documents) == 3


def load_checksums(folder: Path) -> set[str]:
    """The names that CHECKSUMS lists."""
    return {row.split("  ", 1)[1] for row in (folder / "CHECKSUMS").read_text(encoding="utf-8").splitlines()}


def test_a_corpus_reached_through_a_link_is_the_corpus(small: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(small, target_is_directory=True)
    assert load(tmp_path / "linked").checksum == load(small).checksum


def test_team_and_tenant_labels_are_slugs(small: Path) -> None:
    path = small / "documents" / "oven-start.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("team:bakers", "tenant:cafe-luna"), encoding="utf-8")
    questions = small / "questions.jsonl"
    asked = questions.read_text(encoding="utf-8").replace("team:bakers", "tenant:cafe-luna")
    questions.write_text(asked, encoding="utf-8")
    write_checksums(small)
    assert load(small).document("oven-start").access == "tenant:cafe-luna"

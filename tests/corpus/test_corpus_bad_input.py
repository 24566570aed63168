"""Every kind of damage is reported with file, line and repair, and all of it at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coursekit.corpus import load, write_checksums
from coursekit.corpus.__main__ import main
from coursekit.errors import CorpusError

GAP = "documents/runbook-craneway-gap.md"


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    """Damage that replaces the first `old` of a file."""

    def damage(folder: Path) -> None:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")

    return damage


def put(name: str, content: bytes) -> Callable[[Path], None]:
    """Damage that replaces a whole file."""

    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return damage


def append(name: str, line: str) -> Callable[[Path], None]:
    """Damage that adds a line at the end of a file."""

    def damage(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8", newline="\n") as file:
            file.write(line + "\n")

    return damage


def question(**changes: object) -> Callable[[Path], None]:
    """Damage that changes fields of the first question."""

    def damage(folder: Path) -> None:
        path = folder / "questions.jsonl"
        first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
        changed = {**json.loads(first), **changes}
        path.write_text(json.dumps(changed) + "\n" + "".join(others), encoding="utf-8", newline="\n")

    return damage


PASSAGE = {"document": "config-dispatch", "quote": "We never wrote this."}
DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no front matter": (put(GAP, b"# craneway\n"), rf"{GAP}:1: front matter is missing; open the file"),
    "front matter never closed": (put(GAP, b"---\nid: x\n"), rf"{GAP}:1: front matter is missing"),
    "bad YAML": (replace(GAP, 'version: "1.1"', 'version: "1.1'), rf"{GAP}:\d+: bad YAML: .*; quote the value"),
    "YAML is a list": (put(GAP, b"---\n- id\n---\nText.\n"), rf"{GAP}:2: front matter is not a mapping"),
    "key given twice": (replace(GAP, "kind:", "title: again\nkind:"), rf"{GAP}:4: title is given twice"),
    "missing field": (replace(GAP, "kind: runbook\n", ""), rf"{GAP}:1: kind is missing; add the field 'kind'"),
    "unknown field": (replace(GAP, "kind:", "sort: x\nkind:"), rf"{GAP}:4: unknown field 'sort'"),
    "computed field": (replace(GAP, "kind:", "text: x\nkind:"), rf"{GAP}:4: unknown field 'text'"),
    "unknown kind": (replace(GAP, "kind: runbook", "kind: essay"), rf"{GAP}:4: kind \(is 'essay'\): .*'runbook'"),
    "unquoted version": (replace(GAP, '"1.1"', "1.1"), rf"{GAP}:7: version \(is 1.1\): .*string"),
    "unknown trait": (replace(GAP, "access:", "traits: [odd]\naccess:"), rf"{GAP}:9: traits.0 \(is 'odd'\)"),
    "unknown service": (replace(GAP, "service: craneway", "service: crane"), rf"{GAP}:5: unknown service 'crane'"),
    "unknown team": (replace(GAP, "owner: yard", "owner: lawn"), rf"{GAP}:6: unknown team 'lawn'"),
    "unknown access": (replace(GAP, "public-internal", "secret"), rf"{GAP}:9: access \(is 'secret'\)"),
    "unknown access team": (replace(GAP, "public-internal", '"team:lawn"'), rf"{GAP}:9: unknown label 'team:lawn'"),
    "duplicate id": (replace(GAP, "id: runbook-craneway-gap", "id: config-dispatch"), r"gap\.md:2: id .* is taken by"),
    "id is not the file name": (replace(GAP, "id: runbook", "id: book"), rf"{GAP}:2: id .* differs from the file name"),
    "superseded by nothing": (replace(GAP, "access:", "superseded_by: gone\naccess:"), rf"{GAP}:9: .*no such document"),
    "supersession one-sided": (
        replace(GAP, "access:", "supersedes: config-dispatch\naccess:"),
        rf"{GAP}:9: supersedes .* does not link back; set superseded_by",
    ),
    "supersession back in time": (
        replace("documents/beacon-delivery-policy.md", "2025-09-01", "2023-09-01"),
        r"policy\.md:8: not newer than 'beacon-webhook-faq'",
    ),
    "not UTF-8": (put(GAP, b"---\nid: x\ntitle: Caf\xe9\n---\n"), rf"{GAP}:3: byte \d+ is not UTF-8; save the file"),
    "empty file": (put(GAP, b" \n"), rf"{GAP}:1: file is empty"),
    "empty body": (put(GAP, b"---\nid: x\n---\n\n"), rf"{GAP}:3: the body is empty"),
    "no questions": (lambda f: (f / "questions.jsonl").unlink(), r"questions\.jsonl:1: cannot be read"),
    "bad JSON": (append("questions.jsonl", "{"), r"questions\.jsonl:41: bad JSON: .*; write one object per line"),
    "question is no object": (append("questions.jsonl", "[]"), r"questions\.jsonl:41: record: "),
    "unknown category": (question(category="trivia"), r"questions\.jsonl:1: category \(is 'trivia'\): .*'identifier'"),
    "unknown label in asked_by": (question(asked_by=["team:lawn"]), r"questions\.jsonl:1: q001: unknown label"),
    "duplicate question id": (question(id="q002"), r"questions\.jsonl:2: id 'q002' is taken by line 1"),
    "quote not found": (question(passage=PASSAGE), r"questions\.jsonl:1: q001: quote not found in config-dispatch\.md"),
    "dangling passage": (question(passage={**PASSAGE, "document": "no"}), r"jsonl:1: q001: no document 'no'"),
    "passage not judged": (
        question(passage={"document": "runbook-craneway-gap", "quote": "Not recoverable."}),
        r"jsonl:1: q001: its passage is in 'runbook-craneway-gap', not judged 2; add the judgment",
    ),
    "no passage": (question(passage=None), r"questions\.jsonl:1: record: .* needs a passage"),
    "fact not in the answer": (question(key_facts=[["whale"]]), r"jsonl:1: record: reference_answer states none"),
    "history without follow-up": (
        question(history=[{"role": "user", "content": "hi"}]),
        r"jsonl:1: record: history is given exactly for category 'follow-up'",
    ),
    "dangling question": (append("qrels.tsv", "q999\tconfig-dispatch\t1"), r"qrels\.tsv:\d+: no question 'q999'"),
    "dangling document": (append("qrels.tsv", "q001\tno\t1"), r"qrels\.tsv:\d+: no document 'no'"),
    "bad grade": (append("qrels.tsv", "q001\tconfig-parcelhub\t3"), r"qrels\.tsv:\d+: not a judgment"),
    "judged twice": (append("qrels.tsv", "q001\tconfig-dispatch\t0"), r"qrels\.tsv:\d+: .* was judged in line 2"),
    "no header": (replace("qrels.tsv", "query_id\t", ""), r"qrels\.tsv:1: header is "),
    "forbidden document": (
        append("qrels.tsv", "q001\trunbook-ledger-month-close\t1"),
        r"qrels\.tsv:\d+: q001's asker may not read",
    ),
    "relevant without answer": (
        append("qrels.tsv", "q040\tconfig-dispatch\t1"),
        r"qrels\.tsv:\d+: q040 has no answer but a relevant document; grade it 0",
    ),
    "world is bad YAML": (put("world.yaml", b"teams: {\n"), r"world\.yaml:\d+: bad YAML"),
    "world lacks a section": (
        replace("world.yaml", "\ntenants:", "\nguests:"),
        r"yaml:1: section 'tenants' is missing",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_reported_with_file_line_and_repair(copy: Path, name: str) -> None:
    damage, expected = DAMAGE[name]
    damage(copy)
    write_checksums(copy)
    with pytest.raises(CorpusError, match=expected) as caught:
        load(copy)
    assert all("; " in line and ".py" not in line for line in str(caught.value).splitlines()[1:])


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (append(GAP, "More."), rf"CHECKSUMS:\d+: checksum mismatch for {GAP}; if the change is meant: python -m"),
        (put("extra.txt", b"x"), r"CHECKSUMS:1: extra\.txt is not listed"),
        (append("CHECKSUMS", "00  gone.md"), r"CHECKSUMS:\d+: gone\.md is listed but does not exist"),
        (append("CHECKSUMS", ""), r"CHECKSUMS:1: rows are out of order or malformed"),
        (lambda folder: (folder / "CHECKSUMS").unlink(), r"CHECKSUMS:1: cannot be read"),
    ],
)
def test_a_file_that_differs_from_its_checksum_is_reported(
    copy: Path, damage: Callable[[Path], None], expected: str
) -> None:
    damage(copy)
    with pytest.raises(CorpusError, match=expected):
        load(copy)


def test_all_problems_are_raised_at_once(copy: Path) -> None:
    for name in ("unknown team", "bad JSON", "dangling document"):
        DAMAGE[name][0](copy)
    write_checksums(copy)
    with pytest.raises(CorpusError, match="has 3 problems") as caught:
        load(copy)
    assert len(str(caught.value).splitlines()) == 4


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nowhere: no such folder"):
        load(tmp_path / "nowhere")


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"documents:1: no \*\.md file here"):
        load(tmp_path)


def test_rebuilding_checksums_makes_a_changed_corpus_load(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = load(copy).checksum
    append(GAP, "More.")(copy)
    assert main(["checksums", str(copy)]) == 0
    assert load(copy).checksum != before
    assert "30 documents" in capsys.readouterr().out


def test_check_command_prints_the_problems_and_exits_2(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append(GAP, "More.")(copy)
    assert main(["check", str(copy)]) == 2
    assert "checksum mismatch" in capsys.readouterr().err


def test_checksums_command_refuses_a_folder_that_is_no_corpus(tmp_path: Path) -> None:
    assert main(["checksums", str(tmp_path)]) == 2
    assert not list(tmp_path.iterdir())

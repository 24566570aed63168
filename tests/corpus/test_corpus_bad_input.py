"""Every kind of damage is reported with file, line and repair, and all of it at once; nothing half-loads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from coursekit.corpus import load, write_checksums
from coursekit.errors import CorpusError

OVEN = "documents/oven-start.md"
Damage = Callable[[Path], object]


def replace(name: str, old: str, new: str) -> Damage:
    """Damage that replaces the first `old` of a file."""

    def damage(folder: Path) -> None:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")

    return damage


def put(name: str, content: bytes) -> Damage:
    """Damage that replaces a whole file, or adds one."""

    def damage(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)

    return damage


def append(name: str, line: str) -> Damage:
    """Damage that adds a line at the end of a file."""

    def damage(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8", newline="\n") as file:
            file.write(line + "\n")

    return damage


def remove(name: str) -> Damage:
    """Damage that deletes a file."""
    return lambda folder: (folder / name).unlink()


def folder_instead(name: str) -> Damage:
    """Damage that puts an empty folder in a file's place."""

    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def question(**changes: object) -> Damage:
    """Damage that changes fields of the first question."""

    def damage(folder: Path) -> None:
        path = folder / "questions.jsonl"
        first, *others = path.read_text(encoding="utf-8").splitlines(keepends=True)
        changed = {**json.loads(first), **changes}
        path.write_text(json.dumps(changed) + "\n" + "".join(others), encoding="utf-8", newline="\n")

    return damage


def front(text: str) -> Damage:
    """Damage that gives a document this front matter."""
    return put(OVEN, f"---\n{text}\n---\nText.\n".encode())


PASSAGE = {"document": "oven-start", "quote": "We never wrote this."}
LAUGHS = "\n".join(
    ["a: &a [lol, lol]", *(f"{x}: &{x} [*{y}, *{y}]" for x, y in zip("bcdefghi", "abcdefgh", strict=True))]
)
BAD_DOCUMENTS: dict[str, tuple[Damage, str]] = {
    "no front matter": (put(OVEN, b"# oven\n"), rf"{OVEN}:1: front matter is missing; open the file"),
    "front matter never closed": (put(OVEN, b"---\nid: x\n"), rf"{OVEN}:1: front matter is missing"),
    "front matter without end": (front("id: x\n" * 101), rf"{OVEN}:102: front matter of 102 lines; 100 are allowed"),
    "bad YAML": (replace(OVEN, 'version: "1.1"', 'version: "1.1'), rf"{OVEN}:\d+: bad YAML: .*; quote the value"),
    "YAML is a list": (front("- id"), rf"{OVEN}:2: front matter is not a mapping"),
    "YAML is empty": (front("# nothing"), rf"{OVEN}:2: front matter is not a mapping"),
    "billion laughs": (front(LAUGHS), rf"{OVEN}:2: an anchor \(&\) is not allowed; write the value itself"),
    "alias": (front("id: x\ntitle: *x"), rf"{OVEN}:3: an alias \(\*\) is not allowed"),
    "tag": (front("id: x\ntitle: !!python/name:os.system x"), rf"{OVEN}:3: a tag \(!\) is not allowed"),
    "deep nesting": (front("traits: " + "[" * 5000), rf"{OVEN}:2: nested more than 20 deep; make it flatter"),
    "no such day": (replace(OVEN, "2025-05-12", "2025-02-30"), rf"{OVEN}:\d: bad YAML: a value cannot be read \(day"),
    "endless number": (replace(OVEN, '"1.1"', "1" * 5000), rf"{OVEN}:2: bad YAML: a value cannot be read"),
    "key is no text": (front("1: x"), rf"{OVEN}:2: a key is not text"),
    "key given twice": (replace(OVEN, "kind:", "title: again\nkind:"), rf"{OVEN}:4: title is given twice"),
    "missing field": (replace(OVEN, "kind: runbook\n", ""), rf"{OVEN}:1: kind is missing; add the field 'kind'"),
    "unknown field": (replace(OVEN, "kind:", "sort: x\nkind:"), rf"{OVEN}:4: unknown field 'sort'"),
    "computed field": (replace(OVEN, "kind:", "text: x\nkind:"), rf"{OVEN}:4: unknown field 'text'"),
    "unknown kind": (replace(OVEN, "kind: runbook", "kind: essay"), rf"{OVEN}:4: kind \(is 'essay'\): .*'runbook'"),
    "unquoted version": (replace(OVEN, '"1.1"', "1.1"), rf"{OVEN}:7: version \(is 1.1\): .*string"),
    "unknown trait": (replace(OVEN, "access:", "traits: [odd]\naccess:"), rf"{OVEN}:9: traits.0 \(is 'odd'\)"),
    "unknown service": (replace(OVEN, "service: oven", "service: ovn"), rf"{OVEN}:5: unknown service 'ovn'"),
    "unknown team": (replace(OVEN, "owner: bakers", "owner: lawn"), rf"{OVEN}:6: unknown team 'lawn'"),
    "unknown access": (replace(OVEN, "team:bakers", "secret"), rf"{OVEN}:9: access \(is 'secret'\)"),
    "unknown access team": (replace(OVEN, "team:bakers", "team:lawn"), rf"{OVEN}:9: unknown label 'team:lawn'"),
    "duplicate id": (replace(OVEN, "id: oven-start", "id: order-cutoff"), r"id 'order-cutoff' is taken by documents/o"),
    "same name in a subfolder": (
        lambda f: put("documents/season/oven-start.md", (f / OVEN).read_bytes())(f),
        r"documents/season/oven-start\.md:2: id 'oven-start' is taken by documents/oven-start\.md; give it its own id",
    ),
    "id is not the file name": (replace(OVEN, "id: oven", "id: ofen"), rf"{OVEN}:2: id .* differs from the file name"),
    "superseded by nothing": (replace(OVEN, "access:", "superseded_by: gone\naccess:"), rf"{OVEN}:9: .*no such doc"),
    "supersession one-sided": (
        replace(OVEN, "access:", "supersedes: order-cutoff\naccess:"),
        rf"{OVEN}:9: supersedes .* does not link back; set superseded_by",
    ),
    "supersession back in time": (
        replace("documents/order-cutoff.md", "2025-09-01", "2023-09-01"),
        r"cutoff\.md:8: not newer than 'order-cutoff-2024'",
    ),
    "not UTF-8": (put(OVEN, b"---\nid: x\ntitle: Caf\xe9\n---\n"), rf"{OVEN}:3: byte \d+ is not UTF-8; save the file"),
    "byte order mark": (put(OVEN, b"\xef\xbb\xbf---\nid: x\n"), rf"{OVEN}:1: opens with a byte order mark; save"),
    "UTF-16": (put(OVEN, "---\nid: x\n".encode("utf-16")), rf"{OVEN}:1: opens with a byte order mark"),
    "NUL byte": (replace(OVEN, "240", "2\x0040"), rf"{OVEN}:13: holds a NUL byte; remove it"),
    "empty file": (put(OVEN, b""), rf"{OVEN}:1: file is empty"),
    "blank file": (put(OVEN, b" \n"), rf"{OVEN}:1: file is empty"),
    "empty body": (put(OVEN, b"---\nid: x\n---\n\n"), rf"{OVEN}:3: the body is empty"),
    "20 MB": (append(OVEN, "bread " * 3_500_000), rf"{OVEN}:1: 21\.0 MB is too large; 1 MB are allowed; split"),
    "no document": (
        put("documents/notes.txt", b"x"),
        r"documents/notes\.txt:1: is not a document; rename it to \*\.md",
    ),
    "folder named as a document": (
        lambda f: (f / "documents" / "cakes.md").mkdir(),
        r"documents/cakes\.md:1: is a folder with a document's name; rename the folder",
    ),
    "link": (
        lambda f: (f / "documents" / "linked.md").symlink_to(f / OVEN),
        r"documents/linked\.md:1: is a link; put the file itself here",
    ),
    "link to a folder": (
        lambda f: (f / "documents" / "loop").symlink_to(f, target_is_directory=True),
        r"documents/loop:1: is a link",
    ),
    "pipe": (lambda f: os.mkfifo(f / "documents" / "pipe.md"), r"pipe\.md:1: is neither a file nor a folder; remove"),
    "name with a line break": (put("documents/a\nb.md", b"x"), r"'documents/a\\nb\.md':1: unusual characters"),
}
BAD_QUESTIONS: dict[str, tuple[Damage, str]] = {
    "no questions": (remove("questions.jsonl"), r"questions\.jsonl:1: cannot be read"),
    "bad JSON": (append("questions.jsonl", "{"), r"questions\.jsonl:4: bad JSON: .*; write one object per line"),
    "deep JSON": (append("questions.jsonl", "[" * 100_000), r"questions\.jsonl:4: bad JSON: nested too deeply"),
    "endless number in JSON": (append("questions.jsonl", "1" * 5000), r"questions\.jsonl:4: bad JSON: "),
    "JSON key given twice": (
        append("questions.jsonl", '{"id": 1, "id": 2}'),
        r"jsonl:4: bad JSON: 'id' is given twice",
    ),
    "question is no object": (append("questions.jsonl", "[]"), r"questions\.jsonl:4: record: "),
    "half a character": (question(text="\ud800"), r"questions\.jsonl:1: text .*valid string"),
    "unknown category": (question(category="trivia"), r"questions\.jsonl:1: category \(is 'trivia'\): .*'identifier'"),
    "unknown label in asked_by": (question(asked_by=["team:lawn"]), r"questions\.jsonl:1: q001: unknown label"),
    "question id of another shape": (question(id="q1"), r"questions\.jsonl:1: id \(is 'q1'\)"),
    "duplicate question id": (question(id="q002"), r"questions\.jsonl:2: id 'q002' is taken by line 1"),
    "quote not found": (question(passage=PASSAGE), r"questions\.jsonl:1: q001: quote not found in oven-start\.md"),
    "dangling passage": (question(passage={**PASSAGE, "document": "no"}), r"jsonl:1: q001: no document 'no'"),
    "passage not judged": (
        question(passage={"document": "order-cutoff-2024", "quote": "All orders"}),
        r"jsonl:1: q001: its passage is in 'order-cutoff-2024', not judged 2; add the judgment to qrels\.txt",
    ),
    "no passage": (question(passage=None), r"questions\.jsonl:1: record: .* needs a passage"),
    "fact not in the answer": (question(key_facts=[["whale"]]), r"jsonl:1: record: reference_answer states none"),
    "history without follow-up": (
        question(history=[{"role": "user", "content": "hi"}]),
        r"jsonl:1: record: history is given exactly for category 'follow-up'",
    ),
}
BAD_JUDGMENTS: dict[str, tuple[Damage, str]] = {
    "no judgments": (remove("qrels.txt"), r"qrels\.txt:1: cannot be read"),
    "dangling question": (append("qrels.txt", "q999 0 oven-start 1"), r"qrels\.txt:5: no question 'q999'"),
    "dangling document": (append("qrels.txt", "q001 0 no 1"), r"qrels\.txt:5: no document 'no'; correct the id"),
    "bad grade": (append("qrels.txt", "q001 0 order-cutoff 3"), r"qrels\.txt:5: not a judgment.*; write 'q001 0 doc"),
    "bad iteration": (append("qrels.txt", "q001 1 order-cutoff 0"), r"qrels\.txt:5: not a judgment"),
    "tabs": (append("qrels.txt", "q001\t0\torder-cutoff\t0"), r"qrels\.txt:5: not a judgment"),
    "two spaces": (append("qrels.txt", "q001 0 order-cutoff  0"), r"qrels\.txt:5: not a judgment"),
    "header": (replace("qrels.txt", "q001", "query_id 0 document_id grade\nq001"), r"qrels\.txt:1: not a judgment"),
    "blank line": (append("qrels.txt", ""), r"qrels\.txt:5: not a judgment"),
    "judged twice": (append("qrels.txt", "q001 0 oven-start 0"), r"qrels\.txt:5: q001 oven-start stands in line 1"),
    "forbidden document": (
        append("qrels.txt", "q002 0 oven-start 1"),
        r"qrels\.txt:5: q002's asker may not read 'oven-start' \(team:bakers\); grade it 0",
    ),
    "relevant without answer": (
        append("qrels.txt", "q003 0 order-cutoff-2024 1"),
        r"qrels\.txt:5: q003 has no answer but a relevant document; grade it 0",
    ),
    "dangling question in a pass": (append("judging/pass-1.txt", "q9 0 oven-start 0"), r"pass-1\.txt:5: no question"),
    "dangling document in a pass": (append("judging/pass-2.txt", "q001 0 no 0"), r"pass-2\.txt:5: no document 'no'"),
    "bad grade in a pass": (append("judging/pass-2.txt", "q001 0 oven-start x"), r"pass-2\.txt:5: not a judgment"),
    "one pass alone": (remove("judging/pass-1.txt"), r"pass-1\.txt:1: is missing, and pass-2\.txt is there"),
    "misnamed pass": (put("judging/pass1.txt", b"x"), r"judging/pass1\.txt:1: unknown file; name it pass-1\.txt"),
    "pool not judged": (
        append("judging/pool.txt", "q001 order-cutoff"),
        r"judging/pool\.txt:5: q001 order-cutoff is not judged; add it to qrels\.txt, with 0 when",
    ),
    "dangling pool": (append("judging/pool.txt", "q001 no"), r"pool\.txt:5: no document 'no'"),
    "pair twice in the pool": (
        append("judging/pool.txt", "q001 oven-start"),
        r"pool\.txt:5: q001 oven-start stands in",
    ),
    "pool with grades": (append("judging/pool.txt", "q001 0 order-cutoff 0"), r"pool\.txt:5: not a pair"),
}
BAD_WORLDS: dict[str, tuple[Damage, str]] = {
    "world is bad YAML": (put("world.yaml", b"teams: {\n"), r"world\.yaml:\d+: bad YAML"),
    "world lacks a section": (
        replace("world.yaml", "\ntenants:", "\nguests:"),
        r"yaml:1: section 'tenants' is missing; add it as a mapping",
    ),
    "world repeats a name": (
        replace("world.yaml", "  till: {", "  oven: {"),
        r"world\.yaml:4: oven is given twice; keep one of the two",
    ),
    "world laughs": (put("world.yaml", LAUGHS.encode()), r"world\.yaml:1: an anchor"),
    "world is empty": (put("world.yaml", b""), r"world\.yaml:1: file is empty"),
    "world is a folder": (
        folder_instead("world.yaml"),
        r"world\.yaml:1: is not a file",
    ),
}
DAMAGE = {**BAD_DOCUMENTS, **BAD_QUESTIONS, **BAD_JUDGMENTS, **BAD_WORLDS}


def test_the_small_corpus_is_sound_before_it_is_broken(small: Path) -> None:
    assert len(load(small).documents) == 3


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_reported_with_file_line_and_repair(small: Path, name: str) -> None:
    damage, expected = DAMAGE[name]
    try:
        damage(small)
    except OSError as error:
        pytest.skip(f"this file system cannot hold it: {error}")
    with pytest.raises(CorpusError, match=expected) as caught:
        load(small)
    found = [line for line in str(caught.value).splitlines()[1:] if "CHECKSUMS:" not in line]
    assert found
    assert all("; " in line and ".py" not in line and len(line) < 400 for line in found)


@pytest.mark.parametrize("name", ["no front matter", "unknown category"])
def test_what_points_to_a_broken_record_is_not_reported_as_dangling(small: Path, name: str) -> None:
    DAMAGE[name][0](small)
    write_checksums(small)
    with pytest.raises(CorpusError, match="has 1 problem:"):
        load(small)


@pytest.mark.parametrize("name", [OVEN, "questions.jsonl", "world.yaml", "judging", "documents"])
def test_what_cannot_be_read_is_named(small: Path, name: str) -> None:
    path = small / name
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
        with pytest.raises(CorpusError, match=rf"{name}:1: .*cannot be read \(Permission denied\); restore"):
            load(small)
    finally:
        path.chmod(0o700)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (
            append(OVEN, "More."),
            rf"CHECKSUMS:\d+: checksum mismatch for {OVEN}; if .* meant: course corpus checksums /",
        ),
        (put("extra.txt", b"x"), r"CHECKSUMS:1: extra\.txt is not listed"),
        (append("CHECKSUMS", "00  gone.md"), r"CHECKSUMS:\d+: gone\.md is listed but does not exist"),
        (append("CHECKSUMS", ""), r"CHECKSUMS:1: rows are out of order or malformed"),
        (put("CHECKSUMS", b""), r"CHECKSUMS:1: file is empty"),
        (remove("CHECKSUMS"), r"CHECKSUMS:1: cannot be read \(there is none\); .* course corpus checksums /"),
    ],
)
def test_a_file_that_differs_from_its_checksum_is_reported(small: Path, damage: Damage, expected: str) -> None:
    damage(small)
    with pytest.raises(CorpusError, match=expected):
        load(small)


@pytest.mark.parametrize("name", ["no questions", "no judgments"])
def test_a_missing_file_is_one_problem_and_not_one_per_line_that_points_to_it(small: Path, name: str) -> None:
    DAMAGE[name][0](small)
    write_checksums(small)
    with pytest.raises(CorpusError, match="has 1 problem:") as caught:
        load(small)
    assert "cannot be read" in str(caught.value)


def test_all_problems_are_raised_at_once(small: Path) -> None:
    for name in ("unknown team", "bad JSON", "dangling document"):
        DAMAGE[name][0](small)
    write_checksums(small)
    with pytest.raises(CorpusError, match="has 3 problems") as caught:
        load(small)
    assert len(str(caught.value).splitlines()) == 4


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="nowhere: no such folder"):
        load(tmp_path / "nowhere")


def test_a_folder_without_documents_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"documents:1: no \*\.md file here"):
        load(tmp_path)


def test_rebuilding_checksums_makes_a_changed_corpus_load(small: Path) -> None:
    before = load(small).checksum
    append(OVEN, "More.")(small)
    write_checksums(small)
    assert load(small).checksum != before


def test_checksums_are_not_written_for_a_folder_that_is_no_corpus_or_holds_links(small: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no folder documents/ here"):
        write_checksums(tmp_path)
    before = (small / "CHECKSUMS").read_bytes()
    (small / "linked").symlink_to(tmp_path)
    with pytest.raises(CorpusError, match="linked:1: is a link"):
        write_checksums(small)
    assert (small / "CHECKSUMS").read_bytes() == before

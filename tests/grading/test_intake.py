"""Whatever lies where a submission should be becomes a valid notebook or one clear sentence; nothing blocks or raises."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coursekit.grading.intake import reading as intake
from coursekit.grading.intake.reading import Intake, find_submission, read_bytes, read_file
from tests import notebook_files

SOURCES = [cell.source for cell in notebook_files.first_module()]


def _data(**changes: Any) -> dict[str, Any]:
    notebook = nbformat.v4.new_notebook(cells=notebook_files.first_module())
    return {**json.loads(nbformat.writes(notebook)), **changes}


def _cells() -> list[dict[str, Any]]:
    return list(_data()["cells"])


def _file(**changes: Any) -> bytes:
    return json.dumps(_data(**changes), indent=1, ensure_ascii=False).encode()


def _accepted(data: bytes) -> Intake:
    result = read_bytes(data)
    assert result.notebook is not None, result.reason
    nbformat.validate(result.notebook)
    assert result.reason is None and len(result.digest) == 64
    return result


def _refused(data: bytes) -> str:
    result = read_bytes(data)
    assert result.notebook is None and result.reason is not None
    assert result.reason.endswith(".") or result.reason.endswith(")")
    return result.reason


def _said(result: Intake) -> str:
    return " | ".join(finding.message for finding in result.findings)


def test_a_good_notebook_comes_through_without_a_word_and_without_outputs() -> None:
    data = _data()
    data["cells"][4]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "forged"}]
    result = _accepted(json.dumps(data).encode())
    assert [cell.source for cell in result.notebook.cells] == SOURCES  # type: ignore[union-attr]
    assert result.findings == ()
    assert "forged" not in json.dumps(result.notebook)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8-sig", "byte order mark"),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("utf-16-be", "UTF-16"),
        ("utf-32", "UTF-32"),
    ],
)
def test_other_encodings_of_unicode_are_read(encoding: str, said: str) -> None:
    cells = _cells()
    cells[2]["source"] = "größe = '🚢'"
    result = _accepted(_file(cells=cells).decode().encode(encoding))
    assert result.notebook.cells[2].source == "größe = '🚢'" and said in _said(result)  # type: ignore[union-attr]


def test_latin_1_is_read_when_no_other_reading_is_possible() -> None:
    cells = _cells()
    cells[2]["source"] = "größe = 1"
    result = _accepted(_file(cells=cells).decode().encode("latin-1"))
    assert result.notebook.cells[2].source == "größe = 1" and "Latin-1" in _said(result)  # type: ignore[union-attr]


def test_a_mix_of_encodings_is_refused_in_code_and_mended_elsewhere() -> None:
    marked = _cells()
    marked[2]["source"] = "a = 'ö' # HERE"
    assert "no UTF-8 text" in _refused(_file(cells=marked).replace(b"HERE", b"\xff"))
    marked[2] |= {"cell_type": "markdown"}
    assert "no text" in _said(_accepted(_file(cells=marked).replace(b"HERE", b"\xff")))


@pytest.mark.parametrize("minor", [0, 1, 2, 3, 4, 17, "x", None, -3, True])
def test_every_minor_format_of_4_is_read(minor: Any) -> None:
    cells = [{key: value for key, value in cell.items() if key != "id"} for cell in _cells()]
    assert _accepted(_file(nbformat_minor=minor, cells=cells)).notebook is not None


@pytest.mark.parametrize("version", [5, "4", None, 99, [], 1.5])
def test_a_wrong_number_of_the_format_does_not_matter(version: Any) -> None:
    assert "read as 4" in _said(_accepted(_file(nbformat=version)))


def test_format_3_is_read() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Title"},
        {
            "cell_type": "code",
            "input": ["a = 1\n", "b = 2"],
            "language": "python",
            "outputs": [{"output_type": "pyout"}],
        },
    ]
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}
    result = _accepted(json.dumps(old).encode())
    assert [cell.source for cell in result.notebook.cells] == ["## Title", "a = 1\nb = 2"]  # type: ignore[union-attr]


def _drop(key: str) -> Callable[[dict[str, Any]], None]:
    def change(cell: dict[str, Any]) -> None:
        cell.pop(key, None)

    return change


def _put(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(cell: dict[str, Any]) -> None:
        cell[key] = value

    return change


def _each(key: str, *values: Any) -> list[Callable[[dict[str, Any]], None]]:
    return [_put(key, value) for value in values]


@pytest.mark.parametrize(
    "change",
    [
        *(_drop(key) for key in ("id", "metadata", "outputs", "execution_count", "cell_type")),
        *_each("id", "same", "", 7, "not valid!", "x" * 65, None),
        *_each("metadata", None, [], "x", {"tags": "x"}, {"tags": [1, "a", "a"]}, {"nbgrader": 3}),
        _put("metadata", {"nbgrader": {"grade_id": {"a": []}, "points": 1e400, "x" * 999: 1}, "collapsed": "maybe"}),
        *_each("outputs", None, {}, "text", [None], [{"output_type": "alien"}]),
        *_each("execution_count", "*", -1, 1.5, []),
        *_each("cell_type", "Code", "sql", None, 3, []),
        _put("attachments", 3),
        _put("unknown", {"field": 1}),
    ],
)
def test_harmless_damage_to_every_cell_leaves_the_sources_as_they_are(change: Callable[[dict[str, Any]], None]) -> None:
    cells = _cells()
    for cell in cells:
        change(cell)
    result = _accepted(_file(cells=cells))
    assert [cell.source for cell in result.notebook.cells] == SOURCES  # type: ignore[union-attr]
    assert len({cell.id for cell in result.notebook.cells}) == len(SOURCES)  # type: ignore[union-attr]


def test_sources_are_read_as_text_as_lines_and_as_what_is_left_of_them() -> None:
    cells = _cells()
    for cell, source in zip(
        cells, (["a = 1\r\n", "b = 2"], "c\r\nd\re", ["x", 3, None], None, {"odd": 1}), strict=True
    ):
        cell["source"] = source
    result = _accepted(_file(cells=cells))
    assert [cell.source for cell in result.notebook.cells] == ["a = 1\nb = 2", "c\nd\ne", "x", "", ""]  # type: ignore[union-attr]


def test_half_characters_are_replaced_and_the_notebook_can_be_written() -> None:
    cells = _cells()
    cells[0]["source"] = "a = 'HALF'"
    result = _accepted(_file(cells=cells).replace(b"HALF", b"\\ud800"))
    assert "\ufffd" in nbformat.writes(result.notebook).encode("utf-8").decode() and "half characters" in _said(result)


def test_nan_spare_commas_raw_line_breaks_and_trailing_text_are_mended() -> None:
    good = _file()
    assert "NaN" in _said(_accepted(_file(metadata={"a": float("nan"), "b": [float("inf")]})))
    assert "comma" in _said(_accepted(good.replace(b'"nbformat": 4', b'"x": [1, ],\n "nbformat": 4', 1)))
    assert "raw line breaks" in _said(_accepted(good.replace(b"Add.", b"Add.\n")))
    assert "after the notebook's end" in _said(_accepted(good + b"\n}\n]garbage {"))
    assert _accepted(b"\n \t" + good + b" \x00\x00\n").findings == ()


def test_two_notebooks_in_one_file_are_refused_unless_they_are_one() -> None:
    other = _file().replace(b"return a + b", b"return a - b")
    assert "second notebook" in _refused(_file() + b"\n" + other)
    assert _accepted(_file() + b"\n" + _file()).notebook is not None


@pytest.mark.parametrize(
    "wrap", [lambda n: {"content": n, "type": "notebook"}, lambda n: [n], lambda n: {"content": json.dumps(n)}]
)
def test_a_notebook_inside_other_json_is_found(wrap: Callable[[Any], Any]) -> None:
    result = _accepted(json.dumps(wrap(_data())).encode())
    assert len(result.notebook.cells) == len(SOURCES) and "inside" in _said(result)  # type: ignore[union-attr]


def test_vs_codes_own_cells_are_read() -> None:
    cells = [
        {"kind": 1, "languageId": "markdown", "value": "# Hi"},
        {"kind": 2, "languageId": "python", "value": "a = 1"},
    ]
    notebook = _accepted(json.dumps({"cells": cells}).encode()).notebook
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [("markdown", "# Hi"), ("code", "a = 1")]  # type: ignore[union-attr]


def test_another_kernel_is_only_noted() -> None:
    (finding,) = _accepted(_file(metadata={"kernelspec": {"name": "ir", "language": "R"}})).findings
    assert finding.kind == "note" and "R" in finding.message


def _conflicted(ours: dict[str, Any], theirs: dict[str, Any], base: bool = False) -> bytes:
    """The file that git leaves: the lines that differ, between markers."""
    import difflib

    mine, other = (json.dumps(side, indent=1).splitlines() for side in (ours, theirs))
    lines: list[str] = []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, mine, other, autojunk=False).get_opcodes():
        if tag == "equal":
            lines += mine[i1:i2]
        else:
            middle = ["||||||| 1234567", '"base"'] if base else []
            lines += ["<<<<<<< HEAD", *mine[i1:i2], *middle, "=======", *other[j1:j2], ">>>>>>> branch"]
    return "\n".join(lines).encode()


@pytest.mark.parametrize("base", [False, True])
def test_a_conflict_in_outputs_and_counts_is_resolved(base: bool) -> None:
    ours, theirs = _data(), _data()
    ours["cells"][2] |= {"execution_count": 3, "outputs": [{"output_type": "stream", "name": "stdout", "text": ["a"]}]}
    theirs["cells"][2] |= {"execution_count": 9, "outputs": []}
    theirs["metadata"]["language_info"] = {"name": "python"}
    result = _accepted(_conflicted(ours, theirs, base))
    assert [cell.source for cell in result.notebook.cells] == SOURCES and "conflict" in _said(result)  # type: ignore[union-attr]


def test_a_conflict_in_code_is_refused_and_the_cell_named() -> None:
    ours, theirs = _data(), _data()
    theirs["cells"][3]["source"] = ["def add(a, b):\n", "    return b"]
    assert "merge conflict in cell a1-add:" in _refused(_conflicted(ours, theirs))
    assert "merge conflict" in _refused(_conflicted(ours, theirs).replace(b">>>>>>> branch", b""))


def test_a_conflict_inside_one_cells_text_costs_only_that_cell() -> None:
    cells = _cells()
    cells[3]["source"] = "<<<<<<< local\na = 1\n=======\na = 2\n>>>>>>> remote"
    result = _accepted(_file(cells=cells))
    assert [(f.kind, f.cell) for f in result.findings] == [("note", "a1-add")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\x00\x00", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "HTML"),
        (b"\n\n  <?xml version='1.0'?>", "HTML"),
        (b"PK\x03\x04rest", "zip"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n", "picture"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"import os\nprint(os)\n", "Python script"),
        (b"# %%\na = 1\n", "Python script"),
        (b"hello", "not begin as JSON"),
        (b"\xff\xfe{", "breaks off"),
        (b"{}", "no notebook"),
        (b"[]", "no notebook"),
        (b'{"cells": {}}', "no notebook"),
        (b'{"cells": [1, 2, null]}', "no notebook"),
        (b'{"a": {"b": {"c": {"d": {"cells": []}}}}}', "no notebook"),
        (b'{"cells": [}]', "not JSON"),
        (b'{"cells": [1 2]}', "not JSON"),
        (b'{"cells": "' + b'\\"' * 100_000, "breaks off"),
        (b"[" * 100_000, "too deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "too deeply"),
        (b'{"cells": [], "nbformat": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"cells": [], "nbformat": ' + b"9" * 5_000_000 + b"}", "digits"),
        (b'{"cells": [' + b"{}," * 1_500_000 + b"{}]}", "more values"),
        (b'{"cells": [' + b"{}," * 6_000 + b"{}]}", "6001 cells"),
    ],
)
def test_what_is_no_notebook_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    assert reason in _refused(data)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_notebook_is_called_so(share: float) -> None:
    data = _file()
    assert "breaks off" in _refused(data[: int(len(data) * share)].rstrip()[:-1])


def test_a_cell_above_a_megabyte_is_left_out_and_much_code_refused() -> None:
    cells = _cells()
    big = {**cells[2], "source": "x" * 1_000_001, "id": "big"}
    result = _accepted(_file(cells=[*cells, big]))
    assert len(result.notebook.cells) == len(cells) and "left out" in _said(result)  # type: ignore[union-attr]
    half = {**cells[2], "source": "x" * 900_000}
    assert "MB of code" in _refused(_file(cells=[half] * 5))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "cells",
                        "cell_type",
                        "source",
                        "metadata",
                        "nbgrader",
                        "tags",
                        "id",
                        "kind",
                        "worksheets",
                        "nbformat",
                        "nbformat_minor",
                        "level",
                        "kernelspec",
                        "language",
                        "grade_id",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=30,
    )
)
@settings(max_examples=150, deadline=None)
def test_no_json_whatsoever_raises(value: Any) -> None:
    for data in (
        value,
        {"cells": value},
        {"cells": [value]},
        {"cells": [{"cell_type": "code", "source": value, "metadata": value}]},
    ):
        result = read_bytes(json.dumps(data).encode())
        assert (result.notebook is None) == (result.reason is not None)
        if result.notebook is not None:
            nbformat.validate(result.notebook)
            nbformat.writes(result.notebook).encode()


@given(st.binary(max_size=200), st.integers(0, 4000))
@settings(max_examples=150, deadline=None)
def test_no_bytes_whatsoever_raise(noise: bytes, place: int) -> None:
    data = _file()
    for changed in (noise, data[:place] + noise + data[place:], data[:place] + noise + data[place + len(noise) :]):
        result = read_bytes(changed)
        assert (result.notebook is None) == (result.reason is not None)


def test_hostile_files_take_bounded_time() -> None:
    started = time.monotonic()
    for data in (
        b'{"' + b'\\"' * 9_000_000,
        b'{"cells": "' + b"[" * 19_000_000 + b'"}',
        b"<<<<<<< a\n" * 1_900_000,
        b'{"a"' + b" " * 19_000_000,
    ):
        _refused(data)
    assert time.monotonic() - started < 30


# files


def test_a_notebook_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "m.ipynb"
    path.write_bytes(_file())
    assert read_file(path) == read_bytes(_file())


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    regular = tmp_path / "regular.ipynb"
    regular.write_bytes(_file())
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(regular)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)  # a socket's path must be short
        listener.bind("socket")
    reasons = {
        "folder": "a folder",
        "link": "a symbolic link",
        "loop": "a symbolic link",
        "fifo": "a pipe",
        "socket": "a socket",
        "missing": "no file",
        "null\0byte": "cannot be read",
        "x" * 300: "cannot be read",
        "regular.ipynb/below": "cannot be read",
    }
    for name, reason in reasons.items():
        result = read_file(tmp_path / name)
        assert result.notebook is None and reason in str(result.reason), name
        assert result.digest == ""
    assert "a device" in str(read_file(Path("/dev/zero")).reason)


def test_a_pipe_put_in_a_files_place_at_the_last_moment_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    regular, fifo = tmp_path / "regular", tmp_path / "fifo"
    regular.touch()
    os.mkfifo(fifo)
    monkeypatch.setattr(intake.os, "lstat", lambda path: os.stat(regular))
    result: list[Intake] = []
    reader = threading.Thread(target=lambda: result.append(read_file(fifo)), daemon=True)
    reader.start()
    reader.join(10)
    assert result and "a pipe" in str(result[0].reason)


def test_a_file_of_100_mb_and_an_unreadable_one_are_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.ipynb"
    with huge.open("wb") as file:
        file.truncate(100_000_000)
    assert "larger than 20 MB" in str(read_file(huge).reason)
    assert "larger than 20 MB" in str(read_bytes(b"x" * 20_000_001).reason)
    if os.geteuid() != 0:
        huge.chmod(0)
        assert "cannot be read" in str(read_file(huge).reason)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["m01.ipynb", "m01 (9).ipynb"], "m01.ipynb"),
        (["M01.IPYNB", "m01 (1).ipynb"], "M01.IPYNB"),
        (["m01 (1).ipynb", "notes.txt"], "m01 (1).ipynb"),
        (["m01 (2).ipynb", "m01 (10).ipynb", "m01.ipynb.txt"], "m01 (10).ipynb"),
        (["m01-copy.ipynb"], "m01-copy.ipynb"),
        (["m01-Copy1.ipynb", "m01-Copy2.ipynb"], "m01-Copy2.ipynb"),
        (["Copy of m01.ipynb", "m02.ipynb"], "Copy of m01.ipynb"),
        (["m01 copy 3.ipynb"], "m01 copy 3.ipynb"),
        (["m01(1).ipynb"], "m01(1).ipynb"),
        (["m01.ipynb.txt"], "m01.ipynb.txt"),
        (["homework.ipynb", "data.csv"], "homework.ipynb"),
        (["one.ipynb", "two.ipynb"], None),
        (["data.csv"], None),
        ([], None),
    ],
)
def test_the_submission_is_found_under_an_unlucky_name(tmp_path: Path, names: list[str], chosen: str | None) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert find_submission(tmp_path, "m01") == (tmp_path / chosen if chosen else None)


def test_a_hostile_name_is_looked_at_in_no_time(tmp_path: Path) -> None:
    for name in (
        "copy " * 45 + ".ipynb",
        "copy of " * 25 + "m01" + "(1)" * 12 + "x.ipynb",
        "m01" + " -_" * 70 + ".ipynb",
    ):
        (tmp_path / name).touch()
    started = time.monotonic()
    find_submission(tmp_path, "m01")
    assert time.monotonic() - started < 5


def test_links_are_passed_over_and_what_is_no_file_is_left_to_read_file(tmp_path: Path) -> None:
    (tmp_path / "m01.ipynb").symlink_to(tmp_path / "elsewhere")
    assert find_submission(tmp_path, "m01") == tmp_path / "m01.ipynb"
    (tmp_path / "m01 (1).ipynb").touch()
    assert find_submission(tmp_path, "m01") == tmp_path / "m01 (1).ipynb"
    (tmp_path / "link").symlink_to(tmp_path)
    assert find_submission(tmp_path / "link", "m01") is None
    assert find_submission(tmp_path / "missing", "m01") is None

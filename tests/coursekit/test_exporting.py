"""Exported cells: what becomes a file, what replaces what, what is refused."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from coursekit import exporting
from coursekit.errors import ExportError
from coursekit.exporting import Block, make_block, parse_file, prune, put, render_file

NOTEBOOK = "workspace/a1_first/a1_first.ipynb"


def _cell(body: str) -> str:
    return f"#| export adding.py\n{body}"


def test_a_file_points_back_to_each_cell_and_parses() -> None:
    text = render_file(
        [Block("c1", '"""Adds."""\nimport math'), Block("c2", "def add(a, b):\n    return a + b")], NOTEBOOK
    )
    assert ast.get_docstring(ast.parse(text)) == "Adds."
    assert f"# ── cell c2 of {NOTEBOOK} ──" in text
    assert "do not edit" in text.splitlines()[0]
    assert parse_file(text) == [
        Block("c1", '"""Adds."""\nimport math'),
        Block("c2", "def add(a, b):\n    return a + b"),
    ]


def test_running_a_cell_again_replaces_its_block_in_place() -> None:
    blocks = [Block("c1", "A = 1"), Block("c2", "B = 1")]
    assert put(blocks, Block("c1", "A = 2"), []) == [Block("c1", "A = 2"), Block("c2", "B = 1")]


def test_another_cell_that_defines_the_same_name_replaces_the_first() -> None:
    blocks = [Block("c1", "def f():\n    return 1"), Block("c2", "B = 1")]
    assert put(blocks, Block("c9", "def f():\n    return 2"), []) == [
        Block("c9", "def f():\n    return 2"),
        Block("c2", "B = 1"),
    ]


def test_blocks_stand_in_the_notebooks_order_whatever_order_they_ran_in() -> None:
    blocks = put([Block("c3", "C = 1")], Block("c1", "A = 1"), ["c1", "c2", "c3"])
    assert [block.key for block in blocks] == ["c1", "c3"]


def test_blocks_of_deleted_cells_disappear() -> None:
    assert prune([Block("c1", "A = 1"), Block("c2", "B = 1")], {"c2"}) == [Block("c2", "B = 1")]


def test_solution_markers_do_not_reach_the_file() -> None:
    block = make_block(_cell("def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION"), "c1")
    assert block.source == "def f():\n    return 1"


@pytest.mark.parametrize("body", ["%matplotlib inline\nA = 1", "!ls", "def f(:\n    pass"])
def test_a_cell_that_is_not_plain_python_is_refused(body: str) -> None:
    with pytest.raises(ExportError, match="not plain Python"):
        make_block(_cell(body), "c1")


@pytest.mark.parametrize(
    "body", ["print('hi')", "A = 1\nf()", "for i in range(3):\n    pass", "A = 1\n'a late string'"]
)
def test_a_cell_that_would_run_code_on_import_is_refused_with_its_line(body: str) -> None:
    with pytest.raises(ExportError, match=r"line \d+ of this cell .* would run on every import"):
        make_block(_cell(body), "c1")


def test_a_cell_without_an_id_is_known_by_what_it_defines() -> None:
    first, second = (make_block(_cell(f"def f():\n    return {n}"), None) for n in (1, 2))
    assert first.key == second.key
    assert first.digest != second.digest


def test_a_file_broken_by_hand_counts_as_having_no_blocks() -> None:
    text = render_file([Block("c1", "A = 1")], NOTEBOOK)
    assert parse_file(text.replace("A = 1", "A = (")) == []


def test_a_file_without_blocks_is_removed_and_an_interrupted_write_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "assistant" / "adding.py"
    exporting.write(path, [Block("c1", "A = 1")], NOTEBOOK)
    before = path.read_text(encoding="utf-8")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(exporting.os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            exporting.write(path, [Block("c1", "A = 2")], NOTEBOOK)
    assert path.read_text(encoding="utf-8") == before
    assert [file.name for file in path.parent.iterdir()] == ["adding.py"]
    exporting.write(path, [], NOTEBOOK)
    assert not path.exists()

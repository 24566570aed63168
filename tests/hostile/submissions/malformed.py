"""Files that are no notebook (rejected, with a reason) and unlucky ones (repaired, with every true answer scored)."""

from __future__ import annotations

import json
import os
import socket
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

from nbformat import NotebookNode

from tests.hostile.maker import NONE, Hostile, Maker, index, own, raw, solution, without

MEGABYTE = 1_000_000


def _rejected(name: str, what: str, make: Callable[[Maker], Any], reason: str) -> Hostile:
    return Hostile(name, what, make, earns=NONE, error=f"(?i){reason}", odd_python=True)


def _bytes(data: bytes) -> Callable[[Maker], bytes]:
    return lambda maker: data


def _edited(change: Callable[[NotebookNode], Any]) -> Callable[[Maker], NotebookNode]:
    """A solved notebook after `change`."""

    def make(maker: Maker) -> NotebookNode:
        notebook = maker.solved()
        change(notebook)
        return notebook

    return make


def _zip(maker: Maker) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(maker.path.name, raw(maker.solved()))
    return buffer.getvalue()


def _sparse(maker: Maker) -> None:
    with open(maker.path, "wb") as file:
        file.write(raw(maker.solved()))
        file.truncate(100 * MEGABYTE)  # takes no room on the disk


def _link_to_solution(maker: Maker) -> None:
    maker.path.symlink_to(maker.scene.root / "solutions" / maker.module / maker.path.name)


def _socket(maker: Maker) -> None:
    before = os.getcwd()
    os.chdir(maker.path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(maker.path.name)
    finally:
        os.chdir(before)


def _folder(maker: Maker) -> None:
    maker.path.mkdir()
    (maker.path / maker.path.name).write_bytes(raw(maker.solved()))


def _other_name(name: str) -> Callable[[Maker], None]:
    def make(maker: Maker) -> None:
        maker.path.with_name(name).write_bytes(raw(maker.solved()))

    return make


def _script(maker: Maker) -> bytes:
    return "\n\n".join(cell.source for cell in maker.solved().cells).encode()


def _nbformat_4_0(notebook: NotebookNode) -> None:
    notebook.nbformat_minor = 0
    for cell in notebook.cells:
        cell.pop("id", None)


def _nbformat_3(maker: Maker) -> bytes:
    cells = [
        {
            "cell_type": "code",
            "collapsed": False,
            "input": cell.source,
            "language": "python",
            "metadata": cell.metadata,
            "outputs": [],
            "prompt_number": number,
        }
        for number, cell in enumerate(maker.solved().cells, 1)
    ]
    metadata = {"name": "", "signature": ""}
    return json.dumps(
        {"nbformat": 3, "nbformat_minor": 0, "metadata": metadata, "worksheets": [{"cells": cells}]}
    ).encode()


def _without_optional_parts(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        for key in ("outputs", "execution_count"):
            cell.pop(key, None)
    notebook.metadata = {}


def _conflict(place: str, mine: str, theirs: str) -> Callable[[Maker], bytes]:
    """The solved notebook with git's conflict markers where the text `place` stands in a line of its own."""

    def make(maker: Maker) -> bytes:
        lines = raw(maker.solved()).decode().split("\n")
        at = next(number for number, line in enumerate(lines) if place in line)
        both = ["<<<<<<< HEAD", mine or lines[at], "=======", theirs, ">>>>>>> origin/main"]
        return "\n".join([*lines[:at], *both, *lines[at + 1 :]]).encode()

    return make


def _same_ids(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell["id"] = "same"


def _odd_lists(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.source = list(cell.source)


def _unknown_cell_type(notebook: NotebookNode) -> None:
    notebook.cells.insert(2, {"cell_type": "heading", "level": 1, "metadata": {}, "source": "My answers"})
    notebook.cells.insert(5, {"cell_type": "sql", "metadata": None, "source": "SELECT 1"})


def _wrong_types(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.execution_count = "three"
        cell.outputs = {"none": None}
        cell["attachments"] = 7
    notebook.metadata = {"kernelspec": "python", "language_info": []}


def _broken_cell(notebook: NotebookNode) -> None:
    solution(notebook, "batches").source += "\n    return )("


def _poisoned_texts(notebook: NotebookNode) -> None:
    notebook.cells.insert(3, own("x = 'a\x00b'"))
    notebook.cells.insert(4, own("y = '\ud800'"))
    notebook.cells.insert(5, own("if True:\n\tz = 1\n        w = 2"))


def _crlf(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.source = cell.source.replace("\n", "\r\n")


def _null_cells(notebook: NotebookNode) -> None:
    notebook.cells.insert(index(notebook, "slug"), None)
    notebook.cells.append("print(1)")


SUBMISSIONS = [
    _rejected("empty", "nothing was saved", _bytes(b""), "empty"),
    _rejected("blanks", "only white space", _bytes(b" \n\t\r\n" * 50), "empty"),
    _rejected("login-page", "the page that asks for a password", _bytes(b"<!DOCTYPE html><title>Sign in"), "html|web page"),
    _rejected("truncated", "the upload broke off", lambda m: raw(m.solved())[: -len(raw(m.solved())) // 3], "truncated|end|JSON"),
    _rejected("zipped", "the notebook in a zip file", _zip, "zip|no notebook|not a notebook"),
    _rejected("pdf", "a print-out", _bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"), "pdf|no notebook|not a notebook"),
    _rejected("script", "the code as a .py file", _script, "script|no notebook|not a notebook|JSON"),
    _rejected("other-json", "JSON of something else", _bytes(b'{"name": "package", "version": "1.0"}'), "no notebook|not a notebook|no cells|'cells'"),
    _rejected("json-list", "a list of cells without a notebook", lambda m: json.dumps(m.solved().cells).encode(), "no notebook|not a notebook|list"),
    _rejected("nested", "a hundred thousand brackets", _bytes(b'{"cells":' + b"[" * 100_000), "nest|deep|no notebook|not a notebook"),
    _rejected("wide-and-deep", "valid JSON, nested too deeply", _bytes(b'{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":' + b"[" * 50_000 + b"]" * 50_000 + b"}"), "nest|deep|damaged|no notebook|not a notebook"),
    _rejected("huge", "100 MB", _sparse, "large|big|MB"),
    _rejected("fifo", "a pipe that nobody writes to", lambda m: os.mkfifo(m.path), "regular file|pipe|fifo"),
    _rejected("socket", "a socket", _socket, "regular file|socket"),
    _rejected("folder", "a folder with the notebook inside", _folder, "folder|directory|regular file"),
    _rejected("link-to-solution", "a symbolic link to the instructor's notebook", _link_to_solution, "link"),
    _rejected("link-to-zero", "a symbolic link to an endless device", lambda m: m.path.symlink_to("/dev/zero"), "link"),
    _rejected("link-to-itself", "a symbolic link that goes round", lambda m: m.path.symlink_to(m.path.name), "link"),
    _rejected("conflict-in-solution", "two different answers between conflict markers", _conflict("def slug", "", '"source": "def slug(text): return 1",'), "conflict"),
    _rejected("binary", "random bytes", _bytes(bytes(range(256)) * 40), "no notebook|not a notebook|binary|text"),
    Hostile("bom", "a byte order mark", lambda m: b"\xef\xbb\xbf" + raw(m.solved()), finding="repair"),
    Hostile("utf-16", "saved as UTF-16", lambda m: raw(m.solved()).decode().encode("utf-16"), finding="repair"),
    Hostile("nbformat-4-0", "an old format: cells without ids", _edited(_nbformat_4_0)),
    Hostile("nbformat-3", "a very old format: worksheets", _nbformat_3, finding="repair"),
    Hostile("odd-minor", "a format of the future", _edited(lambda n: n.update(nbformat_minor=99))),
    Hostile("bare", "no outputs, no counts, no notebook metadata", _edited(_without_optional_parts)),
    Hostile("conflict-in-count", "conflict markers around an execution count", _conflict('"execution_count"', '"execution_count": 3,', '"execution_count": 7,'), finding="repair"),
    Hostile("copy-name", "named by the browser", _other_name("h1_functions (1).ipynb")),
    Hostile("upper-case-name", "named by a shouting file system", _other_name("H1_FUNCTIONS.IPYNB")),
    Hostile("same-ids", "every cell has the same id", _edited(_same_ids)),
    Hostile("nan-in-json", "NaN and Infinity as JSON numbers", _edited(lambda n: n.metadata.update(x=float("nan"), y=float("inf")))),
    Hostile("contents-api", "wrapped as Jupyter's contents API gives it", lambda m: json.dumps({"name": "h1", "type": "notebook", "content": m.solved()}).encode(), finding="repair"),
    Hostile("trailing-garbage", "an editor left something behind the end", lambda m: raw(m.solved()) + b"\n}\n\x00\x00", finding="repair"),
    Hostile("source-as-characters", "every source a list of single characters", _edited(_odd_lists)),
    Hostile("unknown-cells", "cells of unknown types", _edited(_unknown_cell_type)),
    Hostile("wrong-types", "counts, outputs, kernelspec of wrong types", _edited(_wrong_types)),
    Hostile("null-cells", "null and a string between the cells", _edited(_null_cells)),
    Hostile("poisoned-texts", "a NUL, half a surrogate pair, tabs and blanks mixed, in own cells", _edited(_poisoned_texts), odd_python=True),
    Hostile("crlf", "line ends of another system", _edited(_crlf)),
    Hostile("broken-cell", "one solution does not compile; the others are right", _edited(_broken_cell), earns=without("batches"), odd_python=True),
]  # fmt: skip

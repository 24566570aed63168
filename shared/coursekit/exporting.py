"""`#| export <file>` cells become files of the learner's package.

A file is a header and one block per cell, in the notebook's order, each with a pointer back to its cell. Blocks are keyed by the
cell's id where the front end sends one (JupyterLab does), else by the names that they define; running a cell
again replaces its block, and so does another cell that defines one of the same names.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pyflakes import checker
from pyflakes.messages import UndefinedName

from coursekit.errors import ExportError

_POINTER = re.compile(r"^# ── cell (?P<key>\S+) of (?P<notebook>\S+) ──$", re.MULTILINE)
_SOLUTION_MARKER = re.compile(r"^\s*#+ (BEGIN|END) SOLUTION\s*$")
_HEADER = (
    "# GENERATED from {notebook}: do not edit. Change the cell that a block points to, and run it again.\n"
    "# ruff: noqa: E402, F811  (one block per cell: imports stand at the top of each)\n"
)
_ALLOWED = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign,
)  # fmt: skip


@dataclass(frozen=True)
class Block:
    """One exported cell."""

    key: str
    source: str

    @property
    def names(self) -> frozenset[str]:
        """The functions, classes and constants that the cell defines."""
        return frozenset(_defined_names(ast.parse(self.source)))

    @property
    def digest(self) -> str:
        """Changes with the code, not with comments or layout."""
        return hashlib.sha256(ast.dump(ast.parse(self.source)).encode()).hexdigest()[:16]


def make_block(cell_source: str, cell_id: str | None) -> Block:
    """The block of one `#| export` cell: its source without that first line.

    Raises:
        ExportError: the cell is not plain Python, or holds more than imports, constants, functions and classes.
    """
    lines = cell_source.strip().splitlines()[1:]
    source = "\n".join(line for line in lines if not _SOLUTION_MARKER.match(line)).strip("\n")
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ExportError(
            f"line {(error.lineno or 0) + 1} of this cell is not plain Python ({error.msg}). "
            "Exported cells become a module: no %magics, no !commands."
        ) from error
    for index, node in enumerate(tree.body):
        if not isinstance(node, _ALLOWED) and not _is_docstring(node, index) and not _is_type_checking(node):
            raise ExportError(
                f"line {node.lineno + 1} of this cell ({ast.unparse(node).splitlines()[0]:.60}) would run on every import. "
                "Exported cells hold imports, constants, functions and classes only: move it to another cell."
            )
    names = sorted(_defined_names(tree))
    key = cell_id or hashlib.sha256(" ".join(names or [source]).encode()).hexdigest()[:12]
    return Block(key=key, source=source)


def read_blocks(path: Path) -> list[Block]:
    """The blocks of the generated file at `path`; none when there is no such file, or see `parse_file`."""
    return parse_file(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else []


def parse_file(text: str) -> list[Block]:
    """The blocks of a generated file; empty for a file that was not generated or whose blocks no longer parse."""
    parts = _POINTER.split(text)[1:]
    blocks = [Block(key=parts[i], source=parts[i + 2].strip("\n")) for i in range(0, len(parts), 3)]
    try:
        for block in blocks:
            ast.parse(block.source)
    except SyntaxError:
        return []
    return blocks


def render_file(blocks: Iterable[Block], notebook: str) -> str:
    """The text of a generated file; the first block's docstring, if it has one, stays the module's docstring."""
    parts = [_HEADER.format(notebook=notebook)]
    for block in blocks:
        parts.append(f"\n# ── cell {block.key} of {notebook} ──\n{block.source}\n")
    return "".join(parts)


def put(blocks: list[Block], new: Block, order: list[str]) -> list[Block]:
    """`blocks` with `new` in the place of the block that it replaces; `order` are the notebook's cell ids, in order."""
    kept = [b for b in blocks if b.key != new.key and not (b.names & new.names)]
    replaced = [i for i, b in enumerate(blocks) if b not in kept]
    position = min(replaced) if replaced else len(kept)
    result = [*kept[:position], new, *kept[position:]]
    if order and all(block.key in order for block in result):
        result.sort(key=lambda block: order.index(block.key))
    return result


def unresolved(blocks: Iterable[Block], block: Block) -> list[str]:
    """Names that `block` uses and that neither the file made of `blocks` nor Python defines, sorted (pyflakes finds them)."""
    body = [node for each in blocks for node in ast.parse(each.source).body]
    found = checker.Checker(ast.Module(body=body, type_ignores=[])).messages
    undefined = {str(message.message_args[0]) for message in found if isinstance(message, UndefinedName)}
    used = {node.id for node in ast.walk(ast.parse(block.source)) if isinstance(node, ast.Name)}
    return sorted(undefined & used)


def prune(blocks: list[Block], cell_ids: set[str]) -> list[Block]:
    """`blocks` without those whose cell is no longer in the notebook."""
    return [block for block in blocks if block.key in cell_ids]


def write(path: Path, blocks: list[Block], notebook: str) -> None:
    """Write the file (or remove it when no block is left), so that readers see the old text or the new, never half."""
    if not blocks:
        path.unlink(missing_ok=True)
        return
    write_atomically(path, render_file(blocks, notebook))


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write `content`, text as UTF-8, to a temporary neighbour and rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _defined_names(tree: ast.Module) -> Iterable[str]:
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))


def _is_docstring(node: ast.stmt, index: int) -> bool:
    return (
        index == 0
        and isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}

"""Before a cell runs: a `#| export` cell that could not become part of a module does not run either.

A cell that works in the notebook only because of an import or a helper in some other cell would earn points and break
wherever the file is imported. So it fails where it is written, with the reason, and so it does when it is graded.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from IPython.core.error import InputRejected

from coursekit.errors import ExportError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell


class NotExported(InputRejected):
    """The cell was not run, because it cannot be exported; the message says why and what to do."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback."""
        return [f"not exported: {self}"]


class ExportGate:
    """IPython's AST transformer (it changes nothing) that asks `examine` about each cell before it runs.

    Args:
        examine: gets the cell's text and its id; raises ExportError for a cell that must not run.
    """

    def __init__(self, examine: Callable[[str, str | None], None]) -> None:
        self._examine = examine
        self._cell: tuple[str, str | None] | None = None

    def install(self, shell: InteractiveShell) -> None:
        """Watch this shell's cells; an earlier gate leaves."""
        shell.ast_transformers[:] = [one for one in shell.ast_transformers if not isinstance(one, ExportGate)]
        shell.ast_transformers.append(self)
        shell.events.register("pre_run_cell", self._remember)

    def visit(self, tree: ast.AST) -> ast.AST:
        """The tree as it is, or the cell is rejected."""
        cell, self._cell = self._cell, None  # %timeit and friends transform trees of their own while a cell runs
        if cell is not None:
            try:
                self._examine(*cell)
            except ExportError as error:
                raise NotExported(str(error)) from None
        return tree

    def _remember(self, info: ExecutionInfo) -> None:
        self._cell = (info.raw_cell, getattr(info, "cell_id", None))

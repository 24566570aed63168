"""Read notebooks and look at their cells: what the rest of coursekit needs to know about an `.ipynb` file.

`read` says what a file is when it is not a notebook; the accessors hide where nbgrader and Jupyter keep their
metadata. Reads only: nothing here writes, executes or converts a notebook.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from coursekit.errors import ExportError, NotebookError

if TYPE_CHECKING:
    from nbformat import NotebookNode

PARAMETERS_TAG = "parameters"

_EXPORT_LINE = re.compile(r"#\s*\|\s*export(?:\s+(?P<file>.*))?$")


def read(path: Path) -> NotebookNode:
    """Read a notebook of nbformat 4 and validate it.

    Returns:
        The notebook; every source and output text is one string, whatever the file's spelling.

    Raises:
        NotebookError: the file is missing, a folder, unreadable or not such a notebook; says what it is instead.
    """
    import_nbformat()
    import nbformat

    text = _text(path)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotebookError(f"{path} is not a notebook: {_what_it_is(text, error)}") from error
    if not isinstance(data, dict) or "cells" not in data and "nbformat" not in data:
        raise NotebookError(f"{path} is JSON but not a notebook: it has no 'cells'. {_RESTORE}")
    if data.get("nbformat") != 4:
        raise NotebookError(
            f"{path} has nbformat {data.get('nbformat')!r}; the course needs 4. "
            "Convert it: jupyter nbconvert --to notebook --inplace <file>."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cells without an id (older tools): nbformat gives them one
            notebook: NotebookNode = nbformat.v4.reads(text)
            nbformat.validate(notebook)
    except Exception as error:  # nbformat trips over malformed cells with whatever comes first (KeyError, TypeError …)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise NotebookError(f"{path} is a damaged notebook: {reason:.200}. {_RESTORE}") from error
    return notebook


_RESTORE = "Restore the file, for example from git or from the course's release."


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotebookError(
            f"{path} does not exist. Check the name, or run the command from the course's folder."
        ) from None
    except IsADirectoryError:
        raise NotebookError(f"{path} is a folder. Name the .ipynb file inside it.") from None
    except OSError as error:
        raise NotebookError(f"{path} cannot be read: {error.strerror}. Check the file's permissions.") from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotebookError(
            f"{path} is not a notebook: it is not UTF-8 text (byte {error.start}). {_RESTORE}"
        ) from error


def _what_it_is(text: str, error: Exception) -> str:
    start = text.lstrip("\ufeff \t\r\n")[:500].lower()
    if not start:
        return f"the file is empty. {_RESTORE}"
    if start.startswith("<"):
        return "it is HTML or XML, probably a saved web page. Download the raw .ipynb file instead."
    if "<<<<<<< " in text:
        return "it holds git conflict markers. Resolve the merge, or check one side out."
    return f"it is not JSON ({error}). {_RESTORE}"


def import_nbformat() -> None:
    """Import nbformat without a grammar that it never uses, which takes 2 of its 2.7 seconds.

    jsonschema builds a parser for internationalised addresses when it finds rfc3987_syntax; notebooks hold none.
    Not at this module's top, because `%load_ext coursekit` needs only `export_target`.
    """
    blocked = "rfc3987_syntax" not in sys.modules
    if blocked:
        sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]  # the documented way to make an import fail
    try:
        import nbformat  # noqa: F401
    finally:
        if blocked:
            del sys.modules["rfc3987_syntax"]


def export_target(source: str) -> str | None:
    """The file that a cell exports to, from a first line such as `#| export retrieval.py`.

    Blank lines above it are skipped. None when the cell does not export.

    Raises:
        ExportError: the line names no file, or one that is not a relative Python file of a package.

    >>> export_target("#| export stores/pinecone.py\\nimport os")
    'stores/pinecone.py'
    """
    first = next((line.strip() for line in source.splitlines() if line.strip()), "")
    match = _EXPORT_LINE.fullmatch(first)
    if match is None:
        return None
    name = (match["file"] or "").strip()
    if not name:
        raise ExportError(f"{first!r} names no file. Write, for example, '#| export retrieval.py'.")
    path = PurePosixPath(name)
    parts = [*path.parts[:-1], path.stem]
    if path.is_absolute() or path.suffix != ".py" or not all(part.isidentifier() for part in parts):
        raise ExportError(
            f"{first!r}: {name!r} is not a file of the package. Give a relative Python file with forward slashes, "
            "such as 'retrieval.py' or 'stores/pinecone.py'."
        )
    return str(path)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The notebook's code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def exported_cells(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Each exporting cell with the file that it goes to, in order; raises ExportError as `export_target` does."""
    for cell in code_cells(notebook):
        target = export_target(cell.source)
        if target is not None:
            yield target, cell


def tags(cell: NotebookNode) -> list[str]:
    """The cell's Jupyter tags."""
    return list(cell.metadata.get("tags", []))


def cells_tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    """The cells, of any type, that carry this tag."""
    return [cell for cell in notebook.cells if tag in tags(cell)]


def is_solution(cell: NotebookNode) -> bool:
    """Does the learner write here (nbgrader: solution)?"""
    return _nbgrader(cell, "solution") is True


def is_test(cell: NotebookNode) -> bool:
    """Is this a locked test cell that gives points (nbgrader: grade and locked, no solution)?"""
    return _nbgrader(cell, "grade") is True and _nbgrader(cell, "locked") is True and not is_solution(cell)


def exercises(notebook: NotebookNode) -> dict[str, str]:
    """The exercise that each graded cell belongs to: itself when the learner writes there, else the solution above it.

    Checks before the first solution belong to themselves.
    """
    found: dict[str, str] = {}
    exercise: str | None = None
    for cell in notebook.cells:
        name = grade_id(cell)
        if name is not None and is_solution(cell):
            exercise = name
        if name is not None and _nbgrader(cell, "grade") is True:
            found[name] = exercise or name
    return found


def tagged_checks(path: Path | None, tag: str) -> list[str]:
    """The ids of the checks in the notebook at `path` that carry this tag; none where there is no notebook."""
    cells = [] if path is None else read(path).cells
    return [str(grade_id(cell)) for cell in cells if is_test(cell) and tag in tags(cell)]


def grade_id(cell: NotebookNode) -> str | None:
    """nbgrader's id of the cell, such as `m04-rrf`; None for a cell that nbgrader does not know."""
    value = _nbgrader(cell, "grade_id")
    return str(value) if value is not None else None


def points(cell: NotebookNode) -> float:
    """The points that a graded cell gives; 0.0 for every other cell."""
    value = _nbgrader(cell, "points")
    return float(value) if _nbgrader(cell, "grade") is True and isinstance(value, (int, float)) else 0.0


def _nbgrader(cell: NotebookNode, key: str) -> object:
    metadata = cell.metadata.get("nbgrader")
    return metadata.get(key) if isinstance(metadata, dict) else None


def parameters_module(notebook: NotebookNode) -> str:
    """The module that a course notebook says it is: `MODULE = "…"` in its cell tagged `parameters`.

    Raises:
        NotebookError: there is no such cell, or it does not assign a string to MODULE.
    """
    cells = [cell for cell in cells_tagged(notebook, PARAMETERS_TAG) if cell.cell_type == "code"]
    if not cells:
        raise NotebookError(
            f"the notebook has no code cell tagged {PARAMETERS_TAG!r}. "
            'Tag its first code cell so, with a line MODULE = "<module id>".'
        )
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise NotebookError(f"the cell tagged {PARAMETERS_TAG!r} is not plain Python: {error}.") from error
    for statement in statements:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="MODULE")], value=ast.Constant(value=str(value)))
                | ast.AnnAssign(target=ast.Name(id="MODULE"), value=ast.Constant(value=str(value)))
            ):
                return value
    raise NotebookError(f'the cell tagged {PARAMETERS_TAG!r} has no line MODULE = "<module id>". Add one.')

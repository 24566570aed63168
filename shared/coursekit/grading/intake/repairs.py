"""JSON data becomes a valid notebook of nbformat 4.5: built anew from cell types, ids, sources and the metadata that counts.

Reads nbformat 2 to 4, Jupyter's contents API, Colab's and VS Code's spellings. Outputs are dropped: what a submission
says that it printed is never trusted. Metadata is cut down to `nbgrader` and `tags`, all that grading looks at.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from coursekit import notebooks
from coursekit.grading.intake.decoding import INSTEAD, Refused
from coursekit.grading.intake.parsing import parse
from coursekit.grading.results import Finding

notebooks.import_nbformat()

from nbformat import NotebookNode, from_dict  # noqa: E402  after its fast import

MAX_CELLS = 5_000
MAX_CELL_CHARS = 1_000_000
MAX_CODE_CHARS = 4_000_000

_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE = re.compile("[\udc80-\udcff]")
_KNOWN = ("code", "markdown", "raw")
_WRAPPERS = 3  # layers of other JSON around a notebook that are looked through


class Repairs:
    """What was mended, by kind, with the cells (counted from 1) that it concerns."""

    def __init__(self, messages: list[str]) -> None:
        self._cells: dict[str, list[int]] = {message: [] for message in messages}

    def add(self, message: str, number: int | None = None) -> None:
        numbers = self._cells.setdefault(message, [])
        if number is not None:
            numbers.append(number)

    def findings(self) -> Iterator[Finding]:
        for message, numbers in self._cells.items():
            shown = ", ".join(map(str, numbers[:5])) + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
            where = f" (cell{'s' if len(numbers) > 1 else ''} {shown})" if numbers else ""
            yield Finding("repair", message + where, f"cell {numbers[0]}" if len(numbers) == 1 else None)


def build(data: Any, messages: list[str]) -> tuple[NotebookNode, tuple[Finding, ...]]:
    """A valid notebook from parsed JSON, and the findings; `messages` are repairs made before.

    Raises:
        Refused: the data is no notebook, or holds too much.
    """
    repairs = Repairs(messages)
    data = _unwrapped(data, repairs)
    given = _cells(data, repairs)
    if len(given) > MAX_CELLS:
        raise Refused(
            f"The notebook holds {len(given)} cells, more than {MAX_CELLS}: delete what is not yours and hand in again."
        )
    cells = [made for number, cell in enumerate(given, 1) if (made := _cell(cell, number, repairs)) is not None]
    if given and not cells and not any(isinstance(cell, dict) for cell in given):
        raise Refused(f"The file is JSON, but no notebook (its 'cells' hold none): {INSTEAD}.")
    _give_ids(cells, repairs, wanted=data.get("nbformat") == 4 and _minor(data) >= 5)
    code_chars = sum(len(cell["source"]) for cell in cells if cell["cell_type"] != "markdown")
    if code_chars > MAX_CODE_CHARS:
        raise Refused(f"The notebook holds {code_chars / 1e6:.1f} MB of code: load data from files and hand in again.")
    metadata = data.get("metadata")
    language = _language(metadata if isinstance(metadata, dict) else {})
    notebook = from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
    findings = tuple(repairs.findings())
    if language and "python" not in language.lower():
        findings += (
            Finding("note", f"the notebook was saved with a kernel for {language:.40}; it is graded as Python"),
        )
    return notebook, findings


def _unwrapped(data: Any, repairs: Repairs) -> dict[str, Any]:
    for layer in range(_WRAPPERS + 1):
        if _looks_like_notebook(data):
            if layer:
                repairs.add("the notebook lay inside another JSON value")
            return dict(data)
        inner = list(data.values()) if isinstance(data, dict) else data if isinstance(data, list) else []
        inner = [_parsed(value) for value in inner[:100]]
        notebooks_inside = [value for value in inner if _looks_like_notebook(value)]
        objects = notebooks_inside or [value for value in inner if isinstance(value, dict) and value]
        if len(objects) != 1:
            break
        data = objects[0]
    raise Refused(f"The file is JSON, but no notebook (it has no 'cells'): {INSTEAD}.")


def _looks_like_notebook(data: Any) -> bool:
    return isinstance(data, dict) and (isinstance(data.get("cells"), list) or isinstance(data.get("worksheets"), list))


def _parsed(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip().startswith("{") and '"cells"' in value:
        return parse(value)[0]
    return value


def _cells(data: dict[str, Any], repairs: Repairs) -> list[Any]:
    version = data.get("nbformat")
    if isinstance(data.get("cells"), list):
        if version != 4 or isinstance(version, bool):
            repairs.add(f"nbformat was {str(version)[:20]}, read as 4")
        elif not 0 <= _minor(data) <= 5:
            repairs.add(f"nbformat was 4.{str(data.get('nbformat_minor'))[:20]}, read as 4.5")
        elif _minor(data) < 5:
            repairs.add(f"the notebook was in the older format 4.{_minor(data)}")
        return list(data["cells"])
    repairs.add("the notebook was in the old format 3")
    sheets = [sheet.get("cells") for sheet in data["worksheets"] if isinstance(sheet, dict)]
    return [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]


def _minor(data: dict[str, Any]) -> int:
    minor = data.get("nbformat_minor")
    return minor if isinstance(minor, int) and not isinstance(minor, bool) else -1


def _cell(cell: Any, number: int, repairs: Repairs) -> dict[str, Any] | None:
    if not isinstance(cell, dict):
        repairs.add("something in the list of cells was no cell and was left out", number)
        return None
    kind = _kind(cell, number, repairs)
    source = _source(cell, number, repairs)
    if len(source) > MAX_CELL_CHARS:
        repairs.add(f"more than {MAX_CELL_CHARS // 1_000_000} MB of source: the cell was left out", number)
        return None
    if _BYTE.search(source) and kind == "code":
        raise Refused(
            f"Cell {number} holds bytes that are no UTF-8 text: save the notebook as UTF-8 and hand in again."
        )
    if _SURROGATE.search(source):
        repairs.add("half characters (lone surrogates) became \ufffd", number)
        source = _SURROGATE.sub("\ufffd", source)
    made = {"cell_type": kind, "id": _given_id(cell), "metadata": _metadata(cell, number, repairs), "source": source}
    return {**made, "outputs": [], "execution_count": None} if kind == "code" else made


def _kind(cell: dict[str, Any], number: int, repairs: Repairs) -> str:
    kind = cell.get("cell_type")
    if kind in _KNOWN and isinstance(kind, str):
        return kind
    if isinstance(kind, str) and kind.strip().lower() in (*_KNOWN, "heading", "html"):
        name = kind.strip().lower()
        return name if name in _KNOWN else "markdown"
    repairs.add("unknown type of cell", number)
    if cell.get("kind") in (1, 2):  # VS Code's own model
        return "code" if cell["kind"] == 2 else "markdown"
    return "code" if any(key in cell for key in ("outputs", "execution_count", "input", "prompt_number")) else "raw"


def _source(cell: dict[str, Any], number: int, repairs: Repairs) -> str:
    value = next((cell[key] for key in ("source", "input", "value") if key in cell), None)
    if isinstance(value, list):
        if not all(isinstance(line, str) for line in value):
            repairs.add("lines of the source were no text and were left out", number)
        value = "".join(line for line in value if isinstance(line, str))
    elif not isinstance(value, str):
        repairs.add("the source was missing or no text", number)
        value = ""
    text: str = value.replace("\r\n", "\n").replace("\r", "\n")
    if cell.get("cell_type") == "heading":
        level = cell.get("level")
        text = "#" * (level if isinstance(level, int) and 1 <= level <= 6 else 1) + " " + " ".join(text.split())
    return text


def _metadata(cell: dict[str, Any], number: int, repairs: Repairs) -> dict[str, Any]:
    metadata = cell.get("metadata")
    if not isinstance(metadata, dict):
        repairs.add("the metadata was missing or damaged", number)
        return {}
    kept: dict[str, Any] = {}
    nbgrader = metadata.get("nbgrader")
    if isinstance(nbgrader, dict):
        kept["nbgrader"] = {key[:100]: value for key, value in list(nbgrader.items())[:20] if _plain(value)}
    elif nbgrader is not None:
        repairs.add("nbgrader's metadata was damaged", number)
    tags = metadata.get("tags")
    if isinstance(tags, list):
        words = [tag[:100] for tag in tags[:50] if isinstance(tag, str) and tag and "," not in tag]
        kept["tags"] = [word for word in dict.fromkeys(words) if not _SURROGATE.search(word) and "\n" not in word]
    return kept


def _plain(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= 200 and not _SURROGATE.search(value)
    return value is None or (isinstance(value, (bool, int, float)) and abs(value) < 1e9 and math.isfinite(value))


def _given_id(cell: dict[str, Any]) -> str:
    metadata = cell.get("metadata")
    value = cell.get("id") or (metadata.get("id") if isinstance(metadata, dict) else None)  # Colab keeps it in there
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def _give_ids(cells: list[dict[str, Any]], repairs: Repairs, *, wanted: bool) -> None:
    seen: set[str] = set()
    taken = {cell["id"] for cell in cells}
    fresh = (f"cell-{number}" for number in range(1, 3 * MAX_CELLS))
    for number, cell in enumerate(cells, 1):
        if not cell["id"] or cell["id"] in seen:
            if cell["id"] or wanted:
                repairs.add("the same cell id twice" if cell["id"] else "a cell id was missing or no id", number)
            cell["id"] = next(name for name in fresh if name not in taken)
        seen.add(cell["id"])


def _language(metadata: dict[str, Any]) -> str:
    for place, key in (("kernelspec", "language"), ("language_info", "name")):
        entry = metadata.get(place)
        if isinstance(entry, dict) and isinstance(entry.get(key), str):
            return json.dumps(entry[key]).strip('"')
    return ""

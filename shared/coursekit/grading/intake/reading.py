"""Submitted files become notebooks, or a sentence that says why not.

Nothing that can lie at a path blocks or raises: links are not followed, pipes and devices are not read, and no more than
MAX_BYTES are. Decides nothing about answers: `rebuild` does.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from coursekit import notebooks
from coursekit.grading.intake import conflicts, repairs
from coursekit.grading.intake.decoding import INSTEAD, Refused, decode
from coursekit.grading.intake.parsing import parse
from coursekit.grading.results import Finding

if TYPE_CHECKING:
    from nbformat import NotebookNode

MAX_BYTES = 20_000_000

_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_NOCTTY", "O_BINARY")
)
_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_COPY = re.compile(
    r"^(?:copy of |kopie von )?(?P<stem>.+?)(?:[ _-]*(?:\((?P<a>\d+)\)|(?:copy|kopie)[ _-]*\(?(?P<b>\d*)\)?))*$"
)
_SUFFIXES = (".ipynb.txt", ".ipynb.json", ".ipynb.ipynb", ".ipynb")


@dataclass(frozen=True)
class Intake:
    """One submitted file: a valid notebook of nbformat 4.5 without outputs, or the reason why there is none."""

    notebook: NotebookNode | None
    reason: str | None
    findings: tuple[Finding, ...]
    digest: str


def read_file(path: Path) -> Intake:
    """Read what lies at `path`, whatever it is; `digest` is "" when its bytes could not be read."""
    data = contents(path)
    return read_bytes(data) if isinstance(data, bytes) else Intake(None, data, (), "")


def contents(path: Path) -> bytes | str:
    """The bytes at `path`, or the sentence that says why there are none; never waits, never follows a link."""
    try:
        return _contents(path)
    except Refused as error:
        return str(error)
    except FileNotFoundError:
        return f"There is no file to grade: {INSTEAD}."
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        is_link = getattr(error, "errno", 0) == errno.ELOOP
        why = "it is a symbolic link" if is_link else getattr(error, "strerror", "bad name")
        return f"The file cannot be read ({why}): {INSTEAD}."


def read_bytes(data: bytes) -> Intake:
    """Read a submission from its bytes. Never raises; bounded in time and memory."""
    if len(data) > MAX_BYTES:
        return Intake(None, _too_large(), (), "")
    digest = hashlib.sha256(data).hexdigest()
    try:
        text, mended = decode(data)
        notebook, findings = _merged(text, mended) if conflicts.has_markers(text) else _notebook(text, mended)
    except Refused as error:
        return Intake(None, str(error), (), digest)
    except (RecursionError, MemoryError):
        return Intake(None, f"The file needs more memory than a notebook may: {INSTEAD}.", (), digest)
    return Intake(notebook, None, findings, digest)


def find_submission(folder: Path, module_id: str) -> Path | None:
    """The file in `folder` that is the submission of a module.

    `<module>.ipynb`; else the same name in other case; else a copy's name (`m01 (1).ipynb`, `m01-copy.ipynb`,
    `Copy of m01.ipynb`, `m01.ipynb.txt`), of several the one with the highest number, then the last in the alphabet;
    else the only notebook that there is. File times are not asked: copying changes them. Symbolic links are passed over;
    when there is no file, whatever carries the right name is returned, so that `read_file` can say what it is.
    """
    exact = folder / f"{module_id}.ipynb"
    try:
        if folder.is_symlink():
            return None
        with os.scandir(folder) as entries:
            files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except (OSError, ValueError):
        return None
    if exact.name in files:
        return exact
    ranked = sorted((rank, name) for name in files if (rank := _rank(name, module_id)) is not None)
    if ranked:
        return folder / ranked[-1][1]
    others = [name for name in files if name.lower().endswith(".ipynb") and not name.startswith(".")]
    if len(others) == 1:
        return folder / others[0]
    return exact if os.path.lexists(exact) else None


def _rank(name: str, module_id: str) -> int | None:
    lowered = unicodedata.normalize("NFC", name).casefold()
    suffix = next((suffix for suffix in _SUFFIXES if lowered.endswith(suffix)), None)
    if suffix is None or len(name) > 255:
        return None
    stem = lowered[: -len(suffix)].strip(" -_")
    if stem == module_id.casefold():
        return 1_000_000_000 if suffix == ".ipynb" else 0
    match = _COPY.match(stem)
    if match is None or match["stem"].strip(" -_") != module_id.casefold():
        return None
    return min(int(match["a"] or match["b"] or 1), 999_999_999)


def _contents(path: Path) -> bytes:
    _require_file(os.lstat(path).st_mode)  # opening a device can do things by itself
    descriptor = os.open(path, _FLAGS)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _require_file(status.st_mode)
        if status.st_size > MAX_BYTES:
            raise Refused(_too_large())
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise Refused(_too_large())
    return data


def _require_file(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
        raise Refused(f"There lies {kind} where the notebook should be: {INSTEAD}.")


def _too_large() -> str:
    return f"The file is larger than {MAX_BYTES // 1_000_000} MB: clear all outputs (Edit > Clear Outputs of All Cells) and hand in again."


def _notebook(text: str, mended: list[str]) -> tuple[NotebookNode, tuple[Finding, ...]]:
    data, more = parse(text)
    notebook, findings = repairs.build(data, [*mended, *more])
    inside = [name for name, source in _code(notebook) if conflicts.has_markers(source)]
    notes = [Finding("note", f"there is an unresolved merge conflict in cell {name}", name) for name in inside]
    return notebook, (*findings, *notes)


def _merged(text: str, mended: list[str]) -> tuple[NotebookNode, tuple[Finding, ...]]:
    """One side of a conflicted file, when both hold the same code."""
    try:
        (ours, findings), (theirs, _) = (_notebook(side, mended) for side in conflicts.sides(text))
    except Refused as error:
        raise Refused(
            f"The file holds an unresolved merge conflict of git: resolve it and hand in again. ({error})"
        ) from None
    mine, other = _code(ours), _code(theirs)
    if [source for _, source in mine] != [source for _, source in other]:
        place = next(
            (i for i, (a, b) in enumerate(zip(mine, other, strict=False)) if a[1] != b[1]), min(len(mine), len(other))
        )
        name = (mine if place < len(mine) else other)[place][0]
        raise Refused(f"There is an unresolved merge conflict in cell {name}: resolve it and hand in again.")
    return ours, (Finding("repair", "git's conflict markers taken out: both sides hold the same code"), *findings)


def _code(notebook: NotebookNode) -> list[tuple[str, str]]:
    """Name (grade_id, else the number) and text of every cell of code."""
    cells = [(number, cell) for number, cell in enumerate(notebook.cells, 1) if cell.cell_type == "code"]
    return [(notebooks.grade_id(cell) or str(number), cell.source) for number, cell in cells]

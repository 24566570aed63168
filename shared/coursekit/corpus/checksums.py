"""CHECKSUMS: one sha256 per file of a corpus, in the format of `sha256sum`, sorted by path."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from coursekit.corpus.files import list_files
from coursekit.corpus.problems import Problems
from coursekit.errors import CorpusError

CHECKSUMS_FILE = "CHECKSUMS"


def compute_checksums(folder: Path, files: Sequence[Path], problems: Problems) -> str:
    """The text that CHECKSUMS should hold: every one of `files` except itself; unreadable ones become problems."""
    rows: list[str] = []
    for path in files:
        name = path.relative_to(folder).as_posix()
        if name == CHECKSUMS_FILE:
            continue
        try:
            with path.open("rb") as file:
                rows.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
        except OSError as error:
            problems.add(path, 1, f"cannot be read ({error.strerror})", "restore the file and its permissions")
    return "".join(rows)


def write_checksums(folder: Path) -> Path:
    """Rebuild CHECKSUMS from the files as they are; gives its path.

    Raises:
        CorpusError: this is no corpus folder, a file cannot be read, or CHECKSUMS cannot be written.
    """
    if not (folder / "documents").is_dir():
        raise CorpusError(f"{folder}: no folder documents/ here; pass a corpus folder")
    problems = Problems(folder)
    text = compute_checksums(folder, list_files(folder, problems), problems)
    problems.raise_if_any()
    target, fresh = folder / CHECKSUMS_FILE, folder / f".{CHECKSUMS_FILE}.{os.getpid()}"
    try:
        fresh.write_text(text, encoding="utf-8", newline="\n")
        fresh.replace(target)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise CorpusError(f"{target}: cannot be written ({error.strerror}); restore its permissions") from error
    return target


def check_checksums(folder: Path, files: Sequence[Path], problems: Problems) -> str:
    """Compare CHECKSUMS with the files; gives the checksum of the whole corpus (sha256 of CHECKSUMS' right text)."""
    path, right = folder / CHECKSUMS_FILE, compute_checksums(folder, files, problems)
    repair = f"if the change is meant: course corpus checksums {shlex.quote(str(folder))}"
    if not path.exists():
        problems.add(path, 1, "cannot be read (there is none)", repair)
        return hashlib.sha256(right.encode()).hexdigest()
    text = problems.read(path)
    if text is not None and text != right:
        listed = {name: (n, digest) for n, (digest, name) in enumerate(_rows(text), start=1)}
        actual = {name: digest for digest, name in _rows(right)}
        for name in sorted(listed.keys() | actual.keys()):
            line, digest = listed.get(name, (1, None))
            if digest is None:
                problems.add(path, line, f"{name} is not listed", repair)
            elif name not in actual and folder / name in files:
                continue  # it is there and cannot be read, which is noted already
            elif name not in actual:
                problems.add(path, line, f"{name} is listed but does not exist", repair)
            elif digest != actual[name]:
                problems.add(path, line, f"checksum mismatch for {name}", repair)
        if listed.keys() == actual.keys() and all(listed[name][1] == digest for name, digest in actual.items()):
            problems.add(path, 1, "rows are out of order or malformed", repair)
    return hashlib.sha256(right.encode()).hexdigest()


def _rows(text: str) -> list[tuple[str, str]]:
    return [(digest, name) for digest, _, name in (row.partition("  ") for row in text.split("\n") if row)]

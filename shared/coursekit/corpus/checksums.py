"""CHECKSUMS: one sha256 per file of a corpus, in the format of `sha256sum`, sorted by path."""

from __future__ import annotations

import hashlib
from pathlib import Path

from coursekit.corpus.problems import Problems

CHECKSUMS_FILE = "CHECKSUMS"


def compute_checksums(folder: Path) -> str:
    """The text that CHECKSUMS should hold: every file of the corpus except itself, hidden files and caches."""
    rows: list[str] = []
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder)
        if path.is_file() and name.as_posix() != CHECKSUMS_FILE and not any(p.startswith(".") for p in name.parts):
            rows.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {name.as_posix()}\n")
    return "".join(rows)


def write_checksums(folder: Path) -> Path:
    """Rebuild CHECKSUMS from the files as they are; gives its path."""
    target = folder / CHECKSUMS_FILE
    target.write_text(compute_checksums(folder), encoding="utf-8", newline="\n")
    return target


def check_checksums(folder: Path, problems: Problems) -> str:
    """Compare CHECKSUMS with the files; gives the checksum of the whole corpus (sha256 of CHECKSUMS' right text)."""
    path, right = folder / CHECKSUMS_FILE, compute_checksums(folder)
    text = problems.read(path)
    if text is not None and text != right:
        listed = {name: (n, digest) for n, (digest, name) in enumerate(_rows(text), start=1)}
        actual = {name: digest for digest, name in _rows(right)}
        repair = f"if the change is meant: python -m coursekit.corpus checksums {folder}"
        for name in sorted(listed.keys() | actual.keys()):
            line, digest = listed.get(name, (1, None))
            if digest is None:
                problems.add(path, line, f"{name} is not listed", repair)
            elif name not in actual:
                problems.add(path, line, f"{name} is listed but does not exist", repair)
            elif digest != actual[name]:
                problems.add(path, line, f"checksum mismatch for {name}", repair)
        if listed.keys() == actual.keys() and all(listed[name][1] == digest for name, digest in actual.items()):
            problems.add(path, 1, "rows are out of order or malformed", repair)
    return hashlib.sha256(right.encode()).hexdigest()


def _rows(text: str) -> list[tuple[str, str]]:
    return [(digest, name) for digest, _, name in (row.partition("  ") for row in text.splitlines() if row)]

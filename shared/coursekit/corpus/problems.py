"""Collect everything that is wrong with a corpus, then raise it once.

A person who repairs a corpus wants the whole list, not the first line of it. Reading files is here too, because
most ways to fail (missing, too large, empty, not UTF-8) are the same for every file. Text comes with `\\n` line ends
whatever the file has, so that a quote matches on every system; a byte order mark and NUL bytes are refused.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from coursekit.errors import CorpusError

MAX_FILE_BYTES = 50_000_000


@dataclass
class Problems:
    """Problems found so far, in the order found; paths are given relative to the corpus folder.

    `refused` holds ids whose record exists and is broken: what points to them is not reported a second time.
    """

    folder: Path
    found: dict[str, None] = field(default_factory=dict)  # an ordered set
    refused: set[str] = field(default_factory=set)

    def add(self, path: Path, line: int, what: str, repair: str) -> None:
        """Note one problem, once: where (file and line, counted from 1), what, and how to repair it."""
        shown = (path.relative_to(self.folder) if path.is_relative_to(self.folder) else path).as_posix()
        self.found[f"{shown if shown.isprintable() else ascii(shown)}:{line}: {what}; {repair}"] = None

    def add_invalid(self, path: Path, error: ValidationError, lines: dict[str, int], line: int) -> None:
        """Note each part of a record that its model refuses; `lines` says where a key stands, else `line`."""
        for part in error.errors():
            key = str(part["loc"][0]) if part["loc"] else ""
            where = ".".join(str(step) for step in part["loc"])
            if part["type"] == "missing":
                self.add(path, line, f"{where} is missing", f"add the field {where!r}")
            elif part["type"] == "extra_forbidden":
                self.add(path, lines.get(key, line), f"unknown field {where!r}", "remove it or correct its name")
            else:
                message = part["msg"].removeprefix("Value error, ")
                shown = f" (is {part['input']!r:.80})" if where else ""
                self.add(path, lines.get(key, line), f"{where or 'record'}{shown}: {message}", "correct the value")

    def read(self, path: Path, max_bytes: int = MAX_FILE_BYTES) -> str | None:
        """The file's text, or None with a problem noted: missing, no file, too large, not plain UTF-8, or empty."""
        try:
            size = path.stat().st_size
            if path.exists() and not path.is_file():
                self.add(path, 1, "is not a file", "put a file here")
                return None
            if size > max_bytes:
                limit = f"{max_bytes / 1e6:g} MB are allowed"
                self.add(path, 1, f"{size / 1e6:.1f} MB is too large", f"{limit}; split or shorten the file")
                return None
            raw = path.read_bytes()
        except OSError as error:
            self.add(path, 1, f"cannot be read ({error.strerror})", "restore the file and its permissions")
            return None
        if raw.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self.add(path, 1, "opens with a byte order mark", "save the file as UTF-8 without it")
            return None
        try:
            text = raw.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            self.add(path, line, f"byte {error.start} is not UTF-8", "save the file as UTF-8")
            return None
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            self.add(path, line, "holds a NUL byte", "remove it: databases refuse such text")
            return None
        if not text.strip():
            self.add(path, 1, "file is empty", "write its content or delete the file")
            return None
        return text

    def raise_if_any(self) -> None:
        """Raise every problem in one error.

        Raises:
            CorpusError: at least one problem was noted.
        """
        if self.found:
            count = len(self.found)
            title = f"The corpus in {self.folder} has {count} problem{'s' if count > 1 else ''}:"
            raise CorpusError("\n".join([title, *(f"  {line}" for line in self.found)]))

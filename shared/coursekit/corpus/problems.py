"""Collect everything that is wrong with a corpus, then raise it once.

A person who repairs a corpus wants the whole list, not the first line of it. Reading files is here too, because
most ways to fail (missing, empty, not UTF-8) are the same for every file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from coursekit.errors import CorpusError


@dataclass
class Problems:
    """Problems found so far, in the order found; paths are given relative to the corpus folder."""

    folder: Path
    found: list[str] = field(default_factory=list)

    def add(self, path: Path, line: int, what: str, repair: str) -> None:
        """Note one problem: where (file and line, counted from 1), what, and how to repair it."""
        shown = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        self.found.append(f"{shown}:{line}: {what}; {repair}")

    def add_invalid(self, path: Path, error: ValidationError, lines: dict[str, int], line: int) -> None:
        """Note each part of a record that its model refuses; `lines` says where a key stands, else `line`."""
        for part in error.errors():
            key = str(part["loc"][0]) if part["loc"] else ""
            where = ".".join(str(step) for step in part["loc"])
            if part["type"] == "missing":
                self.add(path, line, f"{where} is missing", f"add the field {where!r}")
            elif part["type"] == "extra_forbidden":
                self.add(
                    path,
                    lines.get(key, line),
                    f"unknown field {where!r}",
                    "remove it or correct its name",
                )
            else:
                message = part["msg"].removeprefix("Value error, ")
                shown = f" (is {part['input']!r:.80})" if where else ""
                self.add(
                    path,
                    lines.get(key, line),
                    f"{where or 'record'}{shown}: {message}",
                    "correct the value",
                )

    def read(self, path: Path) -> str | None:
        """The file's text, or None with a problem noted: missing, not UTF-8, or empty."""
        try:
            raw = path.read_bytes()
        except OSError as error:
            self.add(path, 1, f"cannot be read ({error.strerror})", "restore the file")
            return None
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            self.add(path, line, f"byte {error.start} is not UTF-8", "save the file as UTF-8")
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

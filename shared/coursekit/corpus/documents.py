"""Read `documents/*.md`: YAML front matter between two `---` lines, then the Markdown body."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from pydantic import ValidationError

from coursekit.corpus.problems import Problems
from coursekit.corpus.records import Document

_KEY = re.compile(r"^([A-Za-z_]+):")
_FENCE = "---"


def read_documents(folder: Path, problems: Problems) -> list[Document]:
    """Every document of `folder/documents` that can be read, sorted by id; the others become problems."""
    paths = sorted((folder / "documents").glob("*.md"))
    if not paths:
        problems.add(folder / "documents", 1, "no *.md file here", "point to a corpus folder")
    documents = [document for path in paths if (document := _read_document(path, problems)) is not None]
    by_id: dict[str, Document] = {}
    for document in documents:
        first = by_id.setdefault(document.id, document)
        if first is not document:
            problems.add(
                document.path,
                2,
                f"id {document.id!r} is taken by {first.path.name}",
                "give it its own id",
            )
        elif document.id != document.path.stem:
            problems.add(
                document.path,
                2,
                f"id {document.id!r} differs from the file name",
                "make the two equal",
            )
    return sorted(by_id.values(), key=lambda document: document.id)


def _read_document(path: Path, problems: Problems) -> Document | None:
    text = problems.read(path)
    if text is None:
        return None
    lines = text.splitlines()
    if lines[0] != _FENCE or _FENCE not in lines[1:]:
        problems.add(
            path,
            1,
            "front matter is missing",
            "open the file with YAML between two '---' lines",
        )
        return None
    end = lines.index(_FENCE, 1)
    key_lines: dict[str, int] = {}
    for number, line in enumerate(lines[1:end], start=2):
        if match := _KEY.match(line):
            if match[1] in key_lines:
                problems.add(path, number, f"{match[1]} is given twice", "keep one of the two")
            key_lines[match[1]] = number
    try:
        values = yaml.safe_load("\n".join(lines[1:end]))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "cannot be parsed"
        problems.add(
            path,
            (mark.line if mark else 0) + 2,
            f"bad YAML: {what}",
            "quote the value or repair the syntax",
        )
        return None
    if not isinstance(values, dict):
        problems.add(path, 2, "front matter is not a mapping", "write one 'key: value' per line")
        return None
    for computed in ("text", "path"):
        if computed in values:
            problems.add(
                path,
                key_lines[computed],
                f"unknown field {computed!r}",
                "remove it or correct its name",
            )
            return None
    body = "\n".join(lines[end + 1 :]).strip() + "\n"
    if body == "\n":
        problems.add(
            path,
            end + 1,
            "the body is empty",
            "write the document below the front matter",
        )
        return None
    try:
        return Document(**values, text=body, path=path)
    except ValidationError as error:
        problems.add_invalid(path, error, key_lines, line=1)
        return None

"""Read `documents/**/*.md`: YAML front matter between two `---` lines, then the Markdown body.

Subfolders are for the authors' convenience and mean nothing: a document's id is its file's name without `.md`,
unique in the whole corpus. Whatever else lies there, except hidden files, is reported: a document that is left out
because it is called `.txt` would be missed by nobody until a question about it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from coursekit.corpus.problems import Problems
from coursekit.corpus.records import Document
from coursekit.corpus.yaml_text import parse_mapping

MAX_DOCUMENT_BYTES = 1_000_000
MAX_FRONT_MATTER_LINES = 100
DOCUMENTS_FOLDER = "documents"
_FENCE = "---"


def read_documents(folder: Path, files: Sequence[Path], problems: Problems) -> list[Document]:
    """Every document among `files` that can be read, sorted by id; the others become problems."""
    inside = folder / DOCUMENTS_FOLDER
    for path in sorted(inside.rglob("*.md")):
        if path.is_dir() and not path.is_symlink():
            problems.add(path, 1, "is a folder with a document's name", "rename the folder")
    below = [path for path in files if path.is_relative_to(inside)]
    for path in below:
        if path.suffix != ".md":
            problems.add(path, 1, "is not a document", "rename it to *.md, or move it out of documents/")
    paths = [path for path in below if path.suffix == ".md"]
    if not paths:
        problems.add(inside, 1, "no *.md file here", "point to a corpus folder")
    by_id: dict[str, Document] = {}
    for path in paths:
        document = _read_document(path, problems)
        if document is None:
            problems.refused.add(path.stem)
            continue
        first = by_id.setdefault(document.id, document)
        if first is not document:
            taken = first.path.relative_to(folder).as_posix()
            problems.add(path, 2, f"id {document.id!r} is taken by {taken}", "give it its own id")
            problems.refused.add(path.stem)
        elif document.id != path.stem:
            problems.add(path, 2, f"id {document.id!r} differs from the file name", "make the two equal")
            problems.refused.add(path.stem)
    return sorted(by_id.values(), key=lambda document: document.id)


def _read_document(path: Path, problems: Problems) -> Document | None:
    text = problems.read(path, MAX_DOCUMENT_BYTES)
    if text is None:
        return None
    lines = text.split("\n")
    if lines[0] != _FENCE or _FENCE not in lines[1:]:
        problems.add(path, 1, "front matter is missing", "open the file with YAML between two '---' lines")
        return None
    end = lines.index(_FENCE, 1)
    if end - 1 > MAX_FRONT_MATTER_LINES:
        limit = f"{MAX_FRONT_MATTER_LINES} are allowed; shorten it"
        problems.add(path, MAX_FRONT_MATTER_LINES + 2, f"front matter of {end - 1} lines", limit)
        return None
    front = parse_mapping("\n".join(lines[1:end]), path, problems, first_line=2, what="front matter")
    if front is None:
        return None
    computed = [key for key in ("text", "path") if key in front.values]
    for key in computed:
        problems.add(path, front.lines[key], f"unknown field {key!r}", "remove it or correct its name")
    body = "\n".join(lines[end + 1 :]).strip() + "\n"
    if body == "\n":
        problems.add(path, end + 1, "the body is empty", "write the document below the front matter")
    if computed or body == "\n":
        return None
    try:
        return Document.model_validate({**front.values, "text": body, "path": path})
    except ValidationError as error:
        problems.add_invalid(path, error, front.lines, line=1)
        return None

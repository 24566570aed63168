"""Keep a reading in one file per environment, so that the parsing is paid once.

The file is a JSON header line (key and checksum of the rest) and a JSON body. The key covers what can change the
reading: this code's format, Python's version, and the installed distributions with their versions. A file that is
missing, old, damaged or half there is no error: it is not used. Writing goes through a neighbour that is renamed, so
two processes at once both work, and the last one's file (with the same content) stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from coursekit.corpus.python_docs.places import Places, distributions
from coursekit.corpus.python_docs.records import PythonDocument, Reading
from coursekit.exporting import write_atomically

FORMAT = 1
"""Raise it when reading gives other documents than before for the same installation."""


def path_of(cache_dir: Path, places: Places) -> Path:
    """Where the reading of this environment is kept; one file each, replaced when packages change."""
    folders = "\n".join(str(folder) for folder in (places.stdlib, *places.sites))
    return cache_dir / f"python-docs-{_digest(folders)[:12]}.json"


def key_of(places: Places) -> str:
    """What the reading depends on, as one digest; takes milliseconds, because only folder names are read."""
    installed = [(found.name, found.version) for found in distributions(places.sites)]
    return _digest(json.dumps([FORMAT, places.python, installed]))


def get(path: Path, key: str) -> Reading | None:
    """The reading kept in `path`, or None when there is none for this key."""
    try:
        head, _, body = path.read_text(encoding="ascii").partition("\n")
        header = json.loads(head)
        if header["key"] != key or header["sha256"] != _digest(body):
            return None
        rows = json.loads(body)
        skipped = {str(reason): int(count) for reason, count in header["skipped"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return Reading(tuple(PythonDocument(*row) for row in rows), skipped)


def put(path: Path, key: str, reading: Reading) -> None:
    """Keep a reading; where the folder cannot be written, the next call parses again, which is slow and not wrong."""
    rows = [(each.id, each.title, each.source, each.version, each.text) for each in reading.documents]
    body = json.dumps(rows)  # ASCII: one emoji in it would make Python hold all of it in four bytes a character
    header = json.dumps({"key": key, "sha256": _digest(body), "skipped": reading.skipped})
    with contextlib.suppress(OSError):
        write_atomically(path, f"{header}\n{body}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

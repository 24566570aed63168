"""Which files a corpus folder holds: regular files only, hidden ones left out, in one order on every system.

Links are refused, because a link can lead out of the folder and its target can change without a checksum noticing.
"""

from __future__ import annotations

import os
from pathlib import Path

from coursekit.corpus.problems import Problems


def list_files(folder: Path, problems: Problems) -> list[Path]:
    """Every file below `folder`, sorted by its path relative to it; what is no plain file becomes a problem.

    Names that begin with a dot (files and whole folders) are not part of a corpus and are not looked at.
    """
    found: list[Path] = []

    def unreadable(error: OSError) -> None:
        path = Path(error.filename)
        problems.add(path, 1, f"folder cannot be read ({error.strerror})", "restore its permissions")

    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in [*folders, *names]:
            path = Path(parent, name)
            if name.startswith("."):
                continue
            if not name.isprintable() or "\\" in name:
                problems.add(path, 1, "unusual characters in a name", "rename it: letters, digits, '-', '_' and '.'")
            elif path.is_symlink():
                problems.add(path, 1, "is a link", "put the file itself here")
            elif path.is_file():
                found.append(path)
            elif not path.is_dir():
                problems.add(path, 1, "is neither a file nor a folder", "remove it")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())

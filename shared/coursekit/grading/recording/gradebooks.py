"""Empty gradebooks by copy: nbgrader needs seconds to make a new one (it asks alembic, in another process)."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import tempfile
from pathlib import Path

from coursekit import settings


def ensure(where: settings.Settings, path: Path) -> None:
    """Put an empty gradebook at `path` unless there is one; the first call keeps a blank copy under `.course/cache/`."""
    if path.exists():
        return
    versions = "-".join(importlib.metadata.version(name) for name in ("nbgrader", "sqlalchemy"))
    blank = where.state_dir / "cache" / f"gradebook-{versions}.db"
    if not blank.exists():
        _make(blank)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(blank, path)


def _make(blank: Path) -> None:
    from nbgrader.api import Gradebook

    blank.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=blank.parent) as folder:
        path = Path(folder) / "gradebook.db"
        with Gradebook(f"sqlite:///{path}"):
            pass
        os.replace(path, blank)

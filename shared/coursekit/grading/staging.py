"""The stage: what of a course a learner's process may see, as a small course root of its own.

It holds course.yml and the reference files of earlier modules (never of the module that is graded); the corpus is linked.
A stage is made once per content, and read-only for those who use it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from pathlib import Path

from coursekit import manifest, settings, workspace

REFERENCE = "reference"
_turn = threading.Lock()  # ast.parse of Python 3.11 fails at times when two threads are in it (cpython#106905)


def prepare(where: settings.Settings, course: manifest.Manifest, module: manifest.Module) -> Path:
    """The stage for grading `module`, made under `.course/cache/stages/` when there is none for these contents."""
    contents: dict[str, bytes] = {settings.MANIFEST_NAME: (where.root / settings.MANIFEST_NAME).read_bytes()}
    with _turn:
        for earlier in course.before(module.id):
            for name, path in workspace.extract_reference(where, earlier).items():
                contents[f"{REFERENCE}/{name}"] = path.read_bytes()
    digest = hashlib.sha256(repr(sorted((n, hashlib.sha256(c).hexdigest()) for n, c in contents.items())).encode())
    digest.update(str(where.root).encode())
    stage = where.state_dir / "cache" / "stages" / f"{module.id}-{digest.hexdigest()[:16]}"
    if stage.is_dir():
        return stage
    stage.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".stage-", dir=stage.parent))
    try:
        for name, content in contents.items():
            target = fresh / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        if course.corpus:
            link = fresh / course.corpus
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(where.root / course.corpus, target_is_directory=True)
        os.chmod(fresh, 0o755)
        os.rename(fresh, stage)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        if not stage.is_dir():  # else another run was faster
            raise
    return stage

"""What a grade depends on besides the submission, as one hash: when it changes, everything is graded again."""

from __future__ import annotations

import hashlib
import json
import sys

from coursekit import __version__, manifest, settings


def fingerprint(where: settings.Settings, course: manifest.Manifest, module: manifest.Module, isolation: str) -> str:
    """A hash of coursekit's version, Python, the locked packages, limits, isolation and the sources up to this module.

    Earlier modules count, because a submission imports their reference.
    """
    lock = where.root / "requirements.lock"
    sources = [where.solution(each.id) for each in (*course.before(module.id), module)]
    return hash_of(
        [
            __version__,
            sys.version,
            isolation,
            course.grading.execute,
            course.grading.limits.model_dump_json(),
            *(hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "" for path in (lock, *sources)),
        ]
    )


def hash_of(parts: list[str]) -> str:
    """One hash of several texts."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

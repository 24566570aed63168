"""The door to the assembled package: its name is course.yml's to decide, so it is imported by that name."""

from __future__ import annotations

import importlib
import os
from typing import Any


def part(name: str) -> Any:
    """One module of it: `part("store")` is `assistant.store` where the package is called assistant."""
    return importlib.import_module(f"{os.environ['BENCH_PACKAGE']}.{name}")

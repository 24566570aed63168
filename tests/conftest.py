"""Fixtures that every test may use: the course's root, its manifest, and small courses in temporary folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from xdist.scheduler import LoadScopeScheduling

from coursekit import manifest, settings

ROOT = Path(__file__).resolve().parents[1]

SMALL_COURSE: dict[str, Any] = {
    "title": "A small course",
    "package": "assistant",
    "grading": {"cell_timeout_seconds": 30},
    "modules": [
        {
            "id": "a1_first",
            "title": "First",
            "adds": "one function",
            "objectives": ["Add two numbers"],
            "minutes": 10,
            "points": 2,
            "exports": ["adding.py"],
            "time_limit_seconds": 30,
            "database": False,
        },
        {
            "id": "a2_second",
            "title": "Second",
            "adds": "another function",
            "objectives": ["Use the first function"],
            "prerequisites": ["a1_first"],
            "minutes": 10,
            "points": 1,
            "exports": ["doubling.py"],
            "time_limit_seconds": 30,
            "database": False,
        },
    ],
}


class _ByFile(LoadScopeScheduling):
    """Tests of one file share what they have made, so one process runs them; of a kill matrix, those of one module."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return f"{file} {test.partition('[')[2][:3]}" if file.endswith("test_kill_matrix.py") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Marks of groups would do, but pytest-xdist 3.8 loses them under pytest 9.2."""
    return _ByFile(config, log)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the person who runs the tests changes what they test; nbgrader finds alembic."""
    for name in list(os.environ):
        if name.startswith(("COURSE_", "OPENAI_", "ASSISTANT_", "JPY_")) or name in {
            "DATABASE_URL",
            "NBGRADER_EXECUTION",
        }:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{Path(os.sys.executable).parent}{os.pathsep}{os.environ['PATH']}")  # type: ignore[attr-defined]


@pytest.fixture
def course_root() -> Path:
    return ROOT


@pytest.fixture
def where(monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    """This course's settings, from its root."""
    monkeypatch.chdir(ROOT)
    return settings.load()


@pytest.fixture
def course(where: settings.Settings) -> manifest.Manifest:
    return manifest.load(where.root)


@pytest.fixture
def small_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Mapping[str, Any]], Path]]:
    """Make a small foreign course in a temporary folder and go there; the argument replaces top-level keys."""

    def make(changes: Mapping[str, Any] = {}) -> Path:  # noqa: B006  read only
        root = tmp_path / "course"
        root.mkdir(exist_ok=True)
        (root / "course.yml").write_text(yaml.safe_dump({**SMALL_COURSE, **changes}, sort_keys=False), encoding="utf-8")
        monkeypatch.chdir(root)
        return root

    yield make

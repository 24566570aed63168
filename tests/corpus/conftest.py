"""Fixtures: the course's corpus, read once, and a writable copy of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from coursekit.corpus import Corpus, load

FOLDER = Path(__file__).parents[2] / "shared" / "corpora" / "harborline"


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """The corpus as it is in the repository."""
    return load(FOLDER)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the corpus that a test may break."""
    return Path(shutil.copytree(FOLDER, tmp_path / "corpus"))

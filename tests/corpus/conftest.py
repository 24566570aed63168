"""Fixtures: the course's corpus, read once, and a small corpus that a test may break."""

from __future__ import annotations

from pathlib import Path

import pytest

from coursekit.corpus import Corpus, load
from tests.corpus import bakery

FOLDER = Path(__file__).parents[2] / "shared" / "corpora" / "harborline"


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """The corpus as it is in the repository."""
    return load(FOLDER)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """The bakery's corpus, with all optional parts."""
    return bakery.write(tmp_path / "bakery")

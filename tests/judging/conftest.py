"""A pair of peers for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.judging.two_sides import TwoSides


@pytest.fixture
def sides() -> Iterator[TwoSides]:
    with TwoSides() as both:
        yield both

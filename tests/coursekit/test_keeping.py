"""Vectors are made once and kept, and a bad file is never believed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from coursekit import keeping

TEXTS = ["a", "bb", "ccc"]


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, texts: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        self.calls += 1
        for text in texts:
            yield np.full((1, 2), len(text), dtype=np.float32)


def test_vectors_are_made_once_per_model_and_texts(tmp_path: Path) -> None:
    embed = Counting()
    seen: list[tuple[int, int]] = []
    first = keeping.vectors("m", TEXTS, embed, progress=lambda *at: seen.append(at), cache_dir=tmp_path)
    again = keeping.vectors("m", TEXTS, embed, cache_dir=tmp_path)
    assert embed.calls == 1 and seen == [(1, 3), (2, 3), (3, 3)]
    assert first.tolist() == again.tolist() == [[1, 1], [2, 2], [3, 3]]
    keeping.vectors("other", TEXTS, embed, cache_dir=tmp_path)
    keeping.vectors("m", TEXTS[:2], embed, cache_dir=tmp_path)
    assert embed.calls == 3


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    embed = Counting()
    keeping.vectors("m", TEXTS, embed, cache_dir=tmp_path)
    (path,) = tmp_path.glob("vectors-*.npy")
    for content in (b"", b"nonsense", path.read_bytes()[:-4]):
        path.write_bytes(content)
        assert keeping.vectors("m", TEXTS, embed, cache_dir=tmp_path).shape == (3, 2)
    assert embed.calls == 4


def test_too_few_vectors_are_an_error_and_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 vectors for 3 texts"):
        keeping.vectors("m", TEXTS, lambda texts: [np.ones((1, 2), dtype=np.float32)], cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert len(keeping.vectors("m", TEXTS, Counting(), cache_dir=tmp_path / "file" / "cache")) == 3

"""Keep the vectors of many texts on disk, so that an experiment at scale pays for them once per computer.

For lessons only: one file per model and set of texts in the course's cache folder. It knows no endpoint and no database.
A file that is missing, damaged or of another shape is no error: the vectors are made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coursekit import settings
from coursekit.exporting import write_atomically

Progress = Callable[[int, int], None]
"""Called as `progress(vectors_made, vectors_in_all)`."""


def vectors(
    model_id: str,
    texts: Sequence[str],
    embed: Callable[[Sequence[str]], Iterable[NDArray[np.float32]]],
    *,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
) -> NDArray[np.float32]:
    """The texts' vectors, from the file when there is one.

    Args:
        model_id: who makes them; part of the file's name.
        texts: in the order of the rows.
        embed: gives float32 [n, d] arrays that together have one row per text, in order; called only without a file.
        progress: called after each array.
        cache_dir: another folder than `cache` in the course's state folder.

    Returns:
        float32 [len(texts), d].

    Raises:
        ValueError: `embed` gave another number of rows.
    """
    digest = hashlib.sha256("\0".join([model_id, *texts]).encode("utf-8", "surrogatepass")).hexdigest()
    path = (cache_dir or settings.load().state_dir / "cache") / f"vectors-{digest[:16]}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):
        kept: NDArray[np.float32] = np.load(path, allow_pickle=False)
        if kept.ndim == 2 and len(kept) == len(texts) and kept.dtype == np.float32:
            return kept
    parts: list[NDArray[np.float32]] = []
    for part in embed(texts):
        parts.append(np.asarray(part, dtype=np.float32))
        if progress is not None:
            progress(sum(map(len, parts)), len(texts))
    made = np.concatenate(parts) if parts else np.empty((0, 0), dtype=np.float32)
    if len(made) != len(texts):
        raise ValueError(f"embed gave {len(made)} vectors for {len(texts)} texts")
    with contextlib.suppress(OSError):  # a folder that cannot be written costs time, nothing else
        body = io.BytesIO()
        np.save(body, made)
        write_atomically(path, body.getvalue())
    return made

"""Measure searches in Postgres against the truth: ids and milliseconds of each, recall against an exact search in numpy.

For lessons about indexes. Rows are known by their numbers: the chunk of row 0 has the id 1 (see `coursekit.scale.fill`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Connection = Any  # psycopg's: `coursekit.database` is the door to it
TOP = 10
TIE = 1e-6  # nearer than float32 can tell


def stopwatch(search: Callable[[], Sequence[int]]) -> tuple[list[int], float]:
    """What a search finds, and its milliseconds."""
    began = time.perf_counter()
    found = list(search())
    return found, (time.perf_counter() - began) * 1000


def timed(connection: Connection, sql: str, values: Sequence[Any]) -> tuple[list[int], float]:
    """The first column and the milliseconds of one search, planned anew: a prepared statement would keep an old plan."""
    return stopwatch(lambda: [row[0] for row in connection.execute(sql, values, prepare=False).fetchall()])


def true_tens(
    queries: Sequence[NDArray[np.floating]], vectors: NDArray[np.floating], rows: NDArray[np.intp] | None = None
) -> list[set[int]]:
    """Per query the chunk ids of its ten nearest by inner product, among these rows (default: all).

    Fewer than ten rows: all of them. Rows as near as the tenth are in it, too.

    >>> true_tens([np.array([1.0, 0.0])], np.eye(2))
    [{1, 2}]
    """
    rows = np.arange(len(vectors)) if rows is None else rows
    likeness = np.asarray(queries) @ vectors[rows].T  # [queries, rows]
    if len(rows) <= TOP:
        return [set((rows + 1).tolist()) for _ in queries]
    tenth = -np.partition(-likeness, TOP - 1, axis=1)[:, TOP - 1]
    return [set((rows[row >= least - TIE] + 1).tolist()) for row, least in zip(likeness, tenth, strict=True)]


def mean_recall(found: Iterable[Sequence[int]], truths: Iterable[set[int]]) -> float:
    """The mean share of the ten nearest that were found; of several equally near ones each counts.

    >>> mean_recall([[1, 2], [3]], [{1, 9}, {3}])
    0.75
    """
    pairs = zip(found, truths, strict=True)
    return float(np.mean([min(1.0, len(truth.intersection(ids)) / min(TOP, len(truth))) for ids, truth in pairs]))

"""The same measurement for every system: ingest, forget the input, warm up, search one question after the other.

Reads the folder that `coursekit.bench_rag.preparing` wrote, takes the database's URL from BENCH_DATABASE_URL, and writes
`<system>.json` beside the input. It needs numpy and the standard library, nothing else.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Search = Callable[[str, Vectors], Sequence[str]]
"""(question, its vector [d]) -> document ids, best first; an id may come several times, its first place counts."""

TOP_K = 40  # chunks that every search gives: ten different documents need more than ten
WARM_UP = 20
FEWEST_TIMED = 100


@dataclass(frozen=True)
class Chunk:
    """One piece of a document: `text` is what is embedded and searched, headings included; `body` is without them."""

    document: str
    position: int
    headings: tuple[str, ...]
    body: str
    text: str


@dataclass
class Clock:
    """Seconds by stage of one ingestion."""

    stages: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + time.perf_counter() - start


class System(Protocol):
    """What a `run_…` module gives."""

    name: str

    def ingest(self, chunks: Sequence[Chunk], vectors: Vectors, clock: Clock) -> Mapping[str, str]:
        """Make the chunks searchable; gives what failed, with the reason, by document id."""

    def searches(self) -> Mapping[str, Search]:
        """By name; "hybrid" is the one that is compared."""


class Lookup:
    """The embedding model's stand-in: texts to the vectors that were given for them."""

    def __init__(self, texts: Iterable[str], vectors: Vectors) -> None:
        self._rows = {text: row for row, text in enumerate(texts)}
        self._vectors = vectors

    def __call__(self, texts: Sequence[str]) -> Vectors:
        return self._vectors[[self._rows[text] for text in texts]]


def say(what: str, done: int, total: int) -> None:
    """One line of progress for the parent process."""
    print(json.dumps([what, done, total]), flush=True)


def read_chunks(folder: Path) -> list[Chunk]:
    """What is to be ingested, in order."""
    with open(folder / "chunks.jsonl", encoding="utf-8") as file:
        return [Chunk(row[0], row[1], tuple(row[2]), row[3], row[4]) for row in map(json.loads, file)]


def measure(system: System, folder: Path, versions: Mapping[str, str]) -> None:
    """Run everything and write the result."""
    chunks, vectors = read_chunks(folder), np.load(folder / "vectors.npy")
    count, clock = len(chunks), Clock()
    start = time.perf_counter()
    failed = system.ingest(chunks, vectors, clock)
    seconds = time.perf_counter() - start
    del chunks, vectors
    queries = json.loads((folder / "queries.json").read_text(encoding="utf-8"))
    query_vectors = np.load(folder / "query_vectors.npy")
    found = {name: _timed(name, search, queries, query_vectors) for name, search in system.searches().items()}
    result = {
        "system": system.name,
        "versions": dict(versions),
        "chunks": count,
        "ingest_seconds": seconds,
        "stages": clock.stages,
        "failed": dict(failed),
        "resident_mb": resident_mb(),
        "searches": found,
    }
    (folder / f"{system.name}.json").write_text(json.dumps(result), encoding="utf-8")


def _timed(name: str, search: Search, queries: Sequence[Mapping[str, str]], vectors: Vectors) -> dict[str, Any]:
    """Every question once, and again from the first until FEWEST_TIMED; rankings are those of the first time."""
    for number in range(WARM_UP):
        search(queries[number % len(queries)]["text"], vectors[number % len(queries)])
    rankings: dict[str, list[str]] = {}
    latencies_ms: list[float] = []
    total = max(len(queries), FEWEST_TIMED)
    for number in range(total):
        query, vector = queries[number % len(queries)], vectors[number % len(queries)]
        start = time.perf_counter()
        documents = search(query["text"], vector)
        latencies_ms.append((time.perf_counter() - start) * 1000)
        rankings.setdefault(query["id"], list(dict.fromkeys(documents)))
        if (number + 1) % 50 == 0 or number + 1 == total:
            say(f"{name} questions", number + 1, total)
    return {"latencies_ms": latencies_ms, "rankings": rankings}


def resident_mb() -> float:
    """Memory of this process, after what is free was given back where the system can do that."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with suppress(OSError, ValueError, IndexError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def database_url() -> str:
    """The scratch database of this system."""
    return os.environ["BENCH_DATABASE_URL"]


def folder_argument() -> Path:
    """The folder named on the command line."""
    return Path(sys.argv[1])

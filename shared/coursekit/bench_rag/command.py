"""What `course bench rag` does, from its options to a table and a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import RenderableType

from coursekit import manifest, settings
from coursekit.bench_rag import beir, builtin, page, table
from coursekit.bench_rag.records import Workload
from coursekit.bench_rag.running import Comparison, compare
from coursekit.errors import BenchError

SIZES = (10_000, 100_000)


def run(
    *,
    chunks: Sequence[int] | None,
    corpus: Path | None,
    embedding: str | None,
    peers: bool,
    write: Path | None,
    say: Callable[[str], None],
) -> tuple[RenderableType, list[Path]]:
    """Measure, and write the page where one is named; gives the table to show and the files written.

    Raises:
        BenchError: the options exclude each other, or nothing can be measured.
        CorpusError: the page has no markers, or this Python has too little documentation for that many chunks.
    """
    if corpus is not None and chunks:
        raise BenchError("--corpus measures a folder as it is; leave out --chunks")
    if write is not None:
        page.check(write)
    where = settings.load()
    course = manifest.load(where.root)
    done: list[Comparison] = []
    started = time.monotonic()

    def timed(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - started), 60)
        say(f"{minutes:02}:{seconds:02} {text}")

    for workload in _workloads(chunks or SIZES, corpus):
        done.append(compare(where, course, workload, embedding=embedding, peers=peers, say=timed))
    written = [] if write is None else page.write(write, done, _command(chunks, corpus, embedding, peers, write))
    return table.render(done), written


def _workloads(sizes: Sequence[int], corpus: Path | None) -> Iterator[Workload]:
    if corpus is not None:
        yield beir.load(corpus)
        return
    for size in dict.fromkeys(sizes):
        yield builtin.load(size)


def _command(chunks: Sequence[int] | None, corpus: Path | None, embedding: str | None, peers: bool, write: Path) -> str:
    parts = ["course bench rag", *(f"--chunks {size}" for size in chunks or ())]
    parts += [f"--corpus {corpus.name}"] if corpus else []
    parts += [f"--embedding {embedding}"] if embedding else []
    parts += [] if peers else ["--no-peers"]
    return " ".join([*parts, f"--write {write}"])

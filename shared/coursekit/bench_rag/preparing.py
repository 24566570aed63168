"""From a workload to the folder that every system reads: the same chunks, the same vectors, the same questions.

The chunks are the assistant's own work, cut in a process of its own. Documents and questions travel under their numbers
in the workload, so that no system can stumble over an odd id. Vectors come from the encoders of the course's endpoint,
through its cache, and never from a configured endpoint that costs money.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coursekit.bench_rag.processes import run_module
from coursekit.bench_rag.records import Workload
from coursekit.corpus.baseline.vectors import MINILM, WORDLLAMA, Vectors, embed
from coursekit.errors import BenchError

Say = Callable[[str], None]

MODELS = {"default": MINILM, "fast": WORDLLAMA}
DEFAULT_UP_TO_CHUNKS = 20_000  # beyond, the small encoder would take many minutes
_SLICES = {MINILM: 512, WORDLLAMA: 10_000}  # texts between two reports


@dataclass(frozen=True)
class Prepared:
    """The folder, and what of the workload is in it."""

    folder: Path
    chunks: int
    documents: int
    embedding: str
    dimensions: int
    notes: tuple[str, ...]


def prepare(workload: Workload, folder: Path, environ: Mapping[str, str], embedding: str | None, say: Say) -> Prepared:
    """Write the folder.

    Args:
        environ: for the process that cuts, with the assistant on its path.
        embedding: a key of MODELS; None chooses by the number of chunks.

    Raises:
        BenchError: there is no chunk or no question, or the assistant's chunker failed.
    """
    if not workload.queries:
        raise BenchError(f"{workload.name}: no question has a judgment, so nothing can be compared")
    with open(folder / "documents.jsonl", "w", encoding="utf-8") as file:
        for number, source in enumerate(workload.sources):
            row = [str(number), source.title, source.text, *([source.pieces] if source.pieces else [])]
            file.write(json.dumps(row) + "\n")
    run_module("cut_chunks", folder, environ, say)
    texts, notes = _limit(workload, folder)
    if not texts:
        raise BenchError(f"{workload.name}: the documents gave no chunk; {'; '.join(notes) or 'is the folder empty?'}")
    embedding = embedding or ("default" if len(texts) <= DEFAULT_UP_TO_CHUNKS else "fast")
    model = MODELS[embedding]
    questions = [query.text for query in workload.queries]
    vectors = _embed([*texts, *questions], model, say)
    np.save(folder / "vectors.npy", vectors[: len(texts)])
    np.save(folder / "query_vectors.npy", vectors[len(texts) :])
    rows = [{"id": str(number), "text": query.text} for number, query in enumerate(workload.queries)]
    (folder / "queries.json").write_text(json.dumps(rows), encoding="utf-8")
    return Prepared(folder, len(texts), _documents(folder), model, vectors.shape[1], notes)


def _limit(workload: Workload, folder: Path) -> tuple[list[str], tuple[str, ...]]:
    """Keep the first chunks only, where there is a limit; their texts, and the workload's notes with those of the cutting."""
    path = folder / "chunks.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1][: workload.limit]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    uncut: dict[str, str] = json.loads((folder / "uncut.json").read_text(encoding="utf-8"))
    notes = list(workload.notes)
    if uncut:
        number, reason = next(iter(uncut.items()))
        first = f"{workload.sources[int(number)].id!r}: {reason}"
        notes.append(f"{len(uncut)} documents gave no chunk and cannot be found (the first is {first})")
    return [json.loads(line)[4] for line in lines], tuple(notes)


def _documents(folder: Path) -> int:
    with open(folder / "chunks.jsonl", encoding="utf-8") as file:
        return len({json.loads(line)[0] for line in file})


def _embed(texts: Sequence[str], model: str, say: Say) -> Vectors:
    """Vectors [texts, d]; says how long the rest will take. The same text is embedded once."""
    distinct = list(dict.fromkeys(texts))
    parts: list[Vectors] = []
    start = time.monotonic()
    for begin in range(0, len(distinct), _SLICES[model]):
        parts.append(embed(distinct[begin : begin + _SLICES[model]], model, lambda _: None))
        done = min(begin + _SLICES[model], len(distinct))
        left = (time.monotonic() - start) / done * (len(distinct) - done)
        say(f"{model}: {done:,} of {len(distinct):,} texts embedded, about {left / 60:.1f} min left")
    rows = {text: row for row, text in enumerate(distinct)}
    vectors: Vectors = np.concatenate(parts)[[rows[text] for text in texts]]
    return vectors

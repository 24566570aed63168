"""The whole benchmark: prepare each workload, run every system on it, one after the other, and score them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from coursekit import database, manifest, models, settings, workspace
from coursekit.bench_rag import environment, preparing
from coursekit.bench_rag.processes import HERE, run_module
from coursekit.bench_rag.records import Outcome, SearchResult, Workload
from coursekit.bench_rag.scoring import Row, score
from coursekit.errors import BenchError, DatabaseError

Say = Callable[[str], None]

OURS = "assistant"
PEERS = ("langchain", "llamaindex")
NEEDED = ("chunking.py", "ingest.py", "store.py", "keyword.py", "retrieval.py", "tokens.py", "documents.py")
_OFFLINE = {"LANGSMITH_TRACING": "false", "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}


@dataclass(frozen=True)
class Comparison:
    """One workload, and every system's figures on it."""

    name: str
    documents: int
    chunks: int
    queries: int
    embedding: str
    dimensions: int
    notes: tuple[str, ...]
    outcomes: Mapping[str, Outcome]
    rows: Sequence[Row]


def compare(
    where: settings.Settings,
    course: manifest.Manifest,
    workload: Workload,
    *,
    embedding: str | None = None,
    peers: bool = True,
    say: Say = lambda text: None,
) -> Comparison:
    """Measure one workload with the assistant and, where wanted, its peers.

    Args:
        embedding: "default" or "fast"; None chooses by size.

    Raises:
        BenchError: nothing can be measured, or the assistant itself failed; a peer that fails becomes a row that says why.
    """
    state = where.state_dir / "bench"
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state, prefix="work-") as work:
        folder = Path(work)
        environ = _environment(where, course, folder)
        prepared = preparing.prepare(workload, folder, environ, embedding, say)
        say(f"{prepared.chunks:,} chunks of {prepared.documents:,} documents, {len(workload.queries)} questions")
        with database.scratch("bench") as url:
            run_module("run_assistant", folder, environ | {"BENCH_DATABASE_URL": url}, _named(OURS, say))
        outcomes = {OURS: _outcome(folder, OURS)}
        for peer in PEERS if peers else ():
            outcomes[peer] = _peer(where, peer, folder, say)
    return Comparison(
        workload.name,
        prepared.documents,
        prepared.chunks,
        len(workload.queries),
        prepared.embedding,
        prepared.dimensions,
        prepared.notes,
        outcomes,
        score(workload, list(outcomes.values())),
    )


def _peer(where: settings.Settings, peer: str, folder: Path, say: Say) -> Outcome:
    try:
        python = environment.ensure(where, say)
        environ = os.environ | _OFFLINE | {"PYTHONPATH": str(HERE), "LLAMA_INDEX_CACHE_DIR": str(folder / "cache")}
        with database.scratch("bench") as url:
            variables = environ | {"BENCH_DATABASE_URL": url}
            run_module(f"run_{peer}", folder, variables, _named(peer, say), python=python)
        return _outcome(folder, peer)
    except (BenchError, DatabaseError) as error:
        say(f"{peer}: {error}")
        return Outcome(peer, problem=str(error))


def _environment(where: settings.Settings, course: manifest.Manifest, folder: Path) -> dict[str, str]:
    """The assistant as an ordinary package in the folder, and the variables of a process that imports it."""
    files = workspace.resolve(where, course)
    missing = [name for name in NEEDED if name not in files]
    if missing:
        raise BenchError(f"the assistant has no {', '.join(missing)} yet: modules m01 to m04 export them")
    workspace.assemble(files, folder / "package" / course.package)
    path = os.pathsep.join([str(HERE), str(folder / "package")])
    own = {"PYTHONPATH": path, "BENCH_PACKAGE": course.package, "ASSISTANT_TOKENIZER_FILE": models.tokenizer_file()}
    return os.environ | own


def _named(system: str, say: Say) -> Say:
    return lambda text: say(f"{system}: {text}")


def _outcome(folder: Path, system: str) -> Outcome:
    data = json.loads((folder / f"{system}.json").read_text(encoding="utf-8"))
    data["searches"] = {
        name: SearchResult(tuple(found["latencies_ms"]), found["rankings"]) for name, found in data["searches"].items()
    }
    return Outcome(**data)

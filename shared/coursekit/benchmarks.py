"""`course bench`: the course's own speed as ratios within one run, so that a busy machine does not matter.

Each comparison alternates both sides and takes the median.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coursekit import manifest, settings

ROUNDS = 5


@dataclass(frozen=True)
class Measurement:
    """Two things timed side by side: `ratio` says how many times longer the second one takes."""

    what: str
    measured: str
    against: str
    ratio: float


def measure() -> list[Measurement]:
    """Run every comparison; about twenty seconds."""
    return [_bootstrap(), _embedding_cache(), _scratch_database(), _long_completion()]


def _compare(
    what: str, first: tuple[str, Callable[[], object]], second: tuple[str, Callable[[], object]]
) -> Measurement:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for side, (_, action) in zip(times, (first, second), strict=True):
            start = time.perf_counter()
            action()
            side.append(time.perf_counter() - start)
    medians = [statistics.median(side) for side in times]
    texts = [f"{label}: {median * 1000:.1f} ms" for (label, _), median in zip((first, second), medians, strict=True)]
    return Measurement(what, texts[0], texts[1], medians[1] / medians[0])


def _bootstrap() -> Measurement:
    root = settings.load().root
    python = [sys.executable, "-m", "coursekit", "--version"]
    return _compare(
        "a second ./course call",
        ("python -m coursekit", lambda: subprocess.run(python, check=True, capture_output=True, cwd=root)),
        ("./course", lambda: subprocess.run([root / "course", "--version"], check=True, capture_output=True, cwd=root)),
    )


def _embedding_cache() -> Measurement:
    import openai

    from simllm import SimServer

    where = settings.load()
    model = manifest.load(where.root).models["simulated"].embedding.name
    with tempfile.TemporaryDirectory() as cache, SimServer(cache_dir=Path(cache)) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="bench", max_retries=0)
        base = ["the queue of the scheduler grows while its consumers are idle and nobody is paged"] * 16
        known = [f"{text} {number}" for number, text in enumerate(base)]
        client.embeddings.create(model=model, input=known)
        return _compare(
            "16 embeddings over HTTP",
            ("cached", lambda: client.embeddings.create(model=model, input=known)),
            ("new", lambda: client.embeddings.create(model=model, input=[f"{t} {uuid.uuid4()}" for t in base])),
        )


def _scratch_database() -> Measurement:
    from coursekit import database

    def make_and_drop() -> None:
        with database.scratch("bench"):
            pass

    url = database.study_url()

    def query() -> None:
        with database.connect(url) as connection:
            connection.execute("SELECT 1")

    query()
    return _compare("a database per run", ("connect and query", query), ("create and drop", make_and_drop))


def _long_completion() -> Measurement:
    from coursekit import models

    client = models.bench().openai
    small = manifest.load(settings.load().root).models["simulated"].small.name

    def complete(limit: int) -> None:
        client.chat.completions.create(
            model=small,
            messages=[{"role": "user", "content": "Write at length about queues."}],
            max_tokens=limit,
            seed=1,
        )

    complete(1)
    return _compare("a completion", ("1 token", lambda: complete(1)), ("300 tokens", lambda: complete(300)))

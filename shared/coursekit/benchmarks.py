"""`course bench`: the course's own speed as ratios within one run, so that a busy machine does not matter.

Each comparison alternates both sides and takes the median.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """Run every comparison; about a minute."""
    rows = [_bootstrap(), _server_start(), _embedding_cache(), *_embeddings(), _streams()]
    return [*rows, _scratch_database(), _long_completion()]


def _compare(
    what: str, first: tuple[str, Callable[[], object]], second: tuple[str, Callable[[], object]], *, things: int = 0
) -> Measurement:
    """Time both; `things` says how many things one action handles, and shows them per second."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for side, (_, action) in zip(times, (first, second), strict=True):
            start = time.perf_counter()
            action()
            side.append(time.perf_counter() - start)
    medians = [statistics.median(side) for side in times]
    shown = [f"{things / median:,.0f}/s" if things else f"{median * 1000:.1f} ms" for median in medians]
    texts = [f"{label}: {speed}" for (label, _), speed in zip((first, second), shown, strict=True)]
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


def _server_start() -> Measurement:
    """How long until `simllm serve` says its address; its libraries alone take most of that."""
    libraries = [sys.executable, "-c", "import numpy, tokenizers, uvicorn, yaml"]
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "simllm", "serve", "--cache", cache]

        def start() -> None:
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                process.kill()

        start()  # trains the language model
        return _compare(
            "simulated models ready",
            ("importing the libraries", lambda: subprocess.run(libraries, check=True)),
            ("simllm serve", start),
        )


def _embeddings() -> list[Measurement]:
    """What the API adds to the encoders alone."""
    import openai

    from simllm import SimServer
    from simllm.embeddings import WORDLLAMA, WordLlama
    from simllm.tokenizer import default_tokenizer

    known = [f"ticket {number}: the queue of the scheduler grows, nobody is paged" for number in range(2_000)]
    long = (
        "The scheduler hands a job to the first idle worker and waits for its heartbeat before it looks further. " * 6
    )
    models = manifest.load(settings.load().root).models["simulated"]
    bare, wordllama = _bare_minilm(), WordLlama(default_tokenizer())
    with tempfile.TemporaryDirectory() as cache, SimServer(cache_dir=Path(cache)) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key="bench", max_retries=0)

        def ask(model: str, texts: list[str]) -> None:
            client.embeddings.create(model=model, input=texts)

        def fresh() -> list[str]:
            return [f"{uuid.uuid4()} {long}" for _ in range(16)]

        def short() -> list[str]:
            return [f"ticket {uuid.uuid4().hex[:8]}: the queue of the scheduler grows" for _ in known]

        bare(fresh())
        ask(WORDLLAMA, known)
        ask(models.embedding.name, known)
        return [
            _compare(
                "short texts, wordllama",
                ("encoder alone", lambda: wordllama.encode(short())),
                ("over HTTP", lambda: ask(WORDLLAMA, short())),
                things=len(known),
            ),
            _compare(
                "known short texts over HTTP",
                ("wordllama", lambda: ask(WORDLLAMA, known)),
                ("MiniLM, from the cache", lambda: ask(models.embedding.name, known)),
                things=len(known),
            ),
            _compare(
                "new texts of 100 words, MiniLM",
                ("onnxruntime alone", lambda: bare(fresh())),
                ("over HTTP", lambda: ask(models.embedding.name, fresh())),
                things=16,
            ),
        ]


def _bare_minilm() -> Callable[[list[str]], None]:
    """The model as a script would run it: no server, no cache; threads that do not spin, for a busy machine's sake."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    from simllm.minilm import FOLDER, WINDOW

    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    model = str(FOLDER / "model.onnx")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
    tokenizer.enable_truncation(WINDOW)
    tokenizer.no_padding()

    def run(texts: list[str]) -> None:
        for text in texts:
            ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
            session.run(["embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})

    return run


def _streams() -> Measurement:
    """64 clients that stream at once, against one after the other."""
    import openai

    from coursekit import models

    options: dict[str, Any] = {"api_key": "bench", "max_retries": 0, "timeout": 60}
    options["base_url"] = models.server().base_url
    small = manifest.load(settings.load().root).models["simulated"].small.name

    async def run(width: int) -> None:
        async with openai.AsyncOpenAI(**options) as client:

            async def one(number: int) -> None:
                prompt = [{"role": "user", "content": "Write at length about queues."}]
                sent: Any = {"model": small, "messages": prompt, "max_tokens": 50, "seed": number, "stream": True}
                async for _ in await client.chat.completions.create(**sent):
                    pass

            for start in range(0, 64, width):
                await asyncio.gather(*(one(number) for number in range(start, start + width)))

    return _compare(
        "64 streams of 50 tokens",
        ("all at once", lambda: asyncio.run(run(64))),
        ("one after the other", lambda: asyncio.run(run(1))),
        things=64,
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

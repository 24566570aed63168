"""The big corpus: real documentation in quantity, taken from the learner's own Python when it is asked for.

For measuring ingestion, indexes and latency, where Harborline's documents are too few. It has no questions and no
judgments. It is made of the docstrings of the standard library, the texts behind `help("assignment")`, and the READMEs
and docstrings of the installed packages; nothing of it is in this repository, and it differs from one installation to
the next. Sources are parsed, never imported or executed. What C extensions say about themselves is therefore not in it.

    >>> from coursekit.corpus import python_docs
    >>> documents = python_docs.load(limit=1000)      # doctest: +SKIP

The first call parses for half a minute or more and keeps the result in the course's cache folder (see `cache`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from coursekit import settings
from coursekit.corpus.python_docs import cache
from coursekit.corpus.python_docs.places import Places, here
from coursekit.corpus.python_docs.reading import read
from coursekit.corpus.python_docs.records import Progress, PythonDocument, Reading
from coursekit.errors import CorpusError

__all__ = ["Places", "Progress", "PythonDocument", "Reading", "here", "load", "load_reading"]


def load(
    limit: int | None = None,
    *,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
    places: Places | None = None,
) -> tuple[PythonDocument, ...]:
    """The documents: standard library, topics, then distributions by name, each README before its modules.

    Args:
        limit: at most so many documents, drawn evenly from the whole: those whose ids have the smallest sha256. So
            `load(1000)` is a fair mix, the same each time, and part of `load(2000)`; the order stays as above.
        progress: called as `progress(files_read, files_in_all)` while parsing; never when the cache answers.
        cache_dir: where the result is kept (default: `cache` in the course's state folder).
        places: another installation than the one that runs this.

    Raises:
        CorpusError: `limit` is negative, or the installation holds almost no documentation.
        CourseError: no `cache_dir` was given and this is not inside a course.
    """
    if limit is not None and limit < 0:
        raise CorpusError(f"limit={limit} is negative; give 0 or more documents, or None for all")
    documents = load_reading(progress=progress, cache_dir=cache_dir, places=places).documents
    if limit is None or limit >= len(documents):
        return documents
    drawn = set(sorted((each.id for each in documents), key=_draw)[:limit])
    return tuple(each for each in documents if each.id in drawn)


def load_reading(
    *, progress: Progress | None = None, cache_dir: Path | None = None, places: Places | None = None
) -> Reading:
    """What `load` draws from: all documents, and how many files and documents were left out for which reason.

    Raises:
        CorpusError, CourseError: as `load`.
    """
    places = places or here()
    path = cache.path_of(cache_dir or settings.load().state_dir / "cache", places)
    key = cache.key_of(places)
    kept = cache.get(path, key)
    if kept is not None:
        return kept
    reading = read(places, progress)
    if len(reading.documents) < places.fewest:
        raise CorpusError(_too_few(places, reading))  # and keep nothing: repairing Python need not change the key
    cache.put(path, key, reading)
    return reading


def _draw(document_id: str) -> bytes:
    return hashlib.sha256(document_id.encode()).digest()


def _too_few(places: Places, reading: Reading) -> str:
    counts = Counter("packages" if d.source not in ("stdlib", "topics") else d.source for d in reading.documents)
    found = ", ".join(f"{counts[name]} from {name}" for name in ("stdlib", "topics", "packages"))
    skipped = ", ".join(f"{count} {reason}" for reason, count in reading.skipped.items()) or "nothing"
    sites = ", ".join(str(folder) for folder in places.sites) or "none"
    return (
        f"Python {places.python} holds {len(reading.documents)} documents ({found}); at least {places.fewest} are needed."
        f"\n  standard library: {places.stdlib}\n  packages: {sites}\n  left out: {skipped}\n"
        "This Python came without its .py sources (a zipped or stripped standard library) or without packages. "
        "Use a full one (python.org, uv, pyenv, conda, or your system's complete python3 package), "
        "make a new environment with it and install the course again."
    )

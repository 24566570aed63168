"""What is searched, and what a system made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One document. `pieces`: it is cut already, into these texts; else the assistant's chunker cuts `text`."""

    id: str
    title: str
    text: str = ""
    pieces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Query:
    """One question with its judgments in `Workload.qrels`."""

    id: str
    text: str


@dataclass(frozen=True)
class Workload:
    """What every system gets.

    Attributes:
        name: the corpus, for headings.
        qrels: grade by document id, by question id; only questions that are asked.
        relevant_from: the lowest grade that recall looks for; nDCG uses all grades.
        notes: what was left out, or looks odd, a sentence each.
        limit: at most so many chunks (documents at the end give none beyond it); None takes all.
    """

    name: str
    sources: Sequence[Source]
    queries: Sequence[Query]
    qrels: Mapping[str, Mapping[str, int]]
    relevant_from: int = 1
    notes: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(frozen=True)
class SearchResult:
    """One kind of search of one system: milliseconds per question in order, document ids by question id, best first."""

    latencies_ms: tuple[float, ...]
    rankings: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Outcome:
    """What one system did, or why it could not (`problem`)."""

    system: str
    problem: str = ""
    chunks: int = 0
    ingest_seconds: float = 0.0
    stages: Mapping[str, float] | None = None
    failed: Mapping[str, str] | None = None
    resident_mb: float = 0.0
    versions: Mapping[str, str] | None = None
    searches: Mapping[str, SearchResult] | None = None

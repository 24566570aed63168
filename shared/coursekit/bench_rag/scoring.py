"""Figures from what the systems did: speed, quality by ir_measures, paired differences to the assistant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np
from numpy.typing import NDArray

from coursekit.bench_rag.records import Outcome, Workload
from coursekit.corpus.baseline.measures import calculate
from coursekit.corpus.baseline.resampling import mean_intervals

MEASURES = ("nDCG@10", "recall@5")


@dataclass(frozen=True)
class Quality:
    """A mean over questions; `low` and `high` bound the mean difference to the assistant's hybrid search (this minus that)."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """One search of one system; speed of ingestion and memory stand with the system's hybrid search only."""

    system: str
    search: str
    problem: str = ""
    chunks_per_s: float | None = None
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    quality: Mapping[str, Quality] | None = None
    resident_mb: float | None = None


def score(workload: Workload, outcomes: Sequence[Outcome]) -> list[Row]:
    """One row per search, in order; the first outcome is the one to compare with, and must have run."""
    rows: list[Row] = []
    base: dict[str, NDArray[np.float64]] = {}
    for outcome in outcomes:
        if not outcome.searches:
            rows.append(Row(outcome.system, "hybrid", problem=outcome.problem or "it gave no result"))
            continue
        for name, found in outcome.searches.items():
            values = per_question(workload, found.rankings)
            base = base or values
            p50, p95 = np.percentile(found.latencies_ms, [50, 95])
            is_hybrid = name == "hybrid"
            rows.append(
                Row(
                    outcome.system,
                    name,
                    chunks_per_s=outcome.chunks / outcome.ingest_seconds if is_hybrid else None,
                    p50_ms=float(p50),
                    p95_ms=float(p95),
                    quality={measure: _quality(values[measure], base[measure]) for measure in MEASURES},
                    resident_mb=outcome.resident_mb if is_hybrid else None,
                )
            )
    return rows


def per_question(workload: Workload, rankings: Mapping[str, Sequence[str]]) -> dict[str, NDArray[np.float64]]:
    """Each measure's value per question, [questions], in the workload's order.

    Args:
        rankings: document numbers by question number, as the systems give them; a question without an entry found nothing.
    """
    metrics = {"nDCG@10": ir_measures.nDCG @ 10, "recall@5": ir_measures.R(rel=workload.relevant_from) @ 5}
    numbers = {source.id: str(number) for number, source in enumerate(workload.sources)}
    qrels = {
        str(number): {
            numbers.get(document, f"unknown {place}"): grade for place, (document, grade) in enumerate(judged)
        }
        for number, judged in enumerate(workload.qrels[query.id].items() for query in workload.queries)
    }
    values = {name: np.zeros(len(workload.queries)) for name in MEASURES}
    for name, found in calculate(metrics, qrels, rankings).items():
        for query, value in found.items():
            values[name][int(query)] = value
    return values


def _quality(values: NDArray[np.float64], base: NDArray[np.float64]) -> Quality:
    low, high = mean_intervals((values - base)[:, None])
    return Quality(float(values.mean()), float(low[0]), float(high[0]))

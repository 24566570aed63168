"""The course's scoreboard: the system as it stands, measured on the golden questions, one row per module.

`measure` runs the system on questions and judges the answers by their key facts; `record` keeps the row and `show`
draws the table. Nothing here is typed by hand: a row exists only because a notebook has just measured it.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from coursekit import exporting, manifest, progress, settings

if TYPE_CHECKING:
    import pandas as pd

    from coursekit.corpus import Corpus, Question

_ABSTENTIONS = re.compile(
    r"\b(i (do not|don't|cannot|can't) (know|find|answer|say|tell)|(not|isn't|is not) (stated|mentioned|covered|in the (context|documents|passages|sources))"
    r"|no (information|answer|passage|document)|cannot be answered|does not (say|state|mention|contain)|not enough (information|context))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Answer:
    """What the system under test gave back for one question.

    `ranked_ids`: retrieved document ids, best first. `cost_usd`: what the request cost. `text`: the answer shown to the user.
    """

    text: str
    ranked_ids: Sequence[str]
    cost_usd: float


@dataclass(frozen=True)
class Row:
    """One row of the scoreboard. Shares are in [0, 1]; None means that the module does not change or measure it."""

    recall_at_5: float | None
    ndcg_at_10: float | None
    answered_correctly: float | None
    abstained_rightly: float | None
    p95_ms: float | None
    usd_per_1000_questions: float | None


@dataclass(frozen=True)
class Judged:
    """One question with the system's answer and the verdict on it."""

    question: Question
    answer: Answer
    is_right: bool
    latency_ms: float


def states_key_facts(text: str, key_facts: Sequence[Sequence[str]]) -> bool:
    """Does `text` state every key fact, each in one of its accepted variants? Whole words, upper and lower case alike."""
    return all(any(_contains(text, variant) for variant in variants) for variants in key_facts)


def abstains(text: str) -> bool:
    """Does `text` say that it cannot answer?"""
    return bool(_ABSTENTIONS.search(text))


def is_right(question: Question, text: str) -> bool:
    """Is `text` a right answer: every key fact and no known wrong one, or an abstention where this asker gets no answer?"""
    if not question.answerable:
        return abstains(text)
    misled = any(_contains(text, fact) for fact in question.wrong_facts)
    return not abstains(text) and states_key_facts(text, question.key_facts) and not misled


def judge(ask: Callable[[str], Answer], questions: Sequence[Question]) -> list[Judged]:
    """Ask every question and judge each answer: key facts where there is an answer, abstention where there is none.

    An answer that also states a known wrong fact (outdated, another service's, leaked) is wrong: nobody can tell which half to trust.
    """
    judged = []
    for question in questions:
        start = time.perf_counter()
        answer = ask(question.text)
        latency_ms = (time.perf_counter() - start) * 1000
        judged.append(Judged(question, answer, is_right(question, answer.text), latency_ms))
    return judged


def row(judged: Sequence[Judged], corpus: Corpus) -> Row:
    """The scoreboard row of one evaluation. p95 is over the questions asked."""
    answerable = [j for j in judged if j.question.answerable]
    unanswerable = [j for j in judged if not j.question.answerable]
    ranked = [(j.answer.ranked_ids, corpus.qrels.get(j.question.id, {})) for j in answerable]
    return Row(
        recall_at_5=_mean([_recall(ids, grades, 5) for ids, grades in ranked]),
        ndcg_at_10=_mean([_ndcg(ids, grades, 10) for ids, grades in ranked]),
        answered_correctly=_mean([float(j.is_right) for j in answerable]),
        abstained_rightly=_mean([float(j.is_right) for j in unanswerable]),
        p95_ms=float(np.percentile([j.latency_ms for j in judged], 95)) if judged else None,
        usd_per_1000_questions=_mean([j.answer.cost_usd * 1000 for j in judged]),
    )


def record(module_id: str, measured: Row) -> None:
    """Keep the row: with the learner's progress while studying, beside the executed notebook in a run."""
    where = settings.load()
    if where.mode == "study":
        progress.record_scores(where, module_id, asdict(measured))
    elif where.mode == "run":
        path = where.runs_dir / module_id / "scoreboard.json"
        exporting.write_atomically(path, json.dumps(asdict(measured), indent=2) + "\n")


def load_rows() -> dict[str, dict[str, float | None]]:
    """The rows measured so far, in the modules' order: the learner's own, or those of the last runs."""
    where = settings.load()
    course = manifest.load(where.root)
    rows = progress.scores(where) if where.mode == "study" else {}
    for module in course.modules:
        path = where.runs_dir / module.id / "scoreboard.json"
        if where.mode != "study" and path.is_file():
            rows[module.id] = json.loads(path.read_text(encoding="utf-8"))
    return {module.id: rows[module.id] for module in course.modules if module.id in rows}


def table(rows: Mapping[str, Mapping[str, float | None]] | None = None) -> pd.DataFrame:
    """The scoreboard as a table, one row per module."""
    import pandas as pd

    names = {
        "recall_at_5": "recall@5",
        "ndcg_at_10": "nDCG@10",
        "answered_correctly": "answered correctly",
        "abstained_rightly": "abstained rightly",
        "p95_ms": "p95 ms",
        "usd_per_1000_questions": "USD / 1,000 questions",
    }
    measured = load_rows() if rows is None else rows
    cells = [[values[name] for name in names] for values in measured.values()]
    return pd.DataFrame(cells, index=list(measured), columns=list(names.values()))


def _contains(text: str, variant: str) -> bool:
    pattern = r"(?<!\w)" + r"\s+".join(map(re.escape, variant.split())) + r"(?!\w)"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _recall(ids: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    relevant = {doc for doc, grade in grades.items() if grade > 0}
    return len(relevant & set(ids[:k])) / len(relevant) if relevant else 0.0


def _ndcg(ids: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    gain = sum(grades.get(doc, 0) / math.log2(rank + 2) for rank, doc in enumerate(ids[:k]))
    best = sum(g / math.log2(rank + 2) for rank, g in enumerate(sorted(grades.values(), reverse=True)[:k]))
    return gain / best if best else 0.0

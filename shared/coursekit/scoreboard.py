"""The course's scoreboard: the system as it stands, measured on the golden questions, one row per module.

`questions` says on what, `judge` runs the system on them and judges the answers by their key facts, `row` sums up, `record`
keeps the row, and `table` shows all rows. Nothing here is typed by hand: a row exists only because a notebook has just
measured it. `course scoreboard` runs the notebooks on a whole split; `scoreboard_page` draws and writes what it found.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

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


_SPEAKER = re.compile(
    r"\b(i|we|(this|that|the|your) question|contexts?|documents?|documentation|passages?|sources?|excerpts?|text|information provided)\b",
    re.IGNORECASE,
)
_QUOTATION = re.compile(r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|`[^`\n]{1,300}`")
_SORRY = re.compile(
    r"\W*(?:(?:i(?:'m|’m| am) )?(?:very |so )?sorry|apologies|unfortunately|my apologies)\W*", re.IGNORECASE
)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]*_]*\s+|\n+")


SHARES = {
    "recall_at_5": "recall@5",
    "ndcg_at_10": "nDCG@10",
    "answered_correctly": "answered correctly",
    "abstained_rightly": "abstained rightly",
}
"""A row's shares, with the names that people read."""


@dataclass(frozen=True)
class Answer:
    """What the system under test gave back for one question.

    Attributes:
        text: the answer shown to the user.
        ranked_ids: retrieved document ids, best first.
        cost_usd: what the request cost.
        tokens: of all prompts and replies; 0 where nobody counted.
        stages_ms: milliseconds by stage of the pipeline, as `Stages` takes them.
    """

    text: str
    ranked_ids: Sequence[str]
    cost_usd: float
    tokens: int = 0
    stages_ms: Mapping[str, float] = field(default_factory=dict)


class Stages:
    """A stopwatch for one question: `with stages("retrieve"): …` adds to `stages.ms["retrieve"]`."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.ms[name] = self.ms.get(name, 0.0) + (time.perf_counter() - start) * 1000


@dataclass(frozen=True)
class Row:
    """One row of the scoreboard. Shares are in [0, 1]; None means that the module does not change or measure it.

    `intervals`: the 95 % bootstrap interval over questions of each share, by field. `stages_p95_ms`: by stage. `questions`:
    how many were asked, of which `split`.
    """

    recall_at_5: float | None
    ndcg_at_10: float | None
    answered_correctly: float | None
    abstained_rightly: float | None
    p95_ms: float | None
    usd_per_1000_questions: float | None
    tokens_per_question: float | None = None
    stages_p95_ms: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    questions: int = 0
    split: str = ""


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
    """Does `text` say that it cannot answer: in its first sentence, or in half of its words?

    Documents say such things too ("The event does not contain the tenant."), and an answer that repeats them abstains
    from nothing. So the sentence must speak of the speaker or of what was given to read, or else be the most of the
    answer; quotations do not count.

    >>> abstains("I don't know based on the context. It only covers billing, invoices and refunds.")
    True
    >>> abstains("Wait 15 minutes. If no information arrives by then, restart it.")
    False
    """
    said = _QUOTATION.sub(" ", text) if re.search(r"\w", _QUOTATION.sub(" ", text)) else text
    sentences = [part for part in _SENTENCE_END.split(said) if re.search(r"\w", part) and not _SORRY.fullmatch(part)]
    denying = [sentence for sentence in sentences if _ABSTENTIONS.search(sentence)]
    admitting = [sentence for sentence in denying if _SPEAKER.search(sentence)]
    if denying[:1] == sentences[:1]:
        return bool(denying) and (admitting[:1] == denying[:1] or _is_half(denying, sentences))
    return _is_half(admitting, sentences)


def _is_half(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether some sentences have half of the words of all."""
    return 2 * sum(len(text.split()) for text in part) >= sum(len(text.split()) for text in whole) > 0


def is_right(question: Question, text: str) -> bool:
    """Is `text` a right answer: every key fact and no known wrong one, or an abstention where this asker gets no answer?"""
    if not question.answerable:
        return abstains(text)
    misled = any(_contains(text, fact) for fact in question.wrong_facts)
    return not abstains(text) and states_key_facts(text, question.key_facts) and not misled


def questions(corpus: Corpus, per_category: int = 2) -> list[Question]:
    """The questions of a scoreboard row: a few dev questions of every category, or the whole split that
    `course scoreboard` asks for."""
    split = settings.load().scoreboard_split
    return list(corpus.questions(split) if split else corpus.sample(per_category=per_category, split="dev"))


def judge(ask: Callable[[Question], Answer], questions: Sequence[Question]) -> list[Judged]:
    """Ask every question and judge each answer: key facts where there is an answer, abstention where there is none.

    `ask` may use the question's text and whose it is (`text`, `history`, `asked_by`), nothing else of it.
    An answer that also states a known wrong fact (outdated, another service's, leaked) is wrong: nobody can tell which half to trust.
    """
    judged = []
    for question in questions:
        start = time.perf_counter()
        answer = ask(question)
        latency_ms = (time.perf_counter() - start) * 1000
        judged.append(Judged(question, answer, is_right(question, answer.text), latency_ms))
    return judged


def row(judged: Sequence[Judged], corpus: Corpus) -> Row:
    """The scoreboard row of one evaluation. p95 is over the questions asked."""
    from coursekit.corpus.baseline import resampling  # here, because grading imports this file and measures nothing

    answerable = [j for j in judged if j.question.answerable]
    ranked = [(j.answer.ranked_ids, corpus.qrels.get(j.question.id, {})) for j in answerable]
    shares = {
        "recall_at_5": [_recall(ids, grades, 5) for ids, grades in ranked],
        "ndcg_at_10": [_ndcg(ids, grades, 10) for ids, grades in ranked],
        "answered_correctly": [float(j.is_right) for j in answerable],
        "abstained_rightly": [float(j.is_right) for j in judged if not j.question.answerable],
    }
    found = {name: resampling.estimate(values) for name, values in shares.items() if values}
    stages = {name for j in judged for name in j.answer.stages_ms}
    splits = {j.question.split for j in judged}
    return Row(
        **{name: found[name].mean if name in found else None for name in shares},
        p95_ms=_p95([j.latency_ms for j in judged]),
        usd_per_1000_questions=_mean([j.answer.cost_usd * 1000 for j in judged]),
        tokens_per_question=_mean([j.answer.tokens for j in judged if j.answer.tokens]),
        stages_p95_ms={
            name: _p95([j.answer.stages_ms.get(name, 0.0) for j in judged]) or 0.0 for name in sorted(stages)
        },
        intervals={name: (estimate.low, estimate.high) for name, estimate in found.items()},
        questions=len(judged),
        split=splits.pop() if len(splits) == 1 else "",
    )


def record(module_id: str, measured: Row) -> None:
    """Keep the row: with the learner's progress while studying, beside the executed notebook in a run."""
    where = settings.load()
    if where.mode == "study":
        progress.record_scores(where, module_id, asdict(measured))
    elif where.mode == "run":
        path = where.runs_dir / module_id / "scoreboard.json"
        exporting.write_atomically(path, json.dumps(asdict(measured), indent=2) + "\n")


def load_rows() -> dict[str, dict[str, Any]]:
    """The rows measured so far, in the modules' order: the learner's own, or those of the last runs."""
    where = settings.load()
    return rows_of_runs(where) if where.mode != "study" else _ordered(where, progress.scores(where))


def rows_of_runs(where: settings.Settings) -> dict[str, dict[str, Any]]:
    """The rows that the last `course run` of each module has recorded, in the modules' order."""
    files = where.runs_dir.glob("*/scoreboard.json")
    return _ordered(where, {path.parent.name: json.loads(path.read_text(encoding="utf-8")) for path in files})


def _ordered(where: settings.Settings, rows: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {module.id: rows[module.id] for module in manifest.load(where.root).modules if module.id in rows}


def table(rows: Mapping[str, Mapping[str, Any]] | None = None) -> pd.DataFrame:
    """The scoreboard as a table, one row per module."""
    import pandas as pd

    names = SHARES | {"p95_ms": "p95 ms", "usd_per_1000_questions": "USD / 1,000 questions"}
    measured = load_rows() if rows is None else rows
    cells = [[values[name] for name in names] for values in measured.values()]
    return pd.DataFrame(cells, index=list(measured), columns=list(names.values()))


def _contains(text: str, variant: str) -> bool:
    pattern = r"(?<!\w)" + r"\s+".join(map(re.escape, variant.split())) + r"(?!\w)"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _p95(values: Sequence[float]) -> float | None:
    return float(np.percentile(values, 95)) if values else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _recall(ids: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    relevant = {doc for doc, grade in grades.items() if grade > 0}
    return len(relevant & set(ids[:k])) / len(relevant) if relevant else 0.0


def _ndcg(ids: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    gain = sum(grades.get(doc, 0) / math.log2(rank + 2) for rank, doc in enumerate(ids[:k]))
    best = sum(g / math.log2(rank + 2) for rank, g in enumerate(sorted(grades.values(), reverse=True)[:k]))
    return gain / best if best else 0.0

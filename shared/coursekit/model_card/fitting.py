"""Fit the judge's weights on the dev half of the judging exam: `python -m coursekit.model_card.fitting`.

Logistic regression over the signals of `simllm.skills.signals`, with a Gaussian prior and with signs: what speaks for an
answer may not count against it, so that a bias of the exam (near misses share many words) does not become the judge's.
Flags are believed from the start, the data may strengthen or weaken them. Cross-validation keeps all cases of one text
together. Answers of several claims are labelled as a whole; the labels of the claims of a "partly" are found by turns
(multiple-instance learning; Andrews et al. 2003). Prints the cross-validated shares and writes `simllm/skills/weights.py`.
"""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize  # type: ignore[import-untyped]

import simllm.skills
from coursekit.model_card.scoring import Case, load_cases
from simllm.embeddings import Embedder
from simllm.skills import signals
from simllm.skills.alignment import claims
from simllm.tokenizer import default_tokenizer

Floats = NDArray[np.float64]

STRENGTH = 2.0  # of the prior, against one nat per case
BELIEVED = -0.8  # prior weight of a flag, which is scaled by FLAG_SCALE
FLAG_SCALE = 0.3
FOLDS = 10
AGAINST = {"apart", "weak", "recall weak", "precision weak", "shorter", "longer", "common"}
FLAGS = {
    "number", "missing", "denied", "turned", "against", "mixed", "foreign", "negated", "universal", "condition", "yes no", "hedged",
    "recall number", "recall all numbers", "precision number", "precision all numbers",
}  # fmt: skip
FREE = {"length"}
LIMITS = {"common": -4.0}  # half of the question's words, as near misses have, may cost one nat, and no more
TARGET = Path(simllm.skills.__file__).parent / "weights.py"
HEADER = '''"""The judge's weights by reader and question: signal -> weight, "" is the constant.

Written by `python -m coursekit.model_card.fitting` from the dev half of the judging exam; do not edit.
"""

'''


@dataclass(frozen=True)
class Model:
    """Logistic regression on raw signals."""

    weights: Mapping[str, float]

    def logits(self, rows: Sequence[Mapping[str, float]]) -> Floats:
        """Above 0 means yes."""
        constant = self.weights[""]
        return np.array([constant + sum(self.weights.get(k, 0.0) * v for k, v in row.items()) for row in rows])


def fit(rows: Sequence[Mapping[str, float]], labels: Floats) -> Model:
    """The most probable weights under the prior and the signs."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    flags = np.array([name in FLAGS for name in names])
    centre = np.where(flags, 0.0, table.mean(axis=0))
    scale = np.where(flags, FLAG_SCALE, table.std(axis=0) + 1e-6)
    scaled = (table - centre) / scale
    prior = np.where(flags, BELIEVED, 0.0)
    bounds: list[tuple[float | None, float | None]] = [(None, None)]
    for name, width in zip(names, scale.tolist(), strict=True):
        if name in FREE:
            bounds.append((None, None))
        elif name in FLAGS | AGAINST:
            bounds.append((LIMITS[name] * width if name in LIMITS else None, 0.0))
        else:
            bounds.append((0.0, None))

    def loss(b: Floats) -> tuple[float, Floats]:
        logits = scaled @ b[1:] + b[0]
        pull = STRENGTH * (b[1:] - prior)
        error = 1 / (1 + np.exp(-logits)) - labels
        value = np.logaddexp(0, -(2 * labels - 1) * logits).sum() + (pull * (b[1:] - prior)).sum() / 2
        return float(value), np.concatenate([[error.sum()], scaled.T @ error + pull])

    found = minimize(loss, np.concatenate([[0.0], prior]), jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = found[1:] / scale
    constant = float(found[0] - weights @ centre)
    kept = {name: round(float(w), 3) for name, w in zip(names, weights, strict=True) if abs(w) > 0.005}
    return Model({"": round(constant, 3)} | kept)


@dataclass(frozen=True)
class Sample:
    """A case with the signals of each claim, one for the other rubrics."""

    group: str
    label: str
    rows: tuple[Mapping[str, float], ...]


def read_samples(embedder: Embedder | None) -> dict[str, list[Sample]]:
    """All dev cases by rubric, as one reader sees them."""
    found: dict[str, list[Sample]] = {"faithfulness": [], "relevance": [], "correctness": []}
    for case in load_cases("judging", "dev")[0]:
        group, rows = _signals(case, embedder)
        found[case["rubric"]].append(Sample(group, str(case["label"]), tuple(row.values for row in rows)))
    return found


def _signals(case: Case, embedder: Embedder | None) -> tuple[str, list[signals.Signals]]:
    if case["rubric"] == "faithfulness":
        return case["context"], [signals.of_claim(c, case["context"], embedder) for c in claims(case["answer"])]
    if case["rubric"] == "relevance":
        return case["question"], [signals.of_passage(case["question"], case["passage"], embedder)]
    of = signals.of_candidate(case.get("question") or "", case["reference"], case["candidate"], embedder)
    return case.get("question") or case["reference"], [of]


def fit_claims(samples: Sequence[Sample], rounds: int = 3) -> Model:
    """A model of single claims from labels of whole answers."""
    whole = [sample for sample in samples if sample.label != "partly"]
    rows = [row for sample in whole for row in sample.rows]
    labels = [float(sample.label == "supported") for sample in whole for _ in sample.rows]
    model = fit(rows, np.array(labels))
    for _ in range(rounds):
        more_rows, more_labels = list(rows), list(labels)
        for sample in samples:
            if sample.label == "partly" and len(sample.rows) > 1:
                logits = model.logits(sample.rows)
                guess = (logits > 0).astype(float)
                guess[np.argmax(logits)], guess[np.argmin(logits)] = 1.0, 0.0
                more_rows += sample.rows
                more_labels += guess.tolist()
        model = fit(more_rows, np.array(more_labels))
    return model


def fit_rubric(rubric: str, samples: Sequence[Sample]) -> dict[str, Model]:
    """The models of one rubric by name; correctness has two: wholly right, and right in part at least."""
    if rubric == "faithfulness":
        return {"claim": fit_claims(samples)}
    rows = [sample.rows[0] for sample in samples]
    if rubric == "relevance":
        return {"passage": fit(rows, np.array([float(s.label == "relevant") for s in samples]))}
    return {
        "right": fit(rows, np.array([float(s.label == "correct") for s in samples])),
        "partly": fit(rows, np.array([float(s.label != "incorrect") for s in samples])),
    }


def verdict(rubric: str, models: Mapping[str, Model], sample: Sample) -> str:
    """The label that the models give a case."""
    if rubric == "correctness":
        right, partly = (models[name].logits(sample.rows)[0] > 0 for name in ("right", "partly"))
        return "correct" if right else "partly" if partly else "incorrect"
    good = next(iter(models.values())).logits(sample.rows) > 0
    if rubric == "relevance":
        return "relevant" if good.all() else "not"
    return "supported" if good.all() else "partly" if good.any() else "unsupported"


def cross_validated(rubric: str, samples: Sequence[Sample], seed: int = 0) -> float:
    """Share of right labels on held-out texts."""
    groups = sorted({sample.group for sample in samples})
    np.random.default_rng(seed).shuffle(groups)
    fold = {group: i % FOLDS for i, group in enumerate(groups)}
    right = 0
    for k in range(FOLDS):
        models = fit_rubric(rubric, [sample for sample in samples if fold[sample.group] != k])
        held_out = [sample for sample in samples if fold[sample.group] == k]
        right += sum(verdict(rubric, models, sample) == sample.label for sample in held_out)
    return right / len(samples)


def main() -> None:
    """Fit, print, write."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for reader, embedder in (("meaning", Embedder(default_tokenizer())), ("words", None)):
        by_rubric = read_samples(embedder)
        found[reader] = {}
        for rubric, samples in by_rubric.items():
            shares = [cross_validated(rubric, samples, seed) for seed in range(3)]
            print(f"{reader:8} {rubric:13} cross-validated {np.mean(shares):.3f}, {len(samples)} cases")
            found[reader] |= {name: dict(model.weights) for name, model in fit_rubric(rubric, samples).items()}
    body = pprint.pformat(found, width=110, sort_dicts=False).replace("'", '"')
    TARGET.write_text(f"{HEADER}WEIGHTS: dict[str, dict[str, dict[str, float]]] = {body}\n", encoding="utf-8")


if __name__ == "__main__":
    main()

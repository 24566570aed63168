"""What tools were asked and answered in earlier turns: arguments to use again, and values that a later question wants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from simllm.embeddings import Embedder
from simllm.skills.fields import split_name
from simllm.skills.results import Answered, Leaf, from_results, nothing_found
from simllm.skills.statements import sentence_of
from simllm.skills.toolchoice import FIT_SHARE, Ranked, fitness
from simllm.skills.words import stem, terms

REFERS_BACK = re.compile(
    r"\b(?:it|its|that|this|them|those|these|same|again|he|she|they|him|her)\b|\b(?:the|my|our) [a-z]+\b", re.I
)
_SAME_NAME, _NAMED_ALIKE = 0.9, 0.8  # how sure an argument is that an earlier call or result had
_LEAST_FIT = 1.3
_WANTED_KEYS = (
    (r"\bhow long\b|\bduration\b", "days day hours hour minutes duration length nights weeks months seconds"),
    (r"\bwhen\b|\bwhat (?:day|date|time)\b|\bsince\b|\buntil\b", "date time day start end due eta at pickup arrival until when"),
    (r"\bhow much\b|\bcosts?\b|\bpric\w+|\bpay\b", "price total cost amount sum fee refund balance eur usd gbp chf"),
    (r"\bhow many\b", "count quantity number stock available amount left total"),
    (r"\bwhere\b", "location place city address station depot room"),
    (r"\bwho(?:se|m)?\b", "customer name owner user author guest assignee person contact"),
)  # fmt: skip
BY_KEY, BY_WORDS, LEAST = 0.6, 0.5, 0.35


def with_earlier(ranked: Ranked, need: str, earlier: Sequence[Answered]) -> Ranked:
    """The same tool with what the need lacks and refers back to: an argument of an earlier call, or a value of its result."""
    lacking = ranked.filling.missing
    if not lacking or not earlier or not REFERS_BACK.search(need):
        return ranked
    filling = ranked.filling
    for field in lacking:
        if field.wants in ("text", "date", "time"):
            continue
        old = next((call.arguments[field.name] for call in reversed(earlier) if field.name in call.arguments), None)
        fit, told = from_results(field, earlier, need)
        value, score = (old, _SAME_NAME) if isinstance(old, str | int) else (told, _NAMED_ALIKE)
        if value is None or value is told and fit < _LEAST_FIT:
            continue
        filling = replace(
            filling,
            values={**filling.values, field.path: value},
            scores={**filling.scores, field.path: score},
            missing=[other for other in filling.missing if other is not field],
        )
    gain = FIT_SHARE * (fitness(filling) - fitness(ranked.filling))
    return replace(ranked, filling=filling, score=ranked.score + gain)


def told_earlier(need: str, earlier: Sequence[Answered], embedder: Embedder | None) -> str | None:
    """The values of earlier results that a question asks for; None where there is no result to read from."""
    good = [
        call for call in earlier if isinstance(call.data, dict | list) and not call.error and not nothing_found(call)
    ]
    if not good or not need.rstrip(" !.").endswith("?"):
        return None
    for call in reversed(good):
        found = [leaf for leaf in call.leaves if leaf.value not in (None, "")]
        scores = _scores(need, found, embedder)
        best = max(scores, default=0.0)
        if best >= LEAST:
            return sentence_of([leaf for leaf, score in zip(found, scores, strict=True) if score >= best - 1e-6])
    return "The results so far do not tell that."


def _scores(need: str, found: Sequence[Leaf], embedder: Embedder | None) -> list[float]:
    """How much a question asks for each value: by the words of its key, the kind of thing it wants, and meaning."""
    wanted = set(terms(need))
    kinds = [set(keys.split()) for pattern, keys in _WANTED_KEYS if re.search(pattern, need, re.I)]
    names = [list(split_name(leaf.key)) for leaf in found]
    scores = [
        BY_WORDS * len({stem(part) for part in parts} & wanted)
        + BY_KEY * any(part in keys for keys in kinds for part in parts)
        for parts in names
    ]
    if embedder is None or not found:
        return scores
    vectors = embedder.embed([need, *(" ".join(parts) or "result" for parts in names)])
    return [score + 0.5 * max(0.0, float(v @ vectors[0])) for score, v in zip(scores, vectors[1:], strict=True)]

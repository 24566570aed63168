"""The rules of the verdict about waits: when did a client ask again?

Sources: RFC 9110 for `Retry-After`; Marc Brooker, "Exponential Backoff and Jitter" (AWS, 2015). Waits are measured
from the end of one attempt to the arrival of the next. Simulated clients with exponential backoff and random waits
(equal or full jitter, the `openai` library's own) are found guilty in fewer than 2 of 100 runs of a few chains.
"""

from __future__ import annotations

from statistics import median

from simllm.history import Chain, Finding, History, Limits, gap_ms, numbers_of
from simllm.journal import Entry

_EARLY_MS = 2.0  # a retry may be so much too early: clocks and rounding
_SAME_GAP = 1.25  # the longest of several waits over the shortest, when they count as constant
_MANY = 10  # chains before waits that vary are compared
_JITTER_MS, _JITTER_SHARE = 1.0, 0.02  # waits closer together than this have no jitter


def ignored_retry_after(story: History, limits: Limits) -> Finding | None:
    """Asked again before the time that the server had named."""
    early = [
        (after, before.retry_after_ms - gap_ms(before, after))
        for chain in story.chains
        for before, after in chain.retries
        if before.retry_after_ms is not None and gap_ms(before, after) < before.retry_after_ms - _EARLY_MS
    ]
    if not early:
        return None
    return Finding(
        "ignored_retry_after",
        numbers_of(entry for entry, _ in early),
        {"times": len(early), "early_ms": round(max(ms for _, ms in early), 1)},
        "the server said when it can answer again; asking sooner fails again and may extend the limit",
        "wait at least retry-after-ms, or else retry-after, before the next attempt",
    )


def no_backoff(story: History, limits: Limits) -> Finding | None:
    """Waits between attempts that are tiny, or do not grow. Waits that the server dictated do not count."""
    judged = [(chain, gaps) for chain in story.chains if len(gaps := _own_gaps(chain)) >= 2]
    longer = [(chain, gaps) for chain, gaps in judged if len(gaps) >= 3]
    hasty = [(chain, gaps) for chain, gaps in judged if max(gaps) < limits.tiny_gap_ms]
    constant = [(chain, gaps) for chain, gaps in longer if max(gaps) <= _SAME_GAP * min(gaps)]
    if 2 * len(hasty) > len(judged):
        guilty = hasty
    elif 2 * len(constant) > len(longer):
        guilty = constant
    elif len(longer) >= _MANY and median(g[-1] for _, g in longer) <= _SAME_GAP * median(g[0] for _, g in longer):
        guilty = longer  # each chain varies, but over all of them the last wait is no longer than the first
    else:
        return None
    gaps = [gap for _, found in guilty for gap in found]
    return Finding(
        "no_backoff",
        numbers_of(entry for chain, _ in guilty for entry in chain.attempts[1:]),
        {"chains": len(guilty), "shortest_ms": round(min(gaps), 1), "longest_ms": round(max(gaps), 1)},
        "a failing server gets no air to recover, and a client uses up its attempts within moments",
        "let the wait grow with each attempt (exponential backoff), up to a cap",
    )


def no_jitter(story: History, limits: Limits) -> Finding | None:
    """The same wait in three or more chains. Waits that the server dictated do not count."""
    by_turn: dict[int, list[tuple[Entry, float]]] = {}
    for chain in story.chains:
        for turn, (before, after) in enumerate(chain.retries):
            if before.retry_after_ms is None and gap_ms(before, after) >= limits.tiny_gap_ms:
                by_turn.setdefault(turn, []).append((after, gap_ms(before, after)))
    turns = [found for found in by_turn.values() if len(found) >= 3]
    if not turns or not all(_alike([gap for _, gap in found]) for found in turns):
        return None
    gaps = [gap for _, gap in turns[0]]
    return Finding(
        "no_jitter",
        numbers_of(entry for entry, _ in turns[0]),
        {"chains": len(gaps), "gap_ms": round(median(gaps), 1), "spread_ms": round(max(gaps) - min(gaps), 2)},
        "clients that failed together retry together, and the server meets the same peak again",
        "draw each wait at random, e.g. between 0 and the backoff (full jitter)",
    )


def _own_gaps(chain: Chain) -> list[float]:
    return [gap_ms(before, after) for before, after in chain.retries if before.retry_after_ms is None]


def _alike(gaps: list[float]) -> bool:
    """Whether four of five waits lie around their median."""
    middle = median(gaps)
    room = max(_JITTER_MS, _JITTER_SHARE * middle) / 2
    near = sum(abs(gap - middle) <= room for gap in gaps)
    return near >= 3 and near >= 0.8 * len(gaps)

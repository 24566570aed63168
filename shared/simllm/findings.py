"""The rules of the verdict: one function, one fault of a client; those about waits are in `pacing`.

Each takes the client's history and the limits and returns a finding or None. Sources: the chapters "Handling
Overload" and "Addressing Cascading Failures" of Google's SRE book (2016); RFC 9110 for the status codes.
"""

from __future__ import annotations

from simllm.history import MAY_RETRY, Finding, History, Limits, Rule, failed, may_retry, numbers_of
from simllm.journal import Entry
from simllm.pacing import ignored_retry_after, no_backoff, no_jitter


def retried_non_retryable(story: History, limits: Limits) -> Finding | None:
    """Sent the same request again after an answer that cannot change."""
    again = [
        (before, after)
        for chain in story.chains
        for before, after in chain.retries
        if before.status >= 400 and not may_retry(before)
    ]
    if not again:
        return None
    return Finding(
        "retried_non_retryable",
        numbers_of(after for _, after in again),
        {"times": len(again), "status": again[0][0].status},
        "the same request gets the same refusal: money, quota and time are gone for nothing",
        "retry 408, 409, 429 and 5xx only, and no 429 whose code is insufficient_quota",
    )


def retry_storm(story: History, limits: Limits) -> Finding | None:
    """Too many attempts of one request, or too many retries overall."""
    worst: list[Entry] = []
    for chain in story.chains:
        worst = max(worst, _busiest(chain.attempts, limits.window_s * 1000), key=len)
    retries = sum(len(chain.retries) for chain in story.chains)
    ratio = retries / max(1, len(story.chains))
    too_many = len(worst) > limits.max_attempts
    if not too_many and (len(story.chains) < limits.min_requests or ratio <= limits.max_retry_ratio):
        return None
    retried = (after for chain in story.chains for _, after in chain.retries)
    return Finding(
        "retry_storm",
        numbers_of(worst if too_many else retried),
        {"attempts": len(worst), "retries": retries, "retry_ratio": round(ratio, 3)},
        "retries multiply the load on a server that is already failing, and keep it down",
        "cap the attempts of a request, give the whole client a retry budget, and stop asking after many failures",
    )


def gave_up_early(story: History, limits: Limits) -> Finding | None:
    """Never asked again although the server had said when; a fallback looks the same, so this is a hint."""
    lost = [
        chain.attempts[0]
        for chain in story.chains
        if len(chain.attempts) == 1 and chain.attempts[0].status in MAY_RETRY and may_retry(chain.attempts[0])
        if chain.attempts[0].retry_after_ms is not None or chain.attempts[0].should_retry
    ]
    if not lost:
        return None
    return Finding(
        "gave_up_early",
        numbers_of(lost),
        {"requests": len(lost), "status": lost[0].status},
        "the server named a time after which it can answer; the user got an error for nothing",
        "retry after the named time if the deadline allows it, or fall back on purpose",
        certain=False,
    )


def accepted_truncated(story: History, limits: Limits) -> Finding | None:
    """Used a reply that was cut short. Certain when the client reported it; else it only never asked again."""
    short = [chain.attempts[-1] for chain in story.chains if chain.attempts[-1].outcome == "short"]
    used = [entry for entry in story.entries if entry.accepted and entry.outcome in ("short", "corrupt", "broken")]
    shown = used or [entry for entry in short if entry.stream]
    if not shown:
        return None
    return Finding(
        "accepted_truncated",
        numbers_of(shown),
        {"replies": len(shown), "reported": len(used)},
        "a stream that ends without finish_reason is half a reply, and no exception says so",
        "treat a stream as failed unless a chunk brought a finish_reason; discard and ask again",
        certain=bool(used),
    )


def no_timeout(story: History, limits: Limits) -> Finding | None:
    """Listened to silence until the server ended it."""
    patient = [entry for entry in story.entries if entry.silent_ms >= limits.silence_ms and entry.left_ms is None]
    if not patient:
        return None
    timeouts = [entry.read_timeout_s for entry in patient if entry.read_timeout_s is not None]
    said = {"stated_timeout_s": max(timeouts)} if timeouts else {}
    return Finding(
        "no_timeout",
        numbers_of(patient),
        {"requests": len(patient), "silent_ms": round(max(entry.silent_ms for entry in patient), 1)} | said,
        "a connection that says nothing holds a worker; enough of them hold them all",
        "set a read timeout that fits the work (the openai library's default is ten minutes)",
    )


def read_past_deadline(story: History, limits: Limits) -> Finding | None:
    """Kept reading a reply that came in slowly, piece by piece."""
    late = [
        entry
        for entry in story.entries
        if entry.stream and (entry.ended_ms or 0.0) >= limits.deadline_ms and entry.silent_ms < limits.silence_ms
    ]
    if not late:
        return None
    return Finding(
        "read_past_deadline",
        numbers_of(late),
        {
            "replies": len(late),
            "took_ms": round(max(entry.ended_ms or 0.0 for entry in late), 1),
            "longest_silence_ms": round(max(entry.silent_ms for entry in late), 1),
        },
        "a timeout per read starts anew with every byte, so a trickle outlives it for ever",
        "give the whole reply a deadline, e.g. asyncio.timeout around the loop over the chunks",
    )


def hammered_deprecated_model(story: History, limits: Limits) -> Finding | None:
    """Kept asking for a model after the answer that it is gone."""
    gone_at: dict[str, float] = {}
    again: list[Entry] = []
    for entry in story.entries:
        if entry.model is None:
            continue
        if entry.at_ms >= gone_at.get(entry.model, float("inf")) and failed(entry):
            again.append(entry)
        if entry.status == 404 and entry.error_code == "model_not_found":
            gone_at.setdefault(entry.model, entry.at_ms + (entry.ended_ms or 0.0))
    if len(again) <= limits.deprecated_tries:
        return None
    return Finding(
        "hammered_deprecated_model",
        numbers_of(again),
        {"requests": len(again)},
        "a model that was switched off does not come back; every request for it is lost",
        "on 404 model_not_found switch to a configured successor once, for all requests, and raise an alarm",
    )


RULES: tuple[Rule, ...] = (
    ignored_retry_after,
    retried_non_retryable,
    retry_storm,
    no_backoff,
    no_jitter,
    no_timeout,
    read_past_deadline,
    hammered_deprecated_model,
    accepted_truncated,
    gave_up_early,
)


def _busiest(attempts: list[Entry], window_ms: float) -> list[Entry]:
    """The most attempts that lie within one window."""
    best: list[Entry] = []
    first = 0
    for last, entry in enumerate(attempts):
        while entry.at_ms - attempts[first].at_ms > window_ms:
            first += 1
        if last - first + 1 > len(best):
            best = attempts[first : last + 1]
    return best

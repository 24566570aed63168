"""What the rules of the verdict work on: a client's requests sorted into chains, the limits, and a finding.

A retry is a request with the digest of an earlier one that failed and was over before it arrived; a chain is a first
attempt with its retries. Pure functions over journal entries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from simllm.journal import Entry

NEVER_RETRY = (400, 401, 403, 404, 405, 413, 422)
_NOTICE_MS = 50.0  # a client that leaves and asks again may arrive before its leaving is noticed
MAY_RETRY = (408, 409, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Limits:
    """What is still reasonable.

    Attributes:
        max_attempts: of one request within `window_s`. SRE at Google stop after three ("Handling Overload", 2016).
        window_s: seconds.
        max_retry_ratio: retries for each first attempt over the whole client; the same chapter budgets 0.1.
        min_requests: first attempts before the ratio is judged.
        tiny_gap_ms: a wait shorter than this is no wait.
        silence_ms: how long a client may listen to nothing.
        deadline_ms: how long a client may read a reply that trickles in.
        deprecated_tries: requests for a model after the first answer that it is gone.

    Raises:
        ValueError: a value is not a number above 0.
    """

    max_attempts: int = 5
    window_s: float = 60.0
    max_retry_ratio: float = 0.5
    min_requests: int = 10
    tiny_gap_ms: float = 10.0
    silence_ms: float = 10_000.0
    deadline_ms: float = 30_000.0
    deprecated_tries: int = 1

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"{name} is {value!r}; it must be a number above 0")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Limits:
        """Build limits from JSON or a query string.

        Raises:
            ValueError: an unknown name or a bad value.
        """
        names = [item.name for item in fields(cls)]
        unknown = sorted(set(data) - set(names))
        if unknown:
            raise ValueError(f"unknown limit {unknown[0]!r}; the limits are {', '.join(names)}")
        values = {}
        for name, value in data.items():
            try:
                values[name] = float(value)
            except (TypeError, ValueError):
                raise ValueError(f"{name} is {value!r}; it must be a number above 0") from None
        return cls(**values)  # type: ignore[arg-type]  # whole numbers may come as floats


@dataclass(frozen=True)
class Finding:
    """One thing that the client does wrong.

    Attributes:
        name: the rule, e.g. "ignored_retry_after".
        entries: numbers of the journal entries that show it.
        numbers: the measured values, by name with unit.
        why: why it matters.
        fix: what to do.
        certain: False: a hint, which the server alone cannot prove.
    """

    name: str
    entries: tuple[int, ...]
    numbers: dict[str, float]
    why: str
    fix: str
    certain: bool = True

    def __str__(self) -> str:
        shown = ", ".join(f"#{n}" for n in self.entries[:8]) + (" …" if len(self.entries) > 8 else "")
        numbers = ", ".join(f"{name} {value:g}" for name, value in self.numbers.items())
        mark = "" if self.certain else " (hint)"
        return f"{self.name}{mark}\n  seen  requests {shown}: {numbers}\n  why   {self.why}\n  try   {self.fix}"


@dataclass
class Chain:
    """A first attempt and its retries, in order of arrival."""

    attempts: list[Entry] = field(default_factory=list)

    @property
    def retries(self) -> list[tuple[Entry, Entry]]:
        """Each retry with the attempt before it."""
        return list(zip(self.attempts, self.attempts[1:], strict=False))


@dataclass(frozen=True)
class History:
    """A client's entries, and the chains in them."""

    entries: tuple[Entry, ...]
    chains: tuple[Chain, ...]


Rule = Callable[[History, Limits], Finding | None]


def failed(entry: Entry) -> bool:
    """Whether the client got no good reply: an error, a cut connection, a broken body, or it left before the end."""
    return entry.status == 0 or entry.status >= 400 or entry.outcome in ("short", "corrupt", "broken", "left")


def may_retry(entry: Entry) -> bool:
    """Whether asking again can help. `x-should-retry` decides where it was sent."""
    if entry.should_retry is not None:
        return entry.should_retry
    return entry.status not in NEVER_RETRY and entry.error_code != "insufficient_quota"


def gap_ms(before: Entry, after: Entry) -> float:
    """Milliseconds from the end of one attempt to the arrival of the next."""
    return max(0.0, after.at_ms - _end_ms(before))


def numbers_of(entries: Iterable[Entry]) -> tuple[int, ...]:
    """The entries as a finding names them."""
    return tuple(entry.number for entry in entries)


def history(entries: Sequence[Entry | Mapping[str, Any]]) -> History:
    """Sort entries into chains.

    An attempt continues the failed one of its digest that has been over for the longest. Where the same request is
    sent by several workers at once this may pair two of them; it makes waits look longer, never shorter.
    """
    read = tuple(entry if isinstance(entry, Entry) else Entry(**entry) for entry in entries)
    chains: list[Chain] = []
    waiting: dict[str, list[Chain]] = {}
    for entry in read:
        candidates = waiting.setdefault(entry.digest, [])
        over = [chain for chain in candidates if _continues(chain.attempts[-1], entry)]
        chain = min(over, key=lambda chain: _end_ms(chain.attempts[-1]), default=None)
        if chain is None:
            chain = Chain()
            chains.append(chain)
            candidates.append(chain)
        chain.attempts.append(entry)
        if not failed(entry) and entry.outcome != "pending":
            candidates.remove(chain)
    return History(read, tuple(chains))


def _continues(before: Entry, after: Entry) -> bool:
    if not failed(before) or before.ended_ms is None:
        return False
    notice_ms = _NOTICE_MS if before.outcome == "left" else 0.0
    return _end_ms(before) - notice_ms <= after.at_ms


def _end_ms(entry: Entry) -> float:
    return entry.at_ms + (entry.ended_ms or 0.0)

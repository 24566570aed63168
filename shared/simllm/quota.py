"""Requests and tokens per minute: a token bucket per client, and the headers and errors of the real API.

The bucket (RFC 2697's idea: it fills at a steady rate up to its size) explains the waits that users of the real API
quote: "Limit 10000, Used 8554, Requested 3082. Please try again in 9.816s" is (8554 + 3082 - 10000) / 10000 minutes.
A request is charged on arrival with an estimate: a quarter of its characters plus `max_tokens` for each choice (16
when it names none), as OpenAI's cookbook script `api_request_parallel_processor.py` reckons; the real API does not
publish its own formula. The estimate is never corrected afterwards. A request that is refused for its tokens has
still used up a request.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from simllm.errors import ApiError
from simllm.recent import Recent

DEFAULT_MAX_TOKENS = 16
CHARACTERS_PER_TOKEN = 4
ORGANIZATION = "org-simllm"  # the real texts name one
_EPSILON = 1e-9


@dataclass(frozen=True)
class Quota:
    """A client's allowance.

    Attributes:
        requests_per_minute: None: as many as it likes.
        tokens_per_minute: None: as many as it likes.
        burst: requests that a rested client may send at once; None: a whole minute's. The real API is known to
            enforce 60 a minute as one a second: that is burst=1.

    Raises:
        ValueError: a value is below 1; the message names it.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    burst: int | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} is {value!r}; it must be a whole number from 1, or left out")
        if self.burst is not None and self.requests_per_minute is None:
            raise ValueError("burst needs requests_per_minute: it is how many of them may come at once")

    @classmethod
    def from_dict(cls, data: object) -> Quota:
        """Build a quota from JSON.

        Raises:
            ValueError: not an object, an unknown field, or a bad value.
        """
        names = [item.name for item in fields(cls)]
        if not isinstance(data, Mapping):
            raise ValueError(f"a quota is an object with {', '.join(names)}")
        unknown = sorted(str(name) for name in data if name not in names)
        if unknown:
            raise ValueError(f"unknown quota field {unknown[0]!r}; the fields are {', '.join(names)}")
        return cls(**data)


class TokenBucket:
    """Fills at `per_minute` up to `size`; starts full. Times in seconds."""

    def __init__(self, per_minute: float, size: float, now: float) -> None:
        self.size = size
        self._per_second = per_minute / 60
        self._level = size
        self._at = now

    def level(self, now: float) -> float:
        """What is in it."""
        self._level = min(self.size, self._level + max(0.0, now - self._at) * self._per_second)
        self._at = now
        return self._level

    def take(self, amount: float, now: float) -> float:
        """Take `amount` out and return 0, or leave it all in and return the seconds until there is enough.

        More than the bucket's size never comes: infinity.
        """
        level = self.level(now)
        if amount <= level + _EPSILON:
            self._level = max(0.0, level - amount)
            return 0.0
        return math.inf if amount > self.size else (amount - level) / self._per_second

    def until_full(self, now: float) -> float:
        """Seconds until it is full again."""
        return (self.size - self.level(now)) / self._per_second


@dataclass
class _Account:
    quota: Quota
    requests: TokenBucket | None
    tokens: TokenBucket | None


class QuotaBoard:
    """The buckets of every client; safe to use from several threads.

    Args:
        default: what a client has unless it was given its own; None: no limit.
        clock: seconds; a test may bring its own.
    """

    def __init__(self, default: Quota | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._default = default
        self._clock = clock
        self._accounts: Recent[_Account | None] = Recent(lambda: None)
        self._lock = threading.Lock()

    def set(self, client: str, quota: Quota) -> None:
        """Give a client its own allowance, with full buckets."""
        now = self._clock()
        rpm, tpm = quota.requests_per_minute, quota.tokens_per_minute
        requests = TokenBucket(rpm, quota.burst or rpm, now) if rpm else None
        tokens = TokenBucket(tpm, tpm, now) if tpm else None
        with self._lock:
            self._accounts[client] = _Account(quota, requests, tokens)

    def clear(self, client: str) -> None:
        """Back to the default, with full buckets."""
        with self._lock:
            self._accounts.drop(client)

    def of(self, client: str) -> Quota | None:
        """A client's allowance."""
        with self._lock:
            account = self._accounts.find(client)
        return account.quota if account else self._default

    def admit(self, client: str, data: Mapping[str, Any], *, embedding: bool = False) -> dict[str, str]:
        """Charge a request and return its `x-ratelimit-*` headers; an `embedding` has no reply to charge for.

        Raises:
            ApiError: 429 `rate_limit_exceeded`, with `retry-after` and `retry-after-ms`.
        """
        if self._default is not None and client not in self._accounts:
            self.set(client, self._default)
        with self._lock:
            account = self._accounts.find(client)
            return self._charge(account, data, estimate(data, embedding=embedding)) if account else {}

    def _charge(self, account: _Account, data: Mapping[str, Any], tokens: int) -> dict[str, str]:
        now = self._clock()
        model = data.get("model") if isinstance(data.get("model"), str) else None
        headers: dict[str, str] = {}
        refused: ApiError | None = None
        for of, bucket, amount in (("requests", account.requests, 1), ("tokens", account.tokens, tokens)):
            if bucket is None:
                continue
            limit = account.quota.requests_per_minute if of == "requests" else account.quota.tokens_per_minute
            wait_s = 0.0 if refused else bucket.take(amount, now)
            if wait_s:
                used = math.ceil((limit or 0) - bucket.level(now))  # of the minute's, also where a burst is smaller
                refused = _refusal(model, of, limit or 0, used, amount, wait_s)
            headers |= limit_headers(of, limit or 0, math.floor(bucket.level(now)), bucket.until_full(now))
        if refused:
            refused.headers |= headers
            raise refused
        return headers


def estimate(data: Mapping[str, Any], *, embedding: bool = False) -> int:
    """Tokens that a request is charged with: a quarter of its characters plus the longest reply it allows."""
    texts = (data.get("messages"), data.get("input"), data.get("instructions"))
    prompt = -(-sum(map(_characters, texts)) // CHARACTERS_PER_TOKEN)
    if embedding:
        return prompt
    asked = next(
        (data[n] for n in ("max_completion_tokens", "max_tokens", "max_output_tokens") if _count(data, n)), None
    )
    choices = data["n"] if _count(data, "n") else 1
    return int(prompt + choices * (asked or DEFAULT_MAX_TOKENS))


def _count(data: Mapping[str, Any], name: str) -> bool:
    value = data.get(name)
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _characters(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(CHARACTERS_PER_TOKEN if isinstance(item, int) else _characters(item) for item in value)
    if isinstance(value, Mapping):
        return sum(_characters(item) for name, item in value.items() if name in ("content", "text", "output"))
    return 0


def limit_headers(of: str, limit: int, remaining: int, reset_s: float) -> dict[str, str]:
    """`x-ratelimit-*` for "requests" or "tokens"; the reset is the time until the bucket is full again."""
    return {
        f"x-ratelimit-limit-{of}": str(limit),
        f"x-ratelimit-remaining-{of}": str(remaining),
        f"x-ratelimit-reset-{of}": duration(reset_s),
    }


def duration(seconds: float) -> str:
    """Seconds as the real API's headers write them.

    >>> [duration(x) for x in (0, 0.012, 1, 7.66, 360, 3725.5)]
    ['0s', '12ms', '1s', '7.66s', '6m0s', '1h2m5.5s']
    """
    ms = math.ceil(round(seconds * 1000, 3))
    if 0 < ms < 1000:
        return f"{ms}ms"
    hours, minutes = ms // 3_600_000, ms // 60_000 % 60
    rest = f"{ms % 60_000 / 1000:.3f}".rstrip("0").rstrip(".")
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{rest}s"


def rate_limit_message(
    model: str | None, of: str, limit: int, used: int, requested: int, retry_after_ms: float | None
) -> str:
    """The text of a 429, as users of the real API quote it."""
    short = {"requests": "requests per min (RPM)", "tokens": "tokens per min (TPM)"}[of]
    who = f"{model or 'this client'} in organization {ORGANIZATION}"
    message = f"Rate limit reached for {who} on {short}: Limit {limit}, Used {used}, Requested {requested}."
    return message if retry_after_ms is None else f"{message} Please try again in {duration(retry_after_ms / 1000)}."


def _refusal(model: str | None, of: str, limit: int, used: int, requested: int, wait_s: float) -> ApiError:
    if math.isinf(wait_s):
        message = (
            f"Request too large for {model or 'this client'} in organization {ORGANIZATION} on tokens per min (TPM): "
            f"Limit {limit}, Requested {requested}. The input or output tokens must be reduced in order to run successfully."
        )
        return ApiError(429, message, type=of, code="rate_limit_exceeded")
    wait_ms = math.ceil(wait_s * 1000)
    headers = {"retry-after-ms": str(wait_ms), "retry-after": str(math.ceil(wait_s))}
    message = rate_limit_message(model, of, limit, used, requested, wait_ms)
    return ApiError(429, message, type=of, code="rate_limit_exceeded", headers=headers)

"""Prompt caching: which start of a prompt was seen before.

Rules of the public prompt-caching guide: only prefixes of at least 1,024 tokens, in steps of 128, exact to the
token, kept per customer (here: per API key) and per model for a while. "A while" is counted in the client's own
requests instead of minutes, so that a run repeats. Nothing is sped up: only `cached_tokens` and the bill change.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence

import numpy as np

from simllm.recent import Recent

SHORTEST = 1_024  # tokens
STEP = 128  # tokens
REMEMBERED = 64  # requests of the same client after which an unused prefix is forgotten


class PrefixCache:
    """Remembers the prefixes of every client; safe to use from several threads."""

    def __init__(self) -> None:
        self._seen: Recent[dict[bytes, int]] = Recent(dict)
        self._requests: Recent[int] = Recent(int)
        self._lock = threading.Lock()

    def cached_tokens(self, client: str, model: str, tokens: Sequence[int]) -> int:
        """How much of a prompt is known from earlier requests; it is known from now on.

        Args:
            client: whose memory to use.
            model: prefixes are not shared between models.
            tokens: the whole prompt.

        Returns:
            0, or 1,024 plus a multiple of 128 and never more than the prompt is long.
        """
        prefixes = list(_prefixes(model, tokens))
        with self._lock:
            now = self._requests[client] = self._requests[client] + 1
            seen = self._seen[client]
            for key in [key for key, last in seen.items() if now - last > REMEMBERED]:
                del seen[key]
            known = max((length for length, key in prefixes if key in seen), default=0)
            seen.update((key, now) for _, key in prefixes)
            return known

    def forget(self, client: str) -> None:
        """Drop a client's prefixes."""
        with self._lock:
            self._seen.drop(client)
            self._requests.drop(client)


def _prefixes(model: str, tokens: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """(length, key) of every prefix that can be cached, shortest first."""
    if len(tokens) < SHORTEST:
        return
    data = np.asarray(tokens, dtype=np.int32)
    digest = hashlib.blake2b(model.encode(), digest_size=16)
    start = 0
    for length in range(SHORTEST, len(tokens) + 1, STEP):
        digest.update(data[start:length].tobytes())
        start = length
        yield length, digest.digest()

"""A small client for the server's admin routes, for notebooks, benchmarks and tests.

Standard library only. It scripts faults and reads the journal of one client key at a time, so that exercises
running side by side on one server do not disturb each other.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from simllm.errors import SimError
from simllm.faults import Fault
from simllm.history import Limits
from simllm.quota import Quota
from simllm.verdict import Verdict

_TIMEOUT_S = 10.0


class Bench:
    """Scripts a running server.

    Args:
        base_url: the server's `base_url`, with or without `/v1`.
        api_key: the server's own key, when it was given one; client keys are then derived from it.
        admin_key: what its admin routes ask for, when they do.
    """

    def __init__(self, base_url: str, api_key: str | None = None, *, admin_key: str | None = None) -> None:
        self.root = base_url.rstrip("/").removesuffix("/v1")
        self._api_key = api_key
        self._admin_key = admin_key
        self._opener = build_opener(ProxyHandler({}))  # loopback: never through a proxy

    def client_key(self, label: str) -> str:
        """A fresh API key, unknown to any other client: its own faults, its own journal."""
        name = f"{label}-{uuid.uuid4().hex[:12]}"
        return f"{self._api_key}.{name}" if self._api_key else f"sim-{name}"

    def script(self, key: str, faults: Sequence[Fault]) -> None:
        """Queue faults for a client, after those still queued."""
        self._call("POST", "/sim/faults", key, {"faults": [fault.as_dict() for fault in faults]})

    def pending(self, key: str) -> list[Fault]:
        """The faults that have not fired yet."""
        return [Fault.from_dict(item) for item in self._call("GET", "/sim/faults", key)["faults"]]

    def journal(self, key: str) -> list[dict[str, Any]]:
        """The client's requests as the server saw them, oldest first; fields as in `simllm.journal.Entry`."""
        entries: list[dict[str, Any]] = self._call("GET", "/sim/journal", key)["entries"]
        return entries

    def limit(self, key: str, quota: Quota) -> None:
        """Give a client its own requests and tokens per minute, with full buckets."""
        self._call("POST", "/sim/quota", key, asdict(quota))

    def accepted(self, key: str, reply_id: str) -> None:
        """Report that the client used a reply, whole or not: the verdict then needs no guess.

        Raises:
            SimError: the client got no reply of this id.
        """
        self._call("POST", "/sim/accepted", key, {"id": reply_id})

    def verdict(self, key: str, limits: Limits | None = None) -> Verdict:
        """What the journal says about the client; see `simllm.verdict`."""
        query = "" if limits is None else "?" + urlencode(asdict(limits))
        return Verdict.from_dict(self._call("GET", f"/sim/verdict{query}", key))

    def reset(self, key: str) -> None:
        """Forget a client: its faults, its quota, its journal and its count of unseeded replies."""
        self._call("DELETE", "/sim/faults", key)
        self._call("DELETE", "/sim/quota", key)
        self._call("DELETE", "/sim/journal", key)

    def _call(self, method: str, path: str, key: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        if self._admin_key is not None:
            headers["x-sim-admin-key"] = self._admin_key
        request = Request(self.root + path, data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                reply: dict[str, Any] = json.load(response)
                return reply
        except HTTPError as error:
            message = json.load(error).get("error", {}).get("message", error.reason)
            raise SimError(f"{method} {path} was refused ({error.code}): {message}") from None
        except URLError as error:
            raise SimError(
                f"no simllm server answers at {self.root} ({error.reason}); start one with SimServer()"
            ) from None

"""`/sim/…`: the instructor's side. The Authorization header says which client is meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from simllm.engine import Engine
from simllm.errors import ApiError
from simllm.faults import Fault, FaultBoard
from simllm.history import Limits
from simllm.journal import Journal
from simllm.quota import Quota, QuotaBoard
from simllm.verdict import verdict

Query = Mapping[str, str]
Data = dict[str, Any]
MAX_FAULTS = 10_000  # of one call; half a second


@dataclass(frozen=True)
class Desk:
    """What an admin call may touch, for one client."""

    client: str
    faults: FaultBoard
    journal: Journal
    quotas: QuotaBoard
    engine: Engine


def get_faults(desk: Desk, data: Data, query: Query) -> Data:
    """GET /sim/faults → {"faults": [...]}: what is still to come."""
    return {"faults": [fault.as_dict() for fault in desk.faults.pending(desk.client)]}


def post_faults(desk: Desk, data: Data, query: Query) -> Data:
    """POST /sim/faults {"faults": [{"kind": ...}, ...]}: appends to the client's script."""
    items = data.get("faults")
    if not isinstance(items, list):
        raise ApiError(400, 'Send {"faults": [{"kind": ...}, ...]}.', param="faults", code="invalid_type")
    if len(items) > MAX_FAULTS:
        message = f"{len(items)} faults in one call; send at most {MAX_FAULTS}, or one with 'times'."
        raise ApiError(400, message, param="faults", code="array_above_max_length")
    desk.faults.add(desk.client, [Fault.from_dict(item) for item in items])
    return get_faults(desk, data, query)


def delete_faults(desk: Desk, data: Data, query: Query) -> Data:
    """DELETE /sim/faults: no more faults."""
    desk.faults.clear(desk.client)
    return get_faults(desk, data, query)


def get_journal(desk: Desk, data: Data, query: Query) -> Data:
    """GET /sim/journal → {"entries": [...]}, oldest first."""
    return {"entries": desk.journal.of(desk.client)}


def delete_journal(desk: Desk, data: Data, query: Query) -> Data:
    """DELETE /sim/journal: forgets the client's past and its count of unseeded replies, so that an exercise can be
    repeated exactly."""
    desk.journal.clear(desk.client)
    desk.engine.forget(desk.client)
    return get_journal(desk, data, query)


def get_quota(desk: Desk, data: Data, query: Query) -> Data:
    """GET /sim/quota → {"quota": {...} or null}."""
    quota = desk.quotas.of(desk.client)
    return {"quota": None if quota is None else asdict(quota)}


def post_quota(desk: Desk, data: Data, query: Query) -> Data:
    """POST /sim/quota {"requests_per_minute": ..., "tokens_per_minute": ..., "burst": ...}: full buckets."""
    desk.quotas.set(desk.client, Quota.from_dict(data))
    return get_quota(desk, data, query)


def delete_quota(desk: Desk, data: Data, query: Query) -> Data:
    """DELETE /sim/quota: back to the server's default, with full buckets."""
    desk.quotas.clear(desk.client)
    return get_quota(desk, data, query)


def get_verdict(desk: Desk, data: Data, query: Query) -> Data:
    """GET /sim/verdict?silence_ms=500 → the findings; every limit of `history.Limits` may be given."""
    return verdict(desk.journal.of(desk.client), Limits.from_dict(query)).as_dict()


def post_accepted(desk: Desk, data: Data, query: Query) -> Data:
    """POST /sim/accepted {"id": "chatcmpl-…"}: the client says that it used this reply."""
    reply_id = data.get("id")
    if not isinstance(reply_id, str) or not desk.journal.accept(desk.client, reply_id):
        raise ApiError(404, f"This client got no reply {reply_id!r}; send a reply's id.", param="id", code="not_found")
    return {"accepted": reply_id}


Call = Callable[[Desk, Data, Query], Data]
ROUTES: dict[str, dict[str, Call]] = {
    "/sim/faults": {"GET": get_faults, "POST": post_faults, "DELETE": delete_faults},
    "/sim/journal": {"GET": get_journal, "DELETE": delete_journal},
    "/sim/quota": {"GET": get_quota, "POST": post_quota, "DELETE": delete_quota},
    "/sim/verdict": {"GET": get_verdict},
    "/sim/accepted": {"POST": post_accepted},
}
PATHS = tuple(ROUTES)


def handle(method: str, path: str, data: Data, query: Query, desk: Desk) -> Data:
    """Run one admin call for one client.

    Raises:
        ApiError: 400 for a bad value, 405 for another method.
    """
    call = ROUTES[path].get(method)
    if call is None:
        allowed = ", ".join(ROUTES[path])
        message = f"Not allowed to {method} on {path}; use {allowed}."
        raise ApiError(405, message, code="method_not_supported", headers={"allow": allowed})
    try:
        return call(desk, data, query)
    except ValueError as error:
        raise ApiError(400, str(error), param=path.rpartition("/")[2], code="invalid_value") from None

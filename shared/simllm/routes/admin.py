"""`/sim/faults` and `/sim/journal`: the instructor's side. The Authorization header says which client is meant."""

from __future__ import annotations

from typing import Any

from simllm.engine import Engine
from simllm.errors import ApiError
from simllm.faults import Fault, FaultBoard
from simllm.journal import Journal

PATHS = ("/sim/faults", "/sim/journal")


def handle(
    method: str,
    path: str,
    data: dict[str, Any],
    client: str,
    faults: FaultBoard,
    journal: Journal,
    engine: Engine,
) -> dict[str, Any]:
    """Run one admin call for one client.

    POST /sim/faults {"faults": [...]}, GET and DELETE /sim/faults, GET and DELETE /sim/journal. Deleting the journal
    also starts the client's count of unseeded replies again, so that an exercise can be repeated exactly.

    Raises:
        ApiError: 400 for a bad fault, 405 for any other method.
    """
    if path == "/sim/faults" and method == "POST":
        faults.add(client, _read_faults(data))
    elif path == "/sim/faults" and method == "DELETE":
        faults.clear(client)
    elif path == "/sim/journal" and method == "DELETE":
        journal.clear(client)
        engine.forget(client)
    elif method != "GET":
        raise ApiError(405, f"Not allowed to {method} on {path}.", code="method_not_supported")
    if path == "/sim/journal":
        return {"entries": journal.of(client)}
    return {"faults": [fault.as_dict() for fault in faults.pending(client)]}


def _read_faults(data: dict[str, Any]) -> list[Fault]:
    items = data.get("faults")
    if not isinstance(items, list):
        raise ApiError(400, 'Send {"faults": [{"kind": ...}, ...]}.', param="faults", code="invalid_type")
    try:
        return [Fault.from_dict(item) for item in items]
    except ValueError as error:
        raise ApiError(400, str(error), param="faults", code="invalid_value") from None

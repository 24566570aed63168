"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from simllm.catalogue import CARDS, ModelCard, card
from simllm.wire import JsonReply

CREATED = 1_735_689_600  # 2025-01-01: the models do not change between runs, so neither does their date


def handle(path: str) -> JsonReply:
    """The list, or one model.

    Raises:
        ApiError: 404 `model_not_found`.
    """
    model_id = unquote(path.removeprefix("/v1/models").lstrip("/"))
    if model_id:
        return JsonReply(_model(card(model_id)))
    return JsonReply({"object": "list", "data": [_model(model) for model in CARDS]})


def _model(model: ModelCard) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": CREATED, "owned_by": "simllm"}

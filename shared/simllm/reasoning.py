"""Hidden reasoning: tokens that a reasoning model writes, bills and never shows.

What it "thinks" is real work of this simulation: it writes out every candidate answer before it chooses one. The
count grows with the effort asked for and is rounded up to a multiple of 64, as the real API reports it. A limit that
the thinking uses up leaves an empty reply with `finish_reason` "length": the classic trap of these models.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten

from simllm.catalogue import ModelCard
from simllm.errors import ApiError, bad_value
from simllm.requests import Fields

EFFORTS = {"none": 0.0, "minimal": 0.0, "low": 0.5, "medium": 1.0, "high": 2.0, "xhigh": 4.0}
DEFAULT_EFFORT = "medium"
BLOCK = 64  # tokens
SUMMARIES = ("concise", "detailed", "auto")
QUOTED = 3  # possible replies in a detailed summary


def reasoning_tokens(candidates: Sequence[Sequence[int]], effort: str) -> int:
    """Tokens spent on thinking, before any limit.

    Args:
        candidates: the possible replies, as tokens.
        effort: a key of `EFFORTS`.
    """
    share = EFFORTS[effort]
    written = share * sum(len(tokens) for tokens in candidates)
    return 0 if share == 0.0 else BLOCK * max(1, -(-int(written) // BLOCK))


def read_effort(fields: Fields, key: str, *, reasons: bool) -> str | None:
    """Check the effort; None for a model that does not reason.

    Raises:
        ApiError: an unknown effort, or any for a model that does not reason.
    """
    name = fields.name(key)
    if not reasons:
        if fields.data.get(key) is not None:
            raise not_for_model(name)
        return None
    return fields.one_of(key, tuple(EFFORTS), DEFAULT_EFFORT)


def read_summary(fields: Fields, key: str, model: ModelCard) -> str | None:
    """Which summary of the thinking is wanted: "auto" is the most detailed that there is.

    Raises:
        ApiError: an unknown kind, or any for a model that does not reason.
    """
    if fields.data.get(key) is None:
        return None
    if not model.reasons:
        raise not_for_model(fields.name(key), model=model.id)
    kind = fields.one_of(key, SUMMARIES)
    return "detailed" if kind == "auto" else kind


def summarise(candidates: Sequence[tuple[str, float]], kind: str) -> str:
    """What the thinking was about, in markdown.

    Args:
        candidates: the replies that were weighed, with their weights.
        kind: "concise" or "detailed", which also quotes the strongest of them.
    """
    count = f"{len(candidates)} possible repl{'y' if len(candidates) == 1 else 'ies'}"
    text = f"**Weighing {count}**\n\nI wrote out {count} and weighed how well the prompt supports each."
    if kind == "detailed":
        best = sorted(candidates, key=lambda candidate: -candidate[1])[:QUOTED]
        text += "".join(f"\n- {shorten(reply, 80, placeholder=' …')}" for reply, _ in best)
    return text


def check_sampling(fields: Fields, *, chat: bool) -> None:
    """Refuse the sampling fields that reasoning models do not take, in the real API's words."""
    for key in ("temperature", "top_p"):
        value = fields.data.get(key)
        if value is not None and value != 1:
            message = (
                f"Unsupported value: '{key}' does not support {value} with this model. Only the default (1) value is "
                "supported."
            )
            raise bad_value(key, message, "unsupported_value")
    if chat and fields.data.get("max_tokens") is not None:
        raise not_for_model("max_tokens", " Use 'max_completion_tokens' instead.")
    for key in ("stop", "logprobs", "top_logprobs"):
        if fields.data.get(key):
            raise not_for_model(key)


def not_for_model(name: str, instead: str = "", *, model: str | None = None) -> ApiError:
    """400 for a field that this model does not take; some texts of the real API name the model."""
    which = "this model" if model is None else f"the '{model}' model"
    message = f"Unsupported parameter: '{name}' is not supported with {which}.{instead}"
    return ApiError(400, message, param=name, code="unsupported_parameter")

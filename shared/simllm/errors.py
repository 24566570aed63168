"""Errors in the shape that the OpenAI API uses.

    SimError
    ├── ApiError           becomes {"error": {message, type, param, code}} with an HTTP status
    ├── ScriptError        a fault script or quota that a person wrote is wrong
    └── ServerStartError   the server could not listen

The wording follows the real API where it is public, because clients match on it. This file does no I/O.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

UNREADABLE = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
    "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON: {})"
)


class SimError(Exception):
    """Base of every error that simllm raises on purpose."""


class ServerStartError(SimError):
    """The server could not start; the message names the port and what to do."""


class ScriptError(SimError):
    """A fault script, or an option that stands for one, is wrong; the message names file, line and what is allowed."""


class ApiError(SimError):
    """A refusal that reaches the client as an OpenAI error object.

    Args:
        status: HTTP status code.
        message: what is wrong, in the client's terms.
        type: OpenAI's error family, e.g. `invalid_request_error`.
        code: machine-readable code, or None.
        param: the request field at fault, or None.
        headers: extra response headers, e.g. `retry-after-ms`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The JSON body that the client receives."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


def bad_value(param: str, message: str, code: str | None = "invalid_value") -> ApiError:
    """400 for a field whose value is not acceptable."""
    return ApiError(400, message, param=param, code=code)


def bad_type(param: str, expected: str, value: object) -> ApiError:
    """400 for a field of the wrong JSON type, worded as the real API words it."""
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a decimal",
        type(None): "null",
    }
    got = names.get(type(value), type(value).__name__)
    message = f"Invalid type for '{param}': expected {expected}, but got {got} instead."
    return ApiError(400, message, param=param, code="invalid_type")


def missing(param: str) -> ApiError:
    """400 for a required field that is absent."""
    return ApiError(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def unsupported(param: str, why: str = "this simulation does not implement it") -> ApiError:
    """400 for a field that the real API knows and this server does not."""
    return ApiError(400, f"Unsupported parameter: '{param}': {why}.", param=param, code="unsupported_parameter")


def unknown_field(param: str, *, bare: bool = False) -> ApiError:
    """400 for a field that no version of the API knows; `bare`: as the older routes say it of a body's own fields."""
    if bare:
        return ApiError(400, f"Unrecognized request argument supplied: {param}")
    return ApiError(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def model_not_found(model: str) -> ApiError:
    """404 for a model id that is not in the catalogue."""
    message = f"The model `{model}` does not exist or you do not have access to it. GET /v1/models lists the models."
    return ApiError(404, message, code="model_not_found")


def wrong_kind(model: str, route: str, kind: str) -> ApiError:
    """403 for a model used on a route of another kind, e.g. an embedding model asked to chat.

    The real API says no more than "You are not allowed to sample from this model".
    """
    said, other = ("sample", "an embedding") if kind == "chat" else ("generate embeddings", "a chat")
    message = f"You are not allowed to {said} from this model: '{model}' is {other} model, {route} needs another."
    return ApiError(403, message)


def context_length_exceeded(window: int, prompt_tokens: int, max_tokens: int | None, *, exact: bool = True) -> ApiError:
    """400 for a prompt (plus an explicit max_tokens) that does not fit, with the real API's two wordings."""
    if max_tokens is None or prompt_tokens > window:
        count = f"{prompt_tokens}" if exact else f"at least {prompt_tokens}"
        detail = f"your messages resulted in {count} tokens. Please reduce the length of the messages."
    else:
        detail = (
            f"you requested {prompt_tokens + max_tokens} tokens ({prompt_tokens} in the messages, {max_tokens} in the "
            "completion). Please reduce the length of the messages or completion."
        )
    message = f"This model's maximum context length is {window} tokens. However, {detail}"
    return ApiError(400, message, param="messages", code="context_length_exceeded")


def string_too_long(param: str, most: int, length: int) -> ApiError:
    """400 for a text with more characters than are read."""
    message = (
        f"Invalid '{param}': string too long. Expected a string with maximum length {most}, but got a string with "
        f"length {length} instead."
    )
    return ApiError(400, message, param=param, code="string_above_max_length")


def input_too_long() -> ApiError:
    """400 for a prompt that does not fit, as the Responses API words it."""
    message = "Your input exceeds the context window of this model. Please adjust your input and try again."
    return ApiError(400, message, param="input", code="context_length_exceeded")


def unknown_url(method: str, path: str, routes: Collection[str]) -> ApiError:
    """404 for a route that is not here: the real API's words, then what to do."""
    if f"/v1{path}" in routes:
        hint = f"use the base URL with /v1, so that the path is /v1{path}"
    else:
        hint = f"this simulation has /v1/models, {', '.join(routes)} and keeps nothing: no files, batches, threads"
    return ApiError(404, f"Invalid URL ({method} {path[:200]}); {hint}.", code="unknown_url")

"""Faults that answer with an error status.

Codes and wording follow the real API's public error bodies, because clients match on them: the 429 texts and the
404 of a deprecated model as users quote them in issues, the retry headers as the `openai` library reads them.
"""

from __future__ import annotations

import email.utils
import time
from dataclasses import dataclass
from typing import ClassVar

from simllm.errors import ApiError
from simllm.faults.base import Effect, Page, check_choice, check_flag, check_int, check_text
from simllm.quota import limit_headers, rate_limit_message
from simllm.wire import encode_json


def error_page(error: ApiError, extra: dict[str, str] | None = None) -> Page:
    """An API error as a response."""
    headers = error.headers | (extra or {})
    return Page(error.status, "application/json", encode_json(error.body()), headers, error.code or error.type)


@dataclass(frozen=True)
class HttpError(Effect):
    """An error status with an error object.

    Attributes:
        message: the error's text; None: as the real API words it.
        should_retry: sent as `x-should-retry`, which the `openai` library obeys; None sends nothing.
    """

    status_code: ClassVar[int]
    default: ClassVar[str]
    type: ClassVar[str] = "invalid_request_error"
    code: ClassVar[str | None] = None
    message: str | None = None
    should_retry: bool | None = None

    def __post_init__(self) -> None:
        check_text("message", self.message)
        check_flag("should_retry", self.should_retry)

    def error(self, model: str | None) -> ApiError:
        """The error object and its status."""
        text = self.message or self.default.format(model=model or "this model")
        return ApiError(self.status_code, text, type=self.type, code=self.code)

    def refusal(self, model: str | None) -> Page | None:
        said = {} if self.should_retry is None else {"x-should-retry": str(self.should_retry).lower()}
        return error_page(self.error(model), said)


@dataclass(frozen=True)
class BadRequest(HttpError):
    """400: the request is wrong and stays wrong."""

    kind = "bad_request"
    status_code = 400
    default = "The request was refused by this fault script. Check your request and try again."


@dataclass(frozen=True)
class Unauthorized(HttpError):
    """401: the key was revoked."""

    kind = "unauthorized"
    status_code = 401
    default = "Incorrect API key provided. You can find your API key in your account's settings."
    code = "invalid_api_key"


@dataclass(frozen=True)
class Forbidden(HttpError):
    """403: the key may not use this model or come from this place."""

    kind = "forbidden"
    status_code = 403
    default = "Project does not have access to model `{model}`."
    code = "model_not_found"


@dataclass(frozen=True)
class ModelDeprecated(HttpError):
    """404: the model was switched off; asking again never helps."""

    kind = "model_deprecated"
    status_code = 404
    default = "The model `{model}` has been deprecated, learn more here: https://platform.openai.com/docs/deprecations"
    code = "model_not_found"


@dataclass(frozen=True)
class RequestTimeout(HttpError):
    """408: the server gave up waiting; may be retried."""

    kind = "request_timeout"
    status_code = 408
    default = "Request timed out."
    type = "timeout"


@dataclass(frozen=True)
class Conflict(HttpError):
    """409: another request holds the resource; may be retried."""

    kind = "conflict"
    status_code = 409
    default = "The resource was updated by another request. Please try again."
    code = "conflict"


@dataclass(frozen=True)
class Unprocessable(HttpError):
    """422: well-formed but not acceptable; stays so."""

    kind = "unprocessable"
    status_code = 422
    default = "Unable to process the request despite the format being correct. Please check your request."


@dataclass(frozen=True)
class ServerError(HttpError):
    """500, 502, 503 or 504 with an error object; may be retried.

    Attributes:
        status: which of them.
        retry_after_ms: sent as `retry-after-ms` and `retry-after`; None sends neither.
    """

    kind = "server_error"
    default = "The server had an error while processing your request. Sorry about that!"
    type = "server_error"
    STATUSES: ClassVar = (500, 502, 503, 504)
    status: int = 500
    retry_after_ms: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("status", self.status, self.STATUSES)
        if self.retry_after_ms is not None:
            check_int("retry_after_ms", self.retry_after_ms, 0, 3_600_000)

    def error(self, model: str | None) -> ApiError:
        texts = {502: "Bad gateway.", 504: "The gateway timed out waiting for the model."}
        texts[503] = "The engine is currently overloaded, please try again later."
        text = self.message or texts.get(self.status, self.default)
        headers = retry_headers(self.retry_after_ms, "both")
        return ApiError(self.status, text, type=self.type, headers=headers)


@dataclass(frozen=True)
class RateLimit(HttpError):
    """429 `rate_limit_exceeded`: wait and ask again.

    Attributes:
        retry_after_ms: what the reply tells the client to wait; None says nothing.
        retry_header: which header says it: "both", "ms" (`retry-after-ms`), "seconds" (`retry-after`, rounded up),
            "date" (`retry-after` as an HTTP date), "none" (only the text).
        of: the limit that was reached: "requests" or "tokens".
        limit: that limit, per minute, as `x-ratelimit-limit-*` states it.
    """

    kind = "rate_limit"
    RETRY_HEADERS: ClassVar = ("both", "ms", "seconds", "date", "none")
    retry_after_ms: int | None = None
    retry_header: str = "both"
    of: str = "requests"
    limit: int = 60

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.retry_after_ms is not None:
            check_int("retry_after_ms", self.retry_after_ms, 0, 3_600_000)
        check_choice("retry_header", self.retry_header, self.RETRY_HEADERS)
        check_choice("of", self.of, ("requests", "tokens"))
        check_int("limit", self.limit, 1, 10**9)

    def error(self, model: str | None) -> ApiError:
        text = self.message or rate_limit_message(model, self.of, self.limit, self.limit, 1, self.retry_after_ms)
        headers = retry_headers(self.retry_after_ms, self.retry_header)
        headers |= limit_headers(self.of, self.limit, 0, 60.0)
        return ApiError(429, text, type=self.of, code="rate_limit_exceeded", headers=headers)


@dataclass(frozen=True)
class Quota(HttpError):
    """429 `insufficient_quota`: the money is gone; waiting does not help, although the status says 429."""

    kind = "quota"
    status_code = 429
    default = "You exceeded your current quota, please check your plan and billing details."
    type = "insufficient_quota"
    code = "insufficient_quota"


@dataclass(frozen=True)
class ProxyPage(Effect):
    """The HTML error page of a proxy in front of the API: the wrong content type, and no error object.

    Attributes:
        status: 502 by default; 200 is the nastiest.
    """

    kind = "proxy_page"
    STATUSES: ClassVar = (200, 403, 413, 429, 500, 502, 503, 504)
    status: int = 502

    def __post_init__(self) -> None:
        check_choice("status", self.status, self.STATUSES)

    def refusal(self, model: str | None) -> Page | None:
        title = {200: "Welcome", 502: "502 Bad Gateway"}.get(self.status, f"{self.status} Error")
        html = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<h1>{title}</h1>\r\n</body>\r\n</html>\r\n"
        return Page(
            self.status, "text/html", html.encode(), code="proxy_page", end="corrupt" if self.status == 200 else "whole"
        )


def retry_headers(retry_after_ms: int | None, form: str) -> dict[str, str]:
    """The headers that tell a client how long to wait; seconds are rounded up, a date is whole seconds from now."""
    if retry_after_ms is None or form == "none":
        return {}
    seconds = -(-retry_after_ms // 1000)
    if form == "date":
        return {"retry-after": email.utils.formatdate(-(-time.time() // 1) + seconds, usegmt=True)}
    in_ms = {"retry-after-ms": str(retry_after_ms)} if form in ("both", "ms") else {}
    return in_ms | ({"retry-after": str(seconds)} if form in ("both", "seconds") else {})

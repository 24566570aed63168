"""The ASGI application: routing, authentication, faults, the journal and delivery.

One exchange goes: read the body → who is it → is a fault due → compute the reply in a worker thread → deliver it
at the pace of the simulated clock. Every refusal leaves in OpenAI's error shape; no exception escapes.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simllm.engine import Engine
from simllm.errors import ApiError
from simllm.faults import Fault, FaultBoard
from simllm.journal import Entry, Journal
from simllm.requests import parse_json
from simllm.routes import admin, chat, embeddings, models, responses
from simllm.wire import (
    DONE,
    Disconnected,
    Exchange,
    JsonReply,
    Receive,
    Reply,
    Scope,
    Send,
    StreamReply,
    encode_event,
    encode_json,
)

log = logging.getLogger("simllm.app")

Handler = Callable[[Engine, dict[str, Any], str], Reply]
POST_ROUTES: dict[str, Handler] = {
    "/v1/chat/completions": chat.handle,
    "/v1/embeddings": embeddings.handle,
    "/v1/responses": responses.handle,
}


@dataclass(frozen=True)
class Settings:
    """How a server behaves towards its clients.

    Attributes:
        api_key: the key that clients must send (or a key derived from it: "<api_key>.<anything>"); None accepts all.
        clock_scale: 0 answers at once; 1 takes as long as the simulated model would; 0.1 a tenth of it.
        admin_key: what the admin routes want in the header x-sim-admin-key; None leaves them open.
    """

    api_key: str | None = None
    clock_scale: float = 0.0
    admin_key: str | None = None


class App:
    """The ASGI callable.

    Args:
        engine: the models.
        settings: authentication and clock.
        drop: closes a client's connection at once, given its (host, port).
    """

    def __init__(self, engine: Engine, settings: Settings, drop: Callable[[Any], None]) -> None:
        self.engine = engine
        self.settings = settings
        self.faults = FaultBoard()
        self.journal = Journal()
        self._drop = drop
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].rstrip("/") or "/"
        exchange = Exchange(scope, receive, send, Entry(time=time.time(), path=path))
        exchange.headers["x-request-id"] = f"req_{next(self._numbers):012x}"
        client = _client(exchange)
        if path.startswith("/v1/"):
            self.journal.add(client, exchange.entry)
        try:
            await self._serve(exchange, path, client)
        except ApiError as error:
            exchange.headers.update(error.headers)
            await exchange.send_json(error.status, error.body())
        except Disconnected:
            log.debug("client %s left during %s", client, path)
        except Exception:
            log.exception("internal error on %s %s", scope["method"], path)
            await self._fail(exchange)
        finally:
            exchange.close()

    async def _fail(self, exchange: Exchange) -> None:
        error = ApiError(500, "The simulation failed on this request; its log has the trace.", type="server_error")
        if exchange.entry.status:  # the response has begun: all that is left is to break it off
            self._drop(exchange.scope.get("client"))
            await _until_dropped(exchange)
        else:
            await exchange.send_json(error.status, error.body())

    async def _serve(self, exchange: Exchange, path: str, client: str) -> None:
        body = await exchange.body()
        method = exchange.scope["method"]
        self._authenticate(exchange)
        if path in admin.PATHS:
            self._admit(exchange)
            data = parse_json(body) if method == "POST" else {}
            reply = admin.handle(method, path, data, client, self.faults, self.journal, self.engine)
            await exchange.send_json(200, reply)
        elif path == "/v1/models" or path.startswith("/v1/models/"):
            _require(method, "GET", path)
            fault = self.faults.take(client, "/v1/models", stream=False)
            await self._answer(exchange, fault, lambda: models.handle(path))
        else:
            await self._post(exchange, path, client, body)

    async def _post(self, exchange: Exchange, path: str, client: str, body: bytes) -> None:
        handler = POST_ROUTES.get(path)
        method = exchange.scope["method"]
        if handler is None:
            raise ApiError(404, f"Invalid URL ({method} {path})", code="unknown_url")
        _require(method, "POST", path)
        data = parse_json(body)
        exchange.entry.model = data["model"] if isinstance(data.get("model"), str) else None
        exchange.entry.stream = data.get("stream") is True
        fault = self.faults.take(client, path, stream=exchange.entry.stream)
        if fault is not None and fault.kind == "reply":
            await self._answer(exchange, fault, lambda: chat.handle(self.engine, data, client, fault))
        else:
            await self._answer(exchange, fault, lambda: handler(self.engine, data, client))

    def _authenticate(self, exchange: Exchange) -> None:
        wanted = self.settings.api_key
        if wanted is None:
            return
        given = _bearer(exchange)
        if given is None:
            message = (
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
            raise ApiError(401, message)
        if given != wanted and not given.startswith(f"{wanted}."):
            shown = f"{given[:3]}***{given[-2:]}" if len(given) > 8 else "***"
            raise ApiError(401, f"Incorrect API key provided: {shown}.", code="invalid_api_key")

    def _admit(self, exchange: Exchange) -> None:
        wanted = self.settings.admin_key
        if wanted is not None and not hmac.compare_digest(exchange.request_header("x-sim-admin-key") or "", wanted):
            raise ApiError(403, "This server's admin routes need its admin key.", code="admin_key_required")

    async def _answer(self, exchange: Exchange, fault: Fault | None, compute: Callable[[], Reply]) -> None:
        """Let the fault have its way, compute the reply, deliver it."""
        delay_ms = 0.0
        if fault is not None:
            exchange.entry.fault = fault.kind
            if fault.kind == "reset":
                self._drop(exchange.scope.get("client"))
                await _until_dropped(exchange)
                return
            if fault.kind in ("rate_limit", "quota", "server_error"):
                raise _refusal(fault, exchange.entry.model)
            if fault.kind == "slow":
                delay_ms = float(fault.delay_ms)
                await exchange.wait(delay_ms / 1000)
        reply = await asyncio.to_thread(compute)
        exchange.entry.prompt_tokens = reply.prompt_tokens
        exchange.entry.latency_ms = round(reply.latency_ms + delay_ms, 3)
        exchange.headers["x-sim-latency-ms"] = f"{exchange.entry.latency_ms:.3f}"
        if isinstance(reply, StreamReply):
            await self._deliver_stream(exchange, reply, fault)
        else:
            await self._deliver_json(exchange, reply, fault)

    async def _deliver_json(self, exchange: Exchange, reply: JsonReply, fault: Fault | None) -> None:
        await exchange.wait(reply.latency_ms / 1000 * self.settings.clock_scale)
        exchange.entry.completion_tokens = reply.completion_tokens
        if fault is not None and fault.kind == "broken_json":
            data = encode_json(reply.body)
            data = data[: len(data) // 2]
            await exchange.start(200, "application/json", len(data))
            exchange.entry.complete = True
            await exchange.send_bytes(data, more=False)
        else:
            await exchange.send_json(200, reply.body)

    async def _deliver_stream(self, exchange: Exchange, reply: StreamReply, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        last = fault.after_tokens if fault and kind == "truncate_stream" else None
        started = time.monotonic()
        await exchange.start(200, "text/event-stream; charset=utf-8")
        for event in reply.events:
            due = started + event.at_ms / 1000 * self.settings.clock_scale
            await exchange.wait(due - time.monotonic())
            if last is not None and (event.tokens > last or event.final):
                break
            exchange.entry.completion_tokens = event.tokens
            data = encode_event(event.data)
            if kind == "broken_json" and event.tokens:
                await exchange.send_bytes(data[: len(data) // 2] + b"\n\n", more=True)
                break
            await exchange.send_bytes(data, more=True)
        exchange.entry.complete = kind not in ("truncate_stream", "broken_json")
        await exchange.send_bytes(DONE if exchange.entry.complete else b"", more=False)


def _client(exchange: Exchange) -> str:
    return _bearer(exchange) or "anonymous"


def _bearer(exchange: Exchange) -> str | None:
    scheme, _, key = (exchange.request_header("authorization") or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _require(method: str, allowed: str, path: str) -> None:
    if method != allowed:
        message = f"Not allowed to {method} on {path}; use {allowed}."
        raise ApiError(405, message, code="method_not_supported", headers={"allow": allowed})


def _refusal(fault: Fault, model: str | None) -> ApiError:
    """The error that a refusing fault stands for."""
    if fault.kind == "quota":
        message = "You exceeded your current quota, please check your plan and billing details."
        return ApiError(429, message, type="insufficient_quota", code="insufficient_quota")
    if fault.kind == "server_error":
        message = "The server had an error while processing your request. Sorry about that!"
        if fault.status == 503:
            message = "The engine is currently overloaded, please try again later."
        return ApiError(fault.status, message, type="server_error")
    message = f"Rate limit reached for {model or 'this client'} on requests per min (RPM)."
    headers = {}
    if fault.retry_after_ms is not None:
        message += f" Please try again in {fault.retry_after_ms}ms."
        headers = {"retry-after-ms": str(fault.retry_after_ms), "retry-after": str(-(-fault.retry_after_ms // 1000))}
    return ApiError(429, message, type="requests", code="rate_limit_exceeded", headers=headers)


async def _until_dropped(exchange: Exchange) -> None:
    """Wait until the server itself has seen that the connection is gone."""
    while (await exchange.receive())["type"] != "http.disconnect":
        pass

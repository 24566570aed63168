"""The ASGI application: routing, authentication, quotas, faults and the journal.

One exchange goes: read the body → who is it → is there quota left → which faults does it meet → compute the reply in
a worker thread → deliver it. Every refusal leaves in OpenAI's error shape; no exception escapes.
"""

from __future__ import annotations

import hmac
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from simllm.delivery import Delivery, Line
from simllm.engine import Engine
from simllm.errors import ApiError, unknown_url
from simllm.faults import FaultBoard, Meeting
from simllm.faults.files import Script
from simllm.journal import Entry, Journal, digest, number
from simllm.quota import QuotaBoard
from simllm.requests import parse_json
from simllm.routes import admin, chat, embeddings, models, responses
from simllm.wire import Disconnected, Exchange, Receive, Reply, Scope, Send, StreamReply

log = logging.getLogger("simllm.app")

Handler = Callable[[Engine, dict[str, Any], str], Reply]
POST_ROUTES: dict[str, Handler] = {
    "/v1/chat/completions": chat.handle,
    "/v1/embeddings": embeddings.handle,
    "/v1/responses": responses.handle,
    "/v1/responses/input_tokens": responses.handle_input_tokens,
}


@dataclass(frozen=True)
class Settings:
    """How a server behaves towards its clients.

    Attributes:
        api_key: the key that clients must send (or a key derived from it: "<api_key>.<anything>"); None accepts all.
        clock_scale: 0 answers at once; 1 takes as long as the simulated model would; 0.1 a tenth of it.
        admin_key: what the admin routes want in the header x-sim-admin-key; None leaves them open.
        script: the faults and the quota that clients start with.
        clock: monotonic seconds, for quotas and the journal; a test may bring its own.
    """

    api_key: str | None = None
    clock_scale: float = 0.0
    admin_key: str | None = None
    script: Script = field(default_factory=Script)
    clock: Callable[[], float] = time.monotonic


class App:
    """The ASGI callable.

    Args:
        engine: the models.
        settings: authentication, clock, starting script.
        line: the server's hold on its sockets.
    """

    def __init__(self, engine: Engine, settings: Settings, line: Line) -> None:
        self.engine = engine
        self.settings = settings
        script = settings.script
        self.faults = FaultBoard(script.faults, script.clients)
        self.quotas = QuotaBoard(script.quota, settings.clock)
        self.journal = Journal(settings.clock)
        self._line = line
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].rstrip("/") or "/"
        exchange = Exchange(scope, receive, send, Entry(time=time.time(), path=path))
        exchange.headers["x-request-id"] = f"req_{next(self._numbers):012x}"
        delivery = Delivery(exchange, self.journal, self.settings.clock_scale, self._line)
        client = _client(exchange)
        if path.startswith("/v1/"):
            _note_headers(exchange)
            self.journal.add(client, exchange.entry)
        try:
            await self._serve(delivery, path, client)
        except ApiError as error:
            await delivery.error(error)
        except Disconnected:
            exchange.entry.outcome = "left"
            exchange.entry.left_ms = round(self.journal.now_ms() - exchange.entry.at_ms, 3)
            log.debug("client %s left during %s", client, path)
        except Exception:
            log.exception("internal error on %s %s", scope["method"], path)
            await self._fail(delivery)
        finally:
            if exchange.entry.ended_ms is None:
                self.journal.end(exchange.entry)
            exchange.close()

    async def _fail(self, delivery: Delivery) -> None:
        if delivery.entry.status:  # the response has begun: all that is left is to break it off
            await delivery.cut(hard=False)
        else:
            message = "The simulation failed on this request; its log has the trace."
            await delivery.error(ApiError(500, message, type="server_error"))

    async def _serve(self, delivery: Delivery, path: str, client: str) -> None:
        exchange = delivery.exchange
        body = await exchange.body()
        method = exchange.scope["method"]
        exchange.entry.digest = digest(method, path, body)
        self._authenticate(exchange)
        if path in admin.PATHS:
            self._admit(exchange)
            data = parse_json(body) if method == "POST" else {}
            query = dict(parse_qsl(exchange.scope.get("query_string", b"").decode("latin-1")))
            desk = admin.Desk(client, self.faults, self.journal, self.quotas, self.engine)
            await exchange.send_json(200, admin.handle(method, path, data, query, desk))
        elif path == "/v1/models" or path.startswith("/v1/models/"):
            _require(method, "GET", path)
            meeting = self.faults.take(client, "/v1/models", stream=False)
            await self._answer(delivery, meeting, {}, lambda data: models.handle(path))
        else:
            await self._post(delivery, path, client, body)

    async def _post(self, delivery: Delivery, path: str, client: str, body: bytes) -> None:
        handler = POST_ROUTES.get(path)
        exchange = delivery.exchange
        method = exchange.scope["method"]
        if handler is None:
            raise unknown_url(method, path, POST_ROUTES)
        _require(method, "POST", path)
        data = parse_json(body)
        exchange.entry.note_request(data)
        exchange.headers.update(self.quotas.admit(client, data, embedding=path == "/v1/embeddings"))
        meeting = self.faults.take(client, path, stream=exchange.entry.stream)

        def compute(data: dict[str, Any]) -> Reply:
            if meeting.reply is not None:
                return chat.handle(self.engine, data, client, meeting.reply)
            return handler(self.engine, data, client)

        await self._answer(delivery, meeting, data, compute)

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
        given = (exchange.request_header("x-sim-admin-key") or "").encode()
        if wanted is not None and not hmac.compare_digest(given, wanted.encode()):
            message = "This server's admin routes need its admin key, in the header 'x-sim-admin-key'."
            raise ApiError(403, message, code="admin_key_required")

    async def _answer(
        self, delivery: Delivery, meeting: Meeting, data: dict[str, Any], compute: Callable[[dict[str, Any]], Reply]
    ) -> None:
        """Let the faults have their way, compute the reply, deliver it."""
        entry = delivery.entry
        entry.faults = meeting.kinds
        entry.fault = meeting.kinds[0] if meeting.kinds else None
        if delay_ms := meeting.wait_ms():
            await delivery.pause(delay_ms)
        if cut := meeting.cut():
            if refuse_ms := cut.refuse_ms:
                await delivery.refuse(refuse_ms)
            else:
                await delivery.cut(hard=True)
            return
        if page := meeting.refusal(entry.model):
            await delivery.page(page)
            return
        reply = await delivery.exchange.in_turn(lambda: compute(meeting.request(data)), self.engine.shares.job)
        entry.prompt_tokens = reply.prompt_tokens
        entry.latency_ms = round(reply.latency_ms + delay_ms, 3)
        delivery.exchange.headers["x-sim-latency-ms"] = f"{entry.latency_ms:.3f}"
        if isinstance(reply, StreamReply):
            await delivery.stream(reply, meeting)
        else:
            await delivery.whole(reply, meeting, data)


def check_key(name: str, key: str | None) -> None:
    """Refuse a key that no client can send in a header, and the empty one, which everybody sends.

    Raises:
        ValueError: says which key.
    """
    if key is not None and not (key and key.isascii() and key.isprintable() and key == key.strip()):
        raise ValueError(f"{name} is {key!r}; it must be printable ASCII, at least one character, no space at its ends")


def _client(exchange: Exchange) -> str:
    return _bearer(exchange) or "anonymous"


def _bearer(exchange: Exchange) -> str | None:
    scheme, _, key = (exchange.request_header("authorization") or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _note_headers(exchange: Exchange) -> None:
    """What the client says about its retries and timeouts."""
    entry = exchange.entry
    retries = number(exchange.request_header("x-stainless-retry-count"))
    entry.retry_count = None if retries is None else int(retries)
    entry.read_timeout_s = number(exchange.request_header("x-stainless-read-timeout"))
    entry.idempotency_key = exchange.request_header("idempotency-key")


def _require(method: str, allowed: str, path: str) -> None:
    if method != allowed:
        message = f"Not allowed to {method} on {path}; use {allowed}."
        raise ApiError(405, message, code="method_not_supported", headers={"allow": allowed})

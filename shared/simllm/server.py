"""Run the simulated models on a loopback port, in a daemon thread of this process.

Nothing is printed, no signal handler is installed, and the thread dies with the process. Binding to 127.0.0.1
keeps the admin routes away from other machines.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from simllm.app import App, Settings
from simllm.engine import Engine
from simllm.errors import ServerStartError

HOST = "127.0.0.1"
MAX_CONNECTIONS = 256  # at the same time; further ones are closed at once, so that a flood leaves us descriptors
_START_TIMEOUT_S = 30.0
_KEEP_ALIVE_S = 600  # longer than any client's pool, so that an idle connection is never closed under a request


class SimServer:
    """A running simulation.

    Args:
        port: 0 picks a free port.
        text_dirs: folders of .md and .txt files that the language model also learns from.
        cache_dir: keeps the trained language model and the embeddings; None keeps them in memory.
        read_only: read the cache folder but never write to it.
        api_key: require this key; None accepts any.
        clock_scale: 0 answers at once, 1 at the simulated models' speed.
        admin_key: what the admin routes (faults, journal) require; None leaves them open to every client.

    >>> with SimServer() as server:  # doctest: +SKIP
    ...     client = openai.OpenAI(base_url=server.base_url, api_key="any")
    """

    def __init__(
        self,
        port: int = 0,
        *,
        text_dirs: Sequence[Path | str] = (),
        cache_dir: Path | str | None = None,
        read_only: bool = False,
        api_key: str | None = None,
        clock_scale: float = 0.0,
        admin_key: str | None = None,
    ) -> None:
        if clock_scale < 0:
            raise ValueError(f"clock_scale is {clock_scale}; it must be 0 (no waiting) or more (1 = real speed)")
        self.port = port
        self._text_dirs = [Path(folder) for folder in text_dirs]
        self._cache_dir = Path(cache_dir) if cache_dir is not None else None
        self._read_only = read_only
        self.admin_key = admin_key
        self._settings = Settings(api_key, clock_scale, admin_key)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: dict[Any, asyncio.Transport] = {}
        self._also: list[asyncio.Server] = []
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._engine: Engine | None = None

    @property
    def base_url(self) -> str:
        """The URL for `OPENAI_BASE_URL`, ending in /v1."""
        if self._thread is None:
            raise ServerStartError("the server is not running; call start() or use it in a with statement")
        return f"http://{HOST}:{self.port}/v1"

    def start(self) -> SimServer:
        """Listen and answer; returns once requests are accepted. Starting twice does nothing.

        Raises:
            ServerStartError: the port is taken, or the thread did not come up.
        """
        if self._thread is not None:
            return self
        listener = self._listen()
        try:
            self._engine = Engine(self._text_dirs, self._cache_dir, read_only=self._read_only)
        except BaseException:
            listener.close()
            raise
        app = App(self._engine, self._settings, self._drop)
        logging.getLogger("uvicorn.error").addHandler(_QUIET)
        self._protocol_class = self._protocol()
        config = self._config = uvicorn.Config(
            app,
            http=self._protocol_class,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listener, ready), name="simllm", daemon=True)
        self._thread.start()
        if not ready.wait(_START_TIMEOUT_S) or not self._server.started:
            self.stop()
            raise ServerStartError(f"the server on {HOST}:{self.port} did not come up in {_START_TIMEOUT_S:.0f} s")
        return self

    def stop(self) -> None:
        """Stop listening, break off what is under way, release the port. Stopping twice does nothing."""
        thread, server, engine = self._thread, self._server, self._engine
        self._thread = self._server = self._engine = None
        if thread is not None and server is not None:
            server.should_exit = True
            thread.join(timeout=10.0)
        if engine is not None:
            engine.close()

    def listen_also(self, listener: socket.socket) -> None:
        """Serve another listening socket too, such as one of another network namespace. Takes the socket over.

        Raises:
            ServerStartError: the server is not running.
        """
        loop, server = self._loop, self._server
        if loop is None or server is None:
            raise ServerStartError("the server is not running; call start() first")
        config, protocol = self._config, self._protocol_class

        def connect() -> asyncio.Protocol:
            return protocol(config=config, server_state=server.server_state, app_state={})

        made = asyncio.run_coroutine_threadsafe(loop.create_server(connect, sock=listener), loop)
        self._also.append(made.result(_START_TIMEOUT_S))

    def __enter__(self) -> SimServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _listen(self) -> socket.socket:
        # asyncio turns Nagle's algorithm off only where the protocol is named; with it on, every reply costs 40 ms more
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, self.port))
            listener.listen(512)
        except (OSError, OverflowError) as error:
            listener.close()
            message = f"cannot listen on {HOST}:{self.port} ({error}); use port 0 for a free one or stop its owner"
            raise ServerStartError(message) from None
        self.port = listener.getsockname()[1]
        return listener

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        server = self._server
        assert server is not None

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.002)
            ready.set()
            while not server.should_exit and not serving.done():
                await asyncio.sleep(0.02)
            for also in self._also:
                also.close()
            self._also.clear()
            for transport in list(self._connections.values()):  # nobody waits for a client that keeps reading
                transport.abort()
            await serving

        try:
            asyncio.run(serve())
        finally:
            ready.set()
            listener.close()

    def _drop(self, client: Any) -> None:
        transport = self._connections.get(tuple(client or ()))
        if transport is not None:
            transport.abort()

    def _protocol(self) -> type[H11Protocol]:
        """uvicorn's protocol, which also tells us the transport of each client, so that it can be cut."""
        connections = self._connections

        class TrackedProtocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                connections[self.client] = transport
                if len(connections) > MAX_CONNECTIONS:
                    transport.abort()

            def connection_lost(self, exc: Exception | None) -> None:
                connections.pop(self.client, None)
                super().connection_lost(exc)

        return TrackedProtocol


_QUIET = logging.NullHandler()  # without any handler Python prints uvicorn's warnings to stderr

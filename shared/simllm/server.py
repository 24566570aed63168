"""Run the simulated models on a loopback port, in a daemon thread of this process.

Nothing is printed, no signal handler is installed, and the thread dies with the process. Binding to 127.0.0.1,
the default, keeps the admin routes away from other machines.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import uvicorn

from simllm.app import App, Settings, check_key
from simllm.connections import Connections
from simllm.engine import Engine
from simllm.errors import ServerStartError
from simllm.faults import Fault
from simllm.faults.files import Script, load_script
from simllm.quota import Quota

log = logging.getLogger("simllm.server")

HOST = "127.0.0.1"
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
        faults: what every client meets from its first request on, or a script file (see `simllm.faults.files`).
        quota: every client's allowance per minute; goes before the file's.
        clock: monotonic seconds for quotas and the journal; a test may bring its own.

    >>> with SimServer() as server:  # doctest: +SKIP
    ...     client = openai.OpenAI(base_url=server.base_url, api_key="any")
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = HOST,
        text_dirs: Sequence[Path | str] = (),
        cache_dir: Path | str | None = None,
        read_only: bool = False,
        api_key: str | None = None,
        clock_scale: float = 0.0,
        admin_key: str | None = None,
        faults: Sequence[Fault] | Path | str = (),
        quota: Quota | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not 0 <= clock_scale < math.inf:
            raise ValueError(f"clock_scale is {clock_scale}; it must be 0 (no waiting) or more (1 = real speed)")
        check_key("api_key", api_key)
        check_key("admin_key", admin_key)
        self.port = port
        self.host = host
        self._text_dirs = [Path(folder) for folder in text_dirs]
        self._cache_dir = Path(cache_dir) if cache_dir is not None else None
        self._read_only = read_only
        self.admin_key = admin_key
        script = load_script(Path(faults)) if isinstance(faults, Path | str) else Script(tuple(faults))
        script = replace(script, quota=quota or script.quota)
        self._settings = Settings(api_key, clock_scale, admin_key, script, clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections = Connections()
        self._also: list[asyncio.Server] = []
        self._reopening: asyncio.Task[None] | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._engine: Engine | None = None

    @property
    def base_url(self) -> str:
        """The URL for `OPENAI_BASE_URL`, ending in /v1."""
        if self._thread is None:
            raise ServerStartError("the server is not running; call start() or use it in a with statement")
        return f"http://{self.host}:{self.port}/v1"

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
        app = App(self._engine, self._settings, self)
        logging.getLogger("uvicorn.error").addHandler(_QUIET)
        config = self._config = uvicorn.Config(
            app,
            http=self._connections.protocol,
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
            raise ServerStartError(f"the server on {self.host}:{self.port} did not come up in {_START_TIMEOUT_S:.0f} s")
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
        loop = self._loop
        if loop is None or self._server is None:
            raise ServerStartError("the server is not running; call start() first")
        self._also.append(asyncio.run_coroutine_threadsafe(self._serve_on(listener), loop).result(_START_TIMEOUT_S))

    def drop(self, client: Any, *, hard: bool = False) -> None:
        """Close the connection of a client, given its (host, port), at once; `hard` sends a RST. Loop thread only."""
        self._connections.drop(client, hard=hard)

    def refuse(self, for_ms: int) -> None:
        """Stop listening on the main port for some real milliseconds. Loop thread only; open connections stay."""
        if self._reopening is not None and not self._reopening.done():
            self._reopening.cancel()
        self._reopening = asyncio.ensure_future(self._reopen(for_ms))

    async def _reopen(self, for_ms: int) -> None:
        server = self._server
        if server is None:
            return
        for closed in server.servers:
            closed.close()
        server.servers = []
        await asyncio.sleep(for_ms / 1000)
        while self._server is server and not server.should_exit:
            try:
                server.servers = [await self._serve_on(self._listen())]
            except ServerStartError as error:  # the free port went to somebody's outgoing connection: it will end
                log.warning("cannot listen again yet: %s", error)
                await asyncio.sleep(0.05)
            else:
                return

    async def _serve_on(self, listener: socket.socket) -> asyncio.Server:
        server = self._server
        assert server is not None

        def connect() -> asyncio.Protocol:
            return self._connections.protocol(config=self._config, server_state=server.server_state, app_state={})

        return await asyncio.get_running_loop().create_server(connect, sock=listener)

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
            listener.bind((self.host, self.port))
            listener.listen(512)
        except (OSError, OverflowError) as error:
            listener.close()
            taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            hint = (
                "use port 0 for a free one or stop its owner"
                if taken
                else "the host must be an IPv4 address of this machine, the port 0 (a free one) to 65535"
            )
            raise ServerStartError(f"cannot listen on {self.host}:{self.port} ({error}); {hint}") from None
        self.port = listener.getsockname()[1]
        return listener

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        server = self._server
        assert server is not None

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._loop.set_default_executor(ThreadPoolExecutor(256, "simllm-worker"))  # see fair_share
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.002)
            ready.set()
            while not server.should_exit and not serving.done():
                await asyncio.sleep(0.02)
            if self._reopening is not None:
                self._reopening.cancel()
            for also in self._also:
                also.close()
            self._also.clear()
            self._connections.drop_all()  # nobody waits for a client that keeps reading
            await serving

        try:
            asyncio.run(serve())
        finally:
            ready.set()
            listener.close()


_QUIET = logging.NullHandler()  # without any handler Python prints uvicorn's warnings to stderr

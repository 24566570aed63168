"""The open connections of a server, so that each can be cut.

uvicorn hides the transport of a request from its application. A protocol class of our own tells us; it changes
nothing else about how uvicorn speaks HTTP.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def most_connections() -> int:
    """How many may be open at the same time: half of the descriptors that this process may have, 1,000 at most.

    As many as the `openai` library's pool opens; further ones are closed at once, so that a flood leaves us
    descriptors.
    """
    try:
        import resource

        allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    except ImportError:  # not a POSIX system
        return 250
    return 1_000 if allowed == resource.RLIM_INFINITY else max(50, min(1_000, allowed // 2))


_RST = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing sends a RST


class Connections:
    """Transports by client address. `protocol` is the class that uvicorn is to use. Loop thread only."""

    def __init__(self) -> None:
        self._transports: dict[Any, asyncio.Transport] = {}
        self.protocol = _tracked(self._transports)

    def __len__(self) -> int:
        return len(self._transports)

    def drop(self, client: Any, *, hard: bool = False) -> None:
        """Close the connection of a client, given its (host, port), at once; `hard` sends a RST."""
        transport = self._transports.get(tuple(client or ()))
        if transport is None:
            return
        if hard and (connection := transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        transport.abort()

    def drop_all(self) -> None:
        """Close every connection at once."""
        for transport in list(self._transports.values()):
            transport.abort()


def _tracked(transports: dict[Any, asyncio.Transport]) -> type[H11Protocol]:
    most = most_connections()

    class TrackedProtocol(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            transports[self.client] = transport
            if len(transports) > most:
                transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            transports.pop(self.client, None)
            super().connection_lost(exc)

    return TrackedProtocol

"""What all client libraries share here: no way out of this machine, and plain tools with visible results."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import openai
import pytest

LOOPBACK = ("127.0.0.1", "::1", "localhost")
CONTEXT = "Context:\n[1] The kettle boils in 3 minutes.\n[2] The toaster browns four slices.\n\nQuestion: How fast does the kettle boil?"
FACT = "The kettle boils in 3 minutes."


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A library that phones home fails the test instead of leaving the machine."""
    connect, lookup = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise AssertionError(f"a client wanted to connect to {address}")
        connect(self, address)

    def guarded_lookup(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and name not in LOOPBACK:
            raise AssertionError(f"a client wanted to look up {name!r}")
        return lookup(host, *args, **options)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_lookup)
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    yield


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all tests."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="session")
def pools(runner: asyncio.Runner) -> Iterator[dict[str, Any]]:
    """Connection pools for langchain-openai: its own are cached for ever and never closed."""
    with openai.DefaultHttpxClient() as sync:
        made = openai.DefaultAsyncHttpxClient()
        yield {"http_client": sync, "http_async_client": made}
        runner.run(made.aclose())


class Desk:
    """Plain functions that remember how they were called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def weather(self, city: str) -> str:
        """Current weather in a city."""
        self.calls.append(("weather", {"city": city}))
        return f"{city}: 17 degrees Celsius, light rain."

    def multiply(self, a: float, b: float) -> str:
        """Calculator: multiply two numbers and return their product."""
        self.calls.append(("multiply", {"a": a, "b": b}))
        return f"The product is {a * b:g}."

    def find_book(self, title: str) -> str:
        """Look up a book in the library by its title; returns its shelf."""
        self.calls.append(("find_book", {"title": title}))
        return f"'{title}' stands on shelf 4217."

    def find_member(self, name: str) -> str:
        """Find a library member by name; returns the member id."""
        self.calls.append(("find_member", {"name": name}))
        return json.dumps({"name": name, "member_id": "M-2291"})

    def list_loans(self, member_id: str) -> str:
        """List the books that a library member has on loan."""
        self.calls.append(("list_loans", {"member_id": member_id}))
        return json.dumps({"books": ["Tides and Harbours"]})


@pytest.fixture
def desk() -> Desk:
    return Desk()

"""One server for the whole folder, and a fresh client key for every test."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from simllm import Bench, SimServer

Raw = Callable[..., tuple[int, dict[str, str], Any]]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simllm-cache")


@pytest.fixture(scope="session")
def server(cache_dir: Path) -> Iterator[SimServer]:
    with SimServer(cache_dir=cache_dir) as running:
        yield running


@pytest.fixture
def bench(server: SimServer) -> Bench:
    return Bench(server.base_url)


@pytest.fixture
def key(bench: Bench, request: pytest.FixtureRequest) -> str:
    return bench.client_key(request.node.name[:40])


@pytest.fixture(scope="session")
def pool(server: SimServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key="pool", max_retries=0, timeout=20) as made:
        yield made


@pytest.fixture
def client(pool: openai.OpenAI, key: str) -> openai.OpenAI:
    return pool.with_options(api_key=key)  # its own key, the pool's connections


@pytest.fixture
def raw(server: SimServer, key: str) -> Raw:
    """raw(method, path, body, headers) -> (status, headers, parsed body or bytes), below any client library."""

    def call(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(urlsplit(server.base_url).netloc, timeout=20)
        try:
            connection.request(method, path, data, {"Authorization": f"Bearer {key}"} | (headers or {}))
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        got = {name.lower(): value for name, value in response.getheaders()}
        return response.status, got, json.loads(content) if "json" in got.get("content-type", "") else content

    return call

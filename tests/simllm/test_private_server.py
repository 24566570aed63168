"""A server for grading: admin routes for its owner only, and listening sockets of other networks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from simllm import Bench, Fault, SimServer
from simllm.errors import ServerStartError, SimError


@pytest.fixture(scope="module")
def private(cache_dir: Path) -> Iterator[SimServer]:
    with SimServer(cache_dir=cache_dir, admin_key="the owner's") as running:
        yield running


@pytest.mark.parametrize("admin_key", [None, "", "guessed"])
def test_admin_routes_are_refused_without_the_key(private: SimServer, admin_key: str | None) -> None:
    stranger = Bench(private.base_url, admin_key=admin_key)
    for attempt in (
        lambda: stranger.journal("k"),
        lambda: stranger.script("k", [Fault("server_error")]),
        lambda: stranger.pending("k"),
        lambda: stranger.reset("k"),
    ):
        with pytest.raises(SimError, match=r"refused \((401|403|404)\)"):
            attempt()


def test_the_owner_scripts_and_reads_while_clients_need_no_key(private: SimServer) -> None:
    owner = Bench(private.base_url, admin_key="the owner's")
    key = owner.client_key("graded")
    owner.script(key, [Fault("server_error")])
    with openai.OpenAI(base_url=private.base_url, api_key=key, max_retries=0) as client:
        with pytest.raises(openai.InternalServerError):
            client.models.list()
        assert client.models.list().data
    assert [entry["path"] for entry in owner.journal(key)] == ["/v1/models"] * 2


def test_another_listening_socket_is_served_too_until_the_server_stops(cache_dir: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with SimServer(cache_dir=cache_dir) as server:
        server.listen_also(listener)
        assert port != server.port
        for url in (server.base_url, f"http://127.0.0.1:{port}/v1"):
            with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
                assert client.models.list().data
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_server_that_does_not_run_takes_no_socket(cache_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(ServerStartError, match="not running"):
        SimServer(cache_dir=cache_dir).listen_also(listener)

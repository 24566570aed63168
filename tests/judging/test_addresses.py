"""openai clients and Postgres connections are opened again on the other side, the latter with the learner's role."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import psycopg
import pytest

from coursekit.grading.databases.grading_server import GradingServer, Submission, learner_url_for
from coursekit.grading.judging import addresses
from simllm import SimServer
from tests.judging.two_sides import TwoSides


@pytest.fixture(autouse=True)
def fresh_addresses() -> Iterator[None]:
    addresses._open.cache_clear()
    yield
    addresses._open.cache_clear()


def test_openai_clients_are_opened_again(sides: TwoSides, tmp_path: Path) -> None:
    sides.define(
        "seen = []\ndef names(client):\n    seen.append(client)\n    return sorted(model.id for model in client.models.list())\n"
        "async def later(client):\n    async with client:\n        return sorted([model.id async for model in client.models.list()])\n"
        "def settings(client): return client.api_key, client.max_retries, client.timeout"
    )
    with SimServer(cache_dir=tmp_path) as server:
        options: dict[str, Any] = {"base_url": server.base_url, "api_key": "k-1", "max_retries": 0, "timeout": 7.0}
        client, later = openai.OpenAI(**options), openai.AsyncOpenAI(**options)
        assert "sim-small" in sides["names"](client)
        assert asyncio.run(sides["later"](later)) == sides["names"](client)
        assert sides["settings"](client) == ("k-1", 0, 7.0)
        opened = sides.learner_names["seen"]
        assert opened[0] is opened[1] and opened[0] is not client
        client.close()
        opened[0].close()


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Submission]:
    with GradingServer(tmp_path_factory.mktemp("cache")) as server, server.submission() as opened:
        yield opened


def test_postgres_connections_are_opened_again_with_the_learners_role(
    sides: TwoSides, submission: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "translate_postgres", learner_url_for)
    sides.define(
        "kept = []\ndef add(connection, name):\n    kept.append(connection)\n"
        "    connection.execute('INSERT INTO people VALUES (%s)', (name,))\n    connection.commit()\n    return connection.info.user\n"
        "def twice(connection):\n    with connection.transaction():\n        connection.execute('INSERT INTO people VALUES (%s)', ('x',))\n"
        "        connection.execute('SELECT 1 / 0')"
    )
    with psycopg.connect(submission.judge) as connection:
        connection.execute("CREATE TABLE people (name text)")
        connection.commit()
        user = sides["add"](connection, "ada")
        assert user != connection.info.user and user == psycopg.conninfo.conninfo_to_dict(submission.learner)["user"]
        with pytest.raises(psycopg.errors.DivisionByZero):
            sides["twice"](connection)
        assert connection.execute("SELECT name FROM people").fetchall() == [("ada",)]
    (opened,) = sides.learner_names["kept"]
    opened.close()

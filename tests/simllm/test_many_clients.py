"""Many clients at once, and clients that leave."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from simllm import Bench, SimServer
from simllm.connections import most_connections

HI = [{"role": "user", "content": "hello"}]


def test_300_streams_of_one_client_all_arrive(server: SimServer) -> None:
    if most_connections() < 350:
        pytest.skip("this process may not open enough descriptors")

    async def one(client: openai.AsyncOpenAI, number: int) -> str | None:
        options: Any = {"model": "sim-small", "messages": HI, "stream": True, "seed": number, "max_tokens": 5}
        return [chunk async for chunk in await client.chat.completions.create(**options)][-1].choices[0].finish_reason

    async def all_of_them() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="many", max_retries=0, timeout=60) as client:
            return await asyncio.gather(*(one(client, number) for number in range(300)))

    assert set(asyncio.run(all_of_them())) <= {"stop", "length"}


def test_nobody_computes_for_clients_that_have_left(cache_dir: Path) -> None:
    body = json.dumps({"model": "sim-small", "messages": HI, "n": 48, "max_tokens": 60, "temperature": 1.5}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer gone\r\nContent-Length: {len(body)}"
    with SimServer(cache_dir=cache_dir) as running:
        callers = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(60)]
        for caller in callers:
            caller.sendall(head.encode() + b"\r\n\r\n" + body)
        for caller in callers:
            caller.close()
        bench = Bench(running.base_url)
        for _ in range(600):
            entries = bench.journal("gone")
            if len(entries) == 60 and all(entry["ended_ms"] for entry in entries):
                break
            time.sleep(0.05)
        assert {entry["outcome"] for entry in entries} == {"left"}
        assert running._engine is not None
        computed = running._engine._counts["gone"]
        assert sum(computed[name] for name in list(computed._values)) < 60

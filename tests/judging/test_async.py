"""Coroutines, asynchronous generators and context managers, of either side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.judging.two_sides import TwoSides

CELL = """
import asyncio
from contextlib import asynccontextmanager
log = []
async def double(value):
    await asyncio.sleep(0)
    return value * 2
async def fail(): raise LookupError("nothing")
async def count(stop):
    try:
        for number in range(stop):
            yield number
    finally:
        log.append("closed")
@asynccontextmanager
async def session(name):
    log.append("in")
    yield name
    log.append("out")
class Client:
    async def __aenter__(self): return self
    async def __aexit__(self, *error): self.error = error[0]
    async def get(self, key): return key
async def gather(work, items): return await asyncio.gather(*(work(item) for item in items))
async def collect(source): return [item async for item in source]
def sync_of(value): return asyncio.run(double(value))
"""


@pytest.fixture
def learner(sides: TwoSides) -> TwoSides:
    sides.define(CELL)
    return sides


def run(awaitable: Any) -> Any:
    return asyncio.run(awaitable)


def test_coroutines_are_awaited_and_run_side_by_side(learner: TwoSides) -> None:
    async def main() -> Any:
        return await asyncio.gather(*(learner["double"](number) for number in range(5)))

    assert run(main()) == [0, 2, 4, 6, 8]
    assert asyncio.iscoroutine(coroutine := learner["double"](1))
    coroutine.close()


def test_coroutines_raise(learner: TwoSides) -> None:
    with pytest.raises(LookupError, match="nothing"):
        run(learner["fail"]())


def test_asynchronous_generators_are_lazy_and_can_be_closed(learner: TwoSides) -> None:
    async def main() -> Any:
        whole = [number async for number in learner["count"](3)]
        begun = learner["count"](10**9)
        first = await anext(begun)
        await begun.aclose()
        return whole, first

    assert run(main()) == ([0, 1, 2], 0)
    assert learner["log"] == ["closed", "closed"]


def test_asynchronous_context_managers(learner: TwoSides) -> None:
    async def main() -> Any:
        async with learner["session"]("s") as name, learner["Client"]() as client:
            return name, await client.get("k")

    assert run(main()) == ("s", "k")
    assert learner["log"] == ["in", "out"]


def test_the_learner_awaits_what_a_check_passes_in(learner: TwoSides) -> None:
    async def work(item: int) -> int:
        await asyncio.sleep(0)
        return item + 1

    async def source() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def main() -> Any:
        return await learner["gather"](work, [1, 2, 3]), await learner["collect"](source())

    assert run(main()) == ([2, 3, 4], [1, 2])


def test_a_function_that_runs_its_own_loop(learner: TwoSides) -> None:
    assert learner["sync_of"](4) == 8

"""LangGraph: the prebuilt agent loop, and a graph of one's own with memory."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import openai
import pytest

from simllm import Bench, Fault, SimServer

from .conftest import CONTEXT, FACT, Desk

pytest.importorskip("langgraph", reason="langgraph is not installed")
pytest.importorskip("langchain", reason="langchain is not installed")
pytest.importorskip("langchain_openai", reason="langchain-openai is not installed")

from langchain.agents import create_agent  # noqa: E402
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage  # noqa: E402
from langchain_openai import ChatOpenAI  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402
from langgraph.errors import GraphRecursionError  # noqa: E402
from langgraph.graph import END, START, MessagesState, StateGraph  # noqa: E402
from pydantic import BaseModel  # noqa: E402

LIMIT: Any = {"recursion_limit": 12}
BOTH = "What is the weather in Lisbon and what is 12 times 34?"


class Report(BaseModel):
    """The weather as a record."""

    city: str
    degrees: int


@pytest.fixture
def model(server: SimServer, key: str, pools: dict[str, Any]) -> ChatOpenAI:
    options: dict[str, Any] = {"model": "sim-large", "temperature": 0, "stream_usage": True, "max_retries": 0}
    return ChatOpenAI(base_url=server.base_url, api_key=key, timeout=20, **options, **pools)  # type: ignore[arg-type]


def test_an_agent_calls_two_tools_and_states_both_results(model: ChatOpenAI, desk: Desk) -> None:
    agent = create_agent(model, [desk.weather, desk.multiply], system_prompt="Use the tools.")
    messages = agent.invoke({"messages": [HumanMessage(BOTH)]}, LIMIT)["messages"]
    assert sorted(name for name, _ in desk.calls) == ["multiply", "weather"]
    assert dict(desk.calls)["multiply"] == {"a": 12, "b": 34}
    assert isinstance(messages[-1], AIMessage)
    assert "17 degrees" in messages[-1].text
    assert "408" in messages[-1].text


def test_one_tools_result_is_the_next_ones_argument(model: ChatOpenAI, desk: Desk) -> None:
    agent = create_agent(model, [desk.multiply, desk.find_member, desk.list_loans])
    done = agent.invoke(
        {"messages": [HumanMessage("Which books does the library member Anna Berg have on loan?")]}, LIMIT
    )
    assert desk.calls == [("find_member", {"name": "Anna Berg"}), ("list_loans", {"member_id": "M-2291"})]
    assert "Tides and Harbours" in done["messages"][-1].text


def test_an_agent_ends_at_once_when_no_tool_fits(model: ChatOpenAI, desk: Desk) -> None:
    agent = create_agent(model, [desk.weather, desk.multiply])
    messages = agent.invoke({"messages": [HumanMessage(CONTEXT)]}, LIMIT)["messages"]
    assert [message.type for message in messages] == ["human", "ai"]
    assert messages[-1].text == FACT
    assert desk.calls == []


def test_a_recursion_limit_stops_an_agent_that_has_not_finished(model: ChatOpenAI, desk: Desk) -> None:
    agent = create_agent(model, [desk.weather])
    with pytest.raises(GraphRecursionError):
        agent.invoke({"messages": [HumanMessage("What is the weather in Lisbon?")]}, {"recursion_limit": 2})


def test_an_agent_streams_tokens_and_steps(model: ChatOpenAI, desk: Desk) -> None:
    agent = create_agent(model, [desk.find_book])
    question = {"messages": [HumanMessage("Find the book 'Tides and Harbours' in the library.")]}
    updates, text = [], ""
    for mode, part in agent.stream(question, LIMIT, stream_mode=["updates", "messages"]):  # type: ignore[arg-type]
        if mode == "updates":
            updates += list(part)  # type: ignore[arg-type]
        else:
            chunk: Any = part[0]
            text += chunk.text if not isinstance(chunk, ToolMessage) else ""
    assert updates == ["model", "tools", "model"]
    assert "4217" in text
    assert desk.calls == [("find_book", {"title": "Tides and Harbours"})]


def test_an_agent_gives_a_structured_response_from_a_tools_result(model: ChatOpenAI, desk: Desk) -> None:
    agent = create_agent(model, [desk.weather], response_format=Report)
    done = agent.invoke({"messages": [HumanMessage("What is the weather in Lisbon?")]}, LIMIT)
    assert done["structured_response"] == Report(city="Lisbon", degrees=17)
    assert desk.calls == [("weather", {"city": "Lisbon"})]


def test_async_agents_side_by_side_do_not_mix(model: ChatOpenAI, desk: Desk, runner: asyncio.Runner) -> None:
    agent = create_agent(model, [desk.weather])
    cities = ["Lisbon", "Oslo", "Naples", "Warsaw"]

    async def ask(city: str) -> str:
        done = await agent.ainvoke({"messages": [HumanMessage(f"What is the weather in {city}?")]}, LIMIT)
        text: str = done["messages"][-1].text
        return text

    async def run() -> list[str]:
        return await asyncio.gather(*(ask(city) for city in cities))

    for city, text in zip(cities, runner.run(run()), strict=True):
        assert city in text


def test_a_checkpointed_graph_remembers_the_first_turn_in_the_second(model: ChatOpenAI) -> None:
    def answer(state: MessagesState) -> dict[str, list[AnyMessage]]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").add_edge("answer", END)
    app = graph.compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "a"}, **LIMIT}
    app.invoke({"messages": [HumanMessage("My locker is number 4217 and my tent is green.")]}, thread)
    second = app.invoke({"messages": [HumanMessage("What number is my locker?")]}, thread)
    assert [message.type for message in second["messages"]] == ["human", "ai", "human", "ai"]
    assert "4217" in second["messages"][-1].text
    other = app.invoke({"messages": [HumanMessage("What number is my locker?")]}, {"configurable": {"thread_id": "b"}})
    assert "4217" not in other["messages"][-1].text


class Work(TypedDict):
    questions: list[str]
    answers: Annotated[list[str], operator.add]


def test_a_node_that_failed_resumes_from_its_checkpoint(model: ChatOpenAI, bench: Bench, key: str) -> None:
    def first(state: Work) -> dict[str, list[str]]:
        found = model.invoke(state["questions"][0]).text
        bench.script(key, [Fault("server_error")])
        return {"answers": [found]}

    def second(state: Work) -> dict[str, list[str]]:
        return {"answers": [model.invoke(state["questions"][1]).text]}

    graph = StateGraph(Work).add_sequence([first, second]).add_edge(START, "first")
    app = graph.compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "a"}, **LIMIT}
    with pytest.raises(openai.InternalServerError):
        app.invoke({"questions": [CONTEXT, CONTEXT], "answers": []}, thread)
    assert app.invoke(None, thread)["answers"] == [FACT, FACT]  # type: ignore[arg-type]
    assert [entry["status"] for entry in bench.journal(key)] == [200, 500, 200]

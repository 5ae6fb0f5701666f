"""A graph of the server, used elsewhere as if it were there."""

import asyncio
import operator
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.errors import GraphInterrupt
from langgraph.graph import END, START, StateGraph
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command
from langgraph_sdk import get_sync_client
from langgraph_sdk.client import SyncLangGraphClient

from test.agent_fixture import WAIT_SECONDS, Sdk, default_assistant, new_thread

COUNTED = {"total": 3, "log": ["one", "two", "three"]}


@pytest.fixture
async def sync_sdk(agent_url: str) -> AsyncIterator[SyncLangGraphClient]:
    with get_sync_client(url=agent_url, api_key=None) as client:
        yield client


def remote(name: str, sdk: Sdk, sync_sdk: SyncLangGraphClient) -> RemoteGraph:
    return RemoteGraph(name, client=sdk, sync_client=sync_sdk)


async def test_it_is_invoked_and_streamed(sdk: Sdk, sync_sdk: SyncLangGraphClient):
    graph = remote("counter", sdk, sync_sdk)
    assert await graph.ainvoke({"total": 0}) == COUNTED
    updates = [update async for update in graph.astream({"total": 0}, stream_mode="updates")]
    assert [list(update) for update in updates] == [["one"], ["two"], ["three"]]
    both: list[Any] = [part async for part in graph.astream({"total": 0}, stream_mode=["values", "updates"])]
    assert {part.event for part in both} == {"values", "updates"}
    words = [
        message
        async for message, _ in remote("tokens", sdk, sync_sdk).astream(
            {"messages": [{"role": "user", "content": "hi"}]}, stream_mode="messages"
        )
    ]
    assert words


async def test_its_state_is_read_changed_and_listed(sdk: Sdk, sync_sdk: SyncLangGraphClient):
    graph = remote("counter", sdk, sync_sdk)
    config: Any = {"configurable": {"thread_id": await new_thread(sdk)}}
    await graph.ainvoke({"total": 0}, config)
    state = await graph.aget_state(config)
    assert (state.values, state.next) == (COUNTED, ())
    changed = await graph.aupdate_state(config, {"total": 10}, as_node="one")
    assert changed["configurable"]["checkpoint_id"]
    assert (await graph.aget_state(config)).next == ("two",)
    history = [found async for found in graph.aget_state_history(config)]
    assert len(history) == 6
    assert await graph.ainvoke(None, config) == {"total": 15, "log": ["one", "two", "three", "two", "three"]}


async def test_it_is_drawn(sdk: Sdk, sync_sdk: SyncLangGraphClient):
    drawn = await remote(default_assistant("counter"), sdk, sync_sdk).aget_graph()
    assert list(drawn.nodes) == ["__start__", "one", "two", "three", "__end__"]
    inside = await remote(default_assistant("nested"), sdk, sync_sdk).aget_graph(xray=True)
    assert "child:ask" in inside.nodes


async def test_its_questions_are_answered(sdk: Sdk, sync_sdk: SyncLangGraphClient):
    graph = remote("ask", sdk, sync_sdk)
    config: Any = {"configurable": {"thread_id": await new_thread(sdk)}}
    values = await graph.ainvoke({}, config)
    assert values["__interrupt__"][0]["value"] == {"question": "Shall we?"}
    state = await graph.aget_state(config)
    assert state.tasks[0].interrupts[0].value == {"question": "Shall we?"}
    values = await graph.ainvoke(Command(resume="yes"), config)
    assert values["answers"] == ["opened", "asked: yes", "closed"]


async def test_its_failure_is_raised(sdk: Sdk, sync_sdk: SyncLangGraphClient):
    with pytest.raises(RemoteException, match="on purpose"):
        await remote("failing", sdk, sync_sdk).ainvoke({"total": 0})


class Local(TypedDict):
    total: Annotated[int, operator.add]
    log: Annotated[list[str], operator.add]


async def test_it_is_a_node_of_another_graph(sdk: Sdk, sync_sdk: SyncLangGraphClient):
    builder = StateGraph(Local)
    builder.add_node("far", remote("counter", sdk, sync_sdk))
    builder.add_edge(START, "far")
    builder.add_edge("far", END)
    graph = builder.compile()
    assert await graph.ainvoke({"total": 0, "log": []}) == COUNTED
    parts = [part async for part in graph.astream({"total": 0, "log": []}, stream_mode="updates", subgraphs=True)]
    assert any(path and "two" in update for path, update in parts)


async def test_a_question_reaches_the_other_graph(sdk: Sdk, sync_sdk: SyncLangGraphClient):
    graph = remote("ask", sdk, sync_sdk)
    config: Any = {"configurable": {"thread_id": await new_thread(sdk), "checkpoint_ns": "outer:1"}}
    with pytest.raises(GraphInterrupt):
        async for _ in graph.astream({}, config, stream_mode="values", interrupt_before=None):
            pass


async def test_its_run_is_followed_by_the_newer_protocol(sdk: Sdk, sync_sdk: SyncLangGraphClient):
    graph = remote("counter", sdk, sync_sdk)
    async with asyncio.timeout(WAIT_SECONDS), await graph.astream_events({"total": 0}, version="v3") as run:
        assert await run.output() == COUNTED


def test_it_is_used_without_async(agent_url: str):
    with get_sync_client(url=agent_url, api_key=None) as client:
        graph = RemoteGraph("counter", sync_client=client)
        config: Any = {"configurable": {"thread_id": client.threads.create()["thread_id"]}}
        assert graph.invoke({"total": 0}, config) == COUNTED
        assert [list(update) for update in graph.stream({"total": 0}, config, stream_mode="updates")]
        assert graph.get_state(config).values["total"] == 6

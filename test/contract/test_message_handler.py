"""The short way of a token says the same as LangGraph's own `stream_mode="messages"`."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.constants import TAG_NOSTREAM
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages

from backend.core.model.usage_meter import UsageMeter
from backend.core.run.message_handler import MessageHandler


class State(TypedDict):
    messages: Annotated[list[Any], add_messages]


def model(text: str) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=iter([AIMessage(text)] * 10))


def chain(*nodes: Any) -> StateGraph[Any]:
    builder: StateGraph[Any] = StateGraph(State)
    before = START
    for node in nodes:
        builder.add_node(node.__name__, node)
        builder.add_edge(before, node.__name__)
        before = node.__name__
    builder.add_edge(before, END)
    return builder


async def streams(state: State) -> dict[str, Any]:
    return {"messages": [await model("one two three").ainvoke(state["messages"])]}


async def streams_by_itself(state: State) -> dict[str, Any]:
    said = "".join([str(chunk.content) async for chunk in model("four five").astream("x")])
    return {"messages": [AIMessage(said)]}


def blocks(state: State) -> dict[str, Any]:
    return {"messages": [model("from a thread").invoke("x")]}


async def is_quiet(state: State) -> dict[str, Any]:
    quiet = await model("not for readers").ainvoke("x", {"tags": [TAG_NOSTREAM]})
    return {"messages": [AIMessage(f"kept: {len(str(quiet.content))}")]}


async def returns(state: State) -> dict[str, Any]:
    return {"messages": [AIMessage("whole", id="w"), ToolMessage("done", tool_call_id="1", name="tool")]}


async def replaces(state: State) -> dict[str, Any]:
    return {"messages": [AIMessage("whole, checked", id="w")]}


inner = chain(streams, returns).compile()


async def calls_a_subgraph(state: State) -> dict[str, Any]:
    found = await inner.ainvoke({"messages": [HumanMessage("inside")]})
    return {"messages": found["messages"][-1:]}


def has_a_subgraph() -> StateGraph[Any]:
    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("inner", inner)
    builder.add_node("after", streams_by_itself)
    builder.add_edge(START, "inner")
    builder.add_edge("inner", "after")
    return builder


GRAPHS = {
    "streaming": chain(streams, streams_by_itself),
    "a synchronous node": chain(blocks),
    "a hidden call": chain(is_quiet),
    "returned messages": chain(returns, replaces),
    "a subgraph that is called": chain(calls_a_subgraph, streams),
    "a subgraph that is a node": has_a_subgraph(),
}
QUESTION = {"messages": [HumanMessage("hi", id="q")]}


async def public(graph: Any) -> AsyncIterator[tuple[Any, Any]]:
    async for message, metadata in graph.astream(QUESTION, stream_mode="messages"):
        yield message, metadata


def shown(said: list[tuple[Any, Any]]) -> list[tuple[str, str, str]]:
    return [(type(message).__name__, message.text, metadata["langgraph_node"]) for message, metadata in said]


@pytest.mark.parametrize("name", GRAPHS)
async def test_it_hands_on_what_the_mode_messages_streams(name: str) -> None:
    graph = GRAPHS[name].compile()
    expected = shown([pair async for pair in public(graph)])
    said: list[tuple[Any, Any]] = []
    handler = MessageHandler(lambda message, metadata: said.append((message, metadata)), UsageMeter("x", {}))

    await graph.ainvoke(QUESTION, {"callbacks": [handler]})

    assert expected
    assert shown(said) == expected


async def test_it_counts_the_calls_for_the_meter() -> None:
    meter = UsageMeter("x", {})
    handler = MessageHandler(lambda message, metadata: None, meter)

    await GRAPHS["streaming"].compile().ainvoke(QUESTION, {"callbacks": [handler]})

    assert meter.usage.calls == 2
    assert meter.usage.output_tokens > 0

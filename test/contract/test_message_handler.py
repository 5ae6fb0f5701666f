"""The short way of a token says the same as LangGraph's own `stream_mode="messages"`."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.constants import TAG_NOSTREAM
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, Send

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
        name = getattr(node, "__name__", None) or node.name
        builder.add_node(name, node)
        builder.add_edge(before, name)
        before = name
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


async def commands(state: State) -> Command[Any]:
    return Command(update={"messages": [AIMessage("by a command", id="c")]})


async def fails(state: State) -> dict[str, Any]:
    try:
        await FailingModel().ainvoke("x")
    except RuntimeError:
        return {"messages": [AIMessage("failed", id="f")]}
    raise AssertionError


class FailingModel(GenericFakeChatModel):
    messages: Any = iter(())

    def _stream(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no model")


async def has_a_chain_of_its_name(state: State) -> dict[str, Any]:
    async def says(question: Any) -> Any:
        return await model("in a chain").ainvoke(question)

    named = RunnableLambda(says).with_config(run_name="has_a_chain_of_its_name")
    return {"messages": [await named.ainvoke("x")]}


inner = chain(streams, returns).compile(name="inner")
deep = chain(inner, streams_by_itself).compile(name="deep")


async def calls_a_subgraph(state: State) -> dict[str, Any]:
    found = await inner.ainvoke({"messages": [HumanMessage("inside")]})
    return {"messages": found["messages"][-1:]}


async def calls_a_graph_on_another_thread(state: State) -> dict[str, Any]:
    graph = chain(streams, blocks, returns).compile(checkpointer=InMemorySaver())
    found = await graph.ainvoke({"messages": [HumanMessage("there")]}, {"configurable": {"thread_id": "another"}})
    return {"messages": found["messages"][-1:]}


def has_a_subgraph() -> StateGraph[Any]:
    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("inner", inner)
    builder.add_node("after", streams_by_itself)
    builder.add_edge(START, "inner")
    builder.add_edge("inner", "after")
    return builder


def fans_out() -> StateGraph[Any]:
    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("streams", streams)
    builder.add_conditional_edges(START, lambda state: [Send("streams", state), Send("streams", state)], ["streams"])
    return builder


@task
async def asks_the_model(question: str) -> str:
    return str((await model("of a task").ainvoke(question)).content)


@task
async def asks_by_another(question: str) -> str:
    return await asks_the_model(question)


@entrypoint()
async def functional(given: Any) -> Any:
    await asks_by_another("x")
    await inner.ainvoke({"messages": [HumanMessage("inside")]})
    return AIMessage("returned")


GRAPHS = {
    "streaming": chain(streams, streams_by_itself).compile(),
    "a synchronous node": chain(blocks).compile(),
    "a hidden call": chain(is_quiet).compile(),
    "returned messages": chain(returns, replaces).compile(),
    "a command": chain(commands).compile(),
    "a model that fails": chain(fails, streams).compile(),
    "a chain with the name of its node": chain(has_a_chain_of_its_name).compile(),
    "parallel tasks": fans_out().compile(),
    "a subgraph that is called": chain(calls_a_subgraph, streams).compile(),
    "a subgraph that is a node": has_a_subgraph().compile(),
    "subgraphs in subgraphs": chain(deep, calls_a_subgraph).compile(),
    "a graph on another thread": chain(calls_a_graph_on_another_thread, streams).compile(),
    "a functional graph": functional,
}
QUESTION = {"messages": [HumanMessage("hi", id="q")]}


async def public(graph: Any, subgraphs: bool) -> AsyncIterator[tuple[Any, Any]]:
    async for part in graph.astream(QUESTION, stream_mode="messages", subgraphs=subgraphs):
        yield part[1] if subgraphs else part


def shown(said: list[tuple[Any, Any]]) -> list[tuple[Any, ...]]:
    """What is the same each time: ids of tasks and runs are not."""
    return sorted(
        (
            metadata["langgraph_step"],
            [name.partition(":")[0] for name in metadata["langgraph_checkpoint_ns"].split("|")],
            index if metadata["langgraph_path"][0] == "__pregel_pull" else 0,
            type(message).__name__,
            message.text,
            metadata["langgraph_node"],
            sorted(metadata),
        )
        for index, (message, metadata) in enumerate(said)
    )


@pytest.mark.parametrize("subgraphs", [False, True], ids=["of the graph alone", "of subgraphs too"])
@pytest.mark.parametrize("name", GRAPHS)
async def test_it_hands_on_what_the_mode_messages_streams(name: str, subgraphs: bool) -> None:
    graph = GRAPHS[name]
    expected = shown([pair async for pair in public(graph, subgraphs)])
    said: list[tuple[Any, Any]] = []
    handler = MessageHandler(
        lambda message, metadata: said.append((message, metadata)), UsageMeter("x", {}), subgraphs=subgraphs
    )

    await graph.ainvoke(QUESTION, {"callbacks": [handler]})

    assert expected
    assert shown(said) == expected


async def test_it_counts_the_calls_for_the_meter() -> None:
    meter = UsageMeter("x", {})
    handler = MessageHandler(lambda message, metadata: None, meter)

    await GRAPHS["streaming"].ainvoke(QUESTION, {"callbacks": [handler]})

    assert meter.usage.calls == 2
    assert meter.usage.output_tokens > 0


async def test_calls_on_another_thread_are_counted_though_not_told() -> None:
    meter = UsageMeter("x", {})
    said: list[Any] = []
    handler = MessageHandler(lambda message, metadata: said.append(metadata["langgraph_node"]), meter)

    await GRAPHS["a graph on another thread"].ainvoke(QUESTION, {"callbacks": [handler]})

    assert meter.usage.calls == 3
    assert set(said) == {"calls_a_graph_on_another_thread", "streams"}

"""Graphs without a model: they echo, count, wait, fail, block, write."""

import operator
import threading
import time
from typing import Annotated, Any, NotRequired, TypedDict

from langchain_core.messages import AIMessage
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, MessagesState, StateGraph
from waiting import opened  # type: ignore[import-not-found]  # beside this file, as in any project


async def _reply(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage(f"echo: {state['messages'][-1].text}")]}


echo = StateGraph(MessagesState).add_node("reply", _reply).add_edge(START, "reply").add_edge("reply", END).compile()
"""Answers each message with itself."""


class Count(TypedDict):
    """What `counter` keeps."""

    total: Annotated[int, operator.add]
    log: Annotated[list[str], operator.add]
    note: NotRequired[str]


async def _one(state: Count) -> dict[str, Any]:
    return {"total": 1, "log": ["one"]}


async def _two(state: Count) -> dict[str, Any]:
    return {"total": 1, "log": ["two"]}


async def _three(state: Count) -> dict[str, Any]:
    return {"total": 1, "log": ["three"]}


counter = (
    StateGraph(Count).add_sequence([("one", _one), ("two", _two), ("three", _three)]).add_edge(START, "one").compile()
)
"""Three nodes in a row, each of which adds one to `total` and its name to `log`."""


class Gate(TypedDict):
    """What `gate` keeps."""

    gate: str
    """Path of the file that opens it; an empty path is an open gate."""
    trail: Annotated[list[str], operator.add]


async def _before(state: Gate) -> dict[str, Any]:
    return {"trail": ["before"]}


async def _hold(state: Gate) -> dict[str, Any]:
    await opened(state.get("gate"))
    return {"trail": ["hold"]}


async def _after(state: Gate) -> dict[str, Any]:
    return {"trail": ["after"]}


gate = (
    StateGraph(Gate)
    .add_sequence([("before", _before), ("hold", _hold), ("after", _after)])
    .add_edge(START, "before")
    .compile()
)
"""Stops in its second node until a file is there: the test decides when the run goes on."""


async def _fail(state: Count) -> dict[str, Any]:
    raise ValueError("it fails on purpose")


failing = StateGraph(Count).add_sequence([("one", _one), ("fail", _fail)]).add_edge(START, "one").compile()
"""Its second node raises."""


class Pause(TypedDict):
    """What `blocking` keeps."""

    seconds: float
    slept: NotRequired[bool]


def _sleep(state: Pause) -> dict[str, Any]:
    time.sleep(min(state["seconds"], 5))
    return {"slept": True}


blocking = StateGraph(Pause).add_node("sleep", _sleep).add_edge(START, "sleep").add_edge("sleep", END).compile()
"""A synchronous node that holds its thread."""


class Thing(TypedDict):
    """What `unserializable` keeps."""

    thing: Any


async def _lock(state: Thing) -> dict[str, Any]:
    return {"thing": threading.Lock()}


unserializable = StateGraph(Thing).add_node("lock", _lock).add_edge(START, "lock").add_edge("lock", END).compile()
"""Returns what no serializer can write."""


async def _write(state: Count) -> dict[str, Any]:
    writer = get_stream_writer()
    for number in range(3):
        writer({"progress": number})
    return {"total": 3, "log": ["written"]}


writer = StateGraph(Count).add_node("write", _write).add_edge(START, "write").add_edge("write", END).compile()
"""Writes three parts to the custom stream."""

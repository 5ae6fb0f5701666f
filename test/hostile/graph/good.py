"""Graphs of neighbours: they do nothing wrong."""

import asyncio
from typing import Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    said: Any
    answer: Any


def _graph(*nodes: Any) -> Any:
    builder = StateGraph(State)
    builder.add_sequence(nodes)
    builder.add_edge(START, nodes[0].__name__)
    return builder.compile()


async def say(state: State) -> State:
    return {"answer": state.get("said")}


async def first(state: State) -> State:
    return {"answer": interrupt("first?")}


async def second(state: State) -> State:
    return {"answer": [state.get("answer"), interrupt("second?")]}


async def rest(state: State) -> State:
    await asyncio.sleep(3600)
    return {}


echo = _graph(say)
ask = _graph(first)
ask_twice = _graph(first, second)
wait = _graph(rest)

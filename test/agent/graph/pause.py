"""Graphs that stop and ask."""

import operator
from typing import Annotated, Any, NotRequired, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from waiting import opened  # type: ignore[import-not-found]  # beside this file, as in any project


class Answers(TypedDict):
    """What was answered so far, and a gate that the question waits for."""

    answers: Annotated[list[str], operator.add]
    gate: NotRequired[str]


async def _open(state: Answers) -> dict[str, Any]:
    return {"answers": ["opened"]}


async def _ask(state: Answers) -> dict[str, Any]:
    await opened(state.get("gate"))
    return {"answers": [f"asked: {interrupt({'question': 'Shall we?'})}"]}


async def _close(state: Answers) -> dict[str, Any]:
    return {"answers": ["closed"]}


ask = (
    StateGraph(Answers)
    .add_sequence([("open", _open), ("ask", _ask), ("close", _close)])
    .add_edge(START, "open")
    .compile()
)
"""Asks one question between two plain nodes."""


async def _left(state: Answers) -> dict[str, Any]:
    return {"answers": [f"left: {interrupt('left?')}"]}


async def _right(state: Answers) -> dict[str, Any]:
    return {"answers": [f"right: {interrupt('right?')}"]}


ask_two = (
    StateGraph(Answers)
    .add_node("left", _left)
    .add_node("right", _right)
    .add_node("close", _close)
    .add_edge(START, "left")
    .add_edge(START, "right")
    .add_edge(["left", "right"], "close")
    .add_edge("close", END)
    .compile()
)
"""Asks two questions at once."""

_inner = StateGraph(Answers).add_sequence([("inside", _open), ("ask", _ask)]).add_edge(START, "inside").compile()
nested = (
    StateGraph(Answers)
    .add_node("child", _inner)
    .add_node("close", _close)
    .add_edge(START, "child")
    .add_edge("child", "close")
    .compile()
)
"""Its first node is a graph, which asks."""

"""Graphs that the attacked server serves beside its own agents."""

import asyncio
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt


def _graph(node: Any) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    return builder.compile()


async def _echo(state: MessagesState) -> dict[str, Any]:
    said = state.get("messages")
    return {"messages": [AIMessage(f"echo {said[-1].text}" if said else "nothing was said")]}


async def _ask(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage(f"you said {interrupt('Shall I?')}")]}


async def _wait(state: MessagesState) -> dict[str, Any]:
    await asyncio.sleep(3600)
    return {}


echo = _graph(_echo)
ask = _graph(_ask)
wait = _graph(_wait)

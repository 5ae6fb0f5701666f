"""Graphs that converse: one asks back before it answers, one fails."""

from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt


async def _consult(state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage(f"decided: {interrupt({'question': 'Shall we?'})}")]}


consult = StateGraph(MessagesState).add_node("consult", _consult).add_edge(START, "consult").compile()
"""Asks whether it shall, and says what was decided."""


async def _stumble(state: MessagesState) -> None:
    raise ValueError("it stumbles on purpose")


stumble = StateGraph(MessagesState).add_node("stumble", _stumble).add_edge(START, "stumble").compile()
"""Fails at every message."""

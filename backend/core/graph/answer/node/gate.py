from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from backend.core.graph.answer.graph_state import GraphState
from backend.core.graph.context import Context

AFTER = ("retrieve",)
READS = ("documents", "enough")


async def gate(state: GraphState, runtime: Runtime[Context]) -> Command[Literal["refuse", "generate"]]:
    """Choose whether there is enough to answer from. Reads `documents` and `enough`."""
    return Command(goto="generate" if state["enough"] and state["documents"] else "refuse")

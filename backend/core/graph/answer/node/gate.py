from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from backend.core.graph.answer.graph_state import GraphState
from backend.core.graph.context import Context
from backend.core.graph.conversation import citation
from backend.core.graph.passage_prompt import presented

AFTER = ("retrieve",)
READS = ("documents", "enough")


async def gate(state: GraphState, runtime: Runtime[Context]) -> Command[Literal["refuse", "generate"]]:
    """Choose whether there is enough to answer from, and show the sources. Reads `documents` and `enough`."""
    if not (state["enough"] and state["documents"]):
        return Command(goto="refuse")
    # A step before the first word, so that a reader sees what [1] is when it comes. Which are cited shows at the end.
    for passage in presented(state["documents"]):
        runtime.stream_writer({"type": "citation", **citation(passage.index, state["documents"][passage.index - 1])})
    return Command(goto="generate")

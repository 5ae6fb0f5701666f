"""The `example` agent."""

from typing import ClassVar

from backend.core.graph.example import node
from backend.core.graph.example.graph_state import GraphState
from backend.core.graph.orchestrator import Orchestrator


class GraphOrchestrator(Orchestrator):
    """Finds the nodes of `node/` by itself: a new step is a new file there, and nothing is changed here."""

    NAME: ClassVar = "example"
    TITLE: ClassVar = "Conversation"
    DESCRIPTION: ClassVar = (
        "Talks with the model and remembers the conversation. A message that begins with /ask waits for a person's"
        " approval before it reaches the model."
    )
    STATE: ClassVar = GraphState
    NODES: ClassVar = node

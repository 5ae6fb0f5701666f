"""The `summary` agent: one node, which summarizes."""

from typing import ClassVar

from backend.core.graph.orchestrator import Orchestrator
from backend.core.graph.summary import node
from backend.core.graph.summary.graph_state import GraphState


class GraphOrchestrator(Orchestrator):
    NAME: ClassVar = "summary"
    TITLE: ClassVar = "Ticket summary"
    DESCRIPTION: ClassVar = "Summarizes a support ticket: problem, cause, solution, result and keywords."
    SCOPE: ClassVar = "tickets:read"
    STATE: ClassVar = GraphState
    NODES: ClassVar = node

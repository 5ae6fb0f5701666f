"""The `copilot` agent.

load → summarize, find_similar, retrieve → gate → refuse, or draft → check → review → conclude.
"""

from typing import ClassVar

from backend.core.graph.copilot import node
from backend.core.graph.copilot.graph_state import GraphState
from backend.core.graph.orchestrator import Orchestrator


class GraphOrchestrator(Orchestrator):
    NAME: ClassVar = "copilot"
    TITLE: ClassVar = "Support copilot"
    DESCRIPTION: ClassVar = (
        "Reads a support ticket and drafts a reply for the desk's agent, with a summary, similar tickets and sources;"
        " waits until the draft is accepted, edited or rejected, and writes a private note when asked to."
    )
    SCOPE: ClassVar = "tickets:write"
    ANSWERS_ASK_NO_MODEL: ClassVar = True
    STATE: ClassVar = GraphState
    NODES: ClassVar = node

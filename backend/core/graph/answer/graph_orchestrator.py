"""The `answer` agent: condense → retrieve → gate → refuse, or generate → check_citations."""

from typing import ClassVar

from backend.core.graph.answer import node
from backend.core.graph.answer.graph_state import GraphState
from backend.core.graph.orchestrator import Orchestrator


class GraphOrchestrator(Orchestrator):
    NAME: ClassVar = "answer"
    TITLE: ClassVar = "Answer from documents"
    DESCRIPTION: ClassVar = (
        "Answers questions from the tenant's documents, in Korean or English, with a source for each sentence;"
        " refuses when the documents do not tell."
    )
    STATE: ClassVar = GraphState
    NODES: ClassVar = node

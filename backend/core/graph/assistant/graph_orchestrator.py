"""The `assistant` agent."""

from collections.abc import Sequence
from typing import ClassVar

from backend.core.error import InvalidSlot
from backend.core.graph.node import Node
from backend.core.graph.orchestrator import Graph, Orchestrator


class GraphOrchestrator(Orchestrator):
    """Builds the agent when it is first asked for, since importing LangChain takes a while."""

    NAME: ClassVar = "assistant"
    TITLE: ClassVar = "Assistant with tools"
    DESCRIPTION: ClassVar = (
        "Converses, and searches the tenant's documents when it needs to, as often as it needs to, with sources."
        " Needs a language model that can call tools."
    )
    takes_nodes: ClassVar = False

    def build(self, added: Sequence[Node] = ()) -> Graph:
        if added:
            raise InvalidSlot(f"{added[0].file}: agent {self.NAME!r} takes no nodes.")
        from backend.core.graph.assistant.chain_builder import ChainBuilder

        return ChainBuilder().agent(self.NAME)

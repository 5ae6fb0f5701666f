from dataclasses import asdict
from typing import Any

from langgraph.runtime import Runtime

from backend.core.graph.answer.graph_state import GraphState, Update
from backend.core.graph.context import Context
from backend.dto.knowledge import Passage

AFTER = ("condense",)
READS = ("query",)
WRITES = ("documents", "evidence", "enough")


async def retrieve(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Find passages. Reads `query`, writes `documents` and the verdict on them."""
    found = await runtime.context.retriever.retrieve(state["query"])
    documents = [_plain(passage) for passage in found.passages]
    return {"documents": documents, "evidence": found.evidence, "enough": found.enough}


def _plain(passage: Passage) -> dict[str, Any]:
    return {**asdict(passage), "path": list(passage.path)}

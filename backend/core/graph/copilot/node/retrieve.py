import asyncio
from typing import Any

from langgraph.runtime import Runtime

from backend.core.graph.context import Context
from backend.core.graph.conversation import citation
from backend.core.graph.copilot.graph_state import GraphState, Update
from backend.core.graph.desk_ticket import desk_of
from backend.dto.knowledge import Passage

AFTER = ("load",)
READS = ("queries",)
WRITES = ("documents", "internal", "evidence", "enough")

PUBLIC = 4
INTERNAL = 3


async def retrieve(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Find what every customer may read, and apart from it what only the desk may. Reads `queries`."""
    desk = desk_of(runtime)
    public, every = await asyncio.gather(
        desk.articles(state["queries"], PUBLIC, "customer"),
        desk.articles(state["queries"], PUBLIC + INTERNAL, "agent"),
    )
    known = {passage.passage_id for passage in public.passages}
    internal = [passage for passage in every.passages if passage.passage_id not in known] if every.enough else []
    return {
        "documents": [_plain(passage) for passage in public.passages],
        "internal": [citation(place, _plain(one)) for place, one in enumerate(internal[:INTERNAL], start=1)],
        "evidence": public.evidence,
        "enough": public.enough,
    }


def _plain(passage: Passage) -> dict[str, Any]:
    return {
        "kind": "article",
        "passage_id": passage.passage_id,
        "document_id": passage.document_id,
        "title": passage.title,
        "path": list(passage.path),
        "text": passage.text,
        "url": passage.url,
        "language": passage.language,
        "score": round(passage.score, 4),
    }

from typing import Any

from langgraph.runtime import Runtime

from backend.core.graph.context import Context
from backend.core.graph.copilot.graph_state import GraphState, Update
from backend.core.graph.desk_ticket import desk_of
from backend.dto.desk import SimilarTicket

AFTER = ("load",)
READS = ("ticket",)
WRITES = ("similar", "similar_enough")

SIMILAR = 5


async def find_similar(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Find tickets that are like this one. Writes `similar`, and whether they are alike enough to answer from."""
    desk = desk_of(runtime)
    ticket = await desk.ticket(state["ticket"]["id"])
    found = await desk.similar(ticket, SIMILAR)
    similar = [_plain(one) for one in found.tickets]
    runtime.stream_writer({"type": "tool", "name": "similar_tickets", "tickets": similar})
    return {"similar": similar, "similar_enough": found.enough}


def _plain(ticket: SimilarTicket) -> dict[str, Any]:
    return {
        "id": str(ticket.ticket),
        "ticket_id": ticket.ticket_id,
        "platform": ticket.platform,
        "title": ticket.title,
        "excerpt": ticket.excerpt,
        "status": ticket.status_name,
        "solution": ticket.solution,
        "answer": ticket.answer,
        "url": ticket.url,
        "score": round(ticket.score, 4),
        "relevance": round(ticket.relevance, 4),
    }

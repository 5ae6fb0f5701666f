import asyncio

from langgraph.constants import START
from langgraph.runtime import Runtime

from backend.core.desk.ticket_query import queries_of
from backend.core.graph.context import Context
from backend.core.graph.copilot.graph_state import GraphState, Update
from backend.core.graph.desk_ticket import asked_ticket, desk_of, reading, shown

AFTER = (START,)
READS = ("messages", "ticket", "ticket_id", "platform")
WRITES = ("ticket_id", "platform", "instruction", "ticket", "read", "queries", "question")

_FRESH: Update = {
    "summary": {},
    "similar": [],
    "similar_enough": False,
    "documents": [],
    "internal": [],
    "evidence": 0.0,
    "enough": False,
    "draft": "",
    "reply": "",
    "warnings": [],
    "citations": [],
    "unsupported": [],
    "decision": {},
    "note_id": None,
    "note_problem": None,
    "answer": "",
    "refused": False,
}


async def load(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Find the ticket that is meant, and forget what was made of the one before.

    Reads `ticket_id` or the last message, and takes `ticket_id` away: in a later turn, a message may name another.
    """
    ticket_id, instruction = asked_ticket(state)
    ticket = await desk_of(runtime).ticket(ticket_id, state.get("platform"))
    queries = await asyncio.to_thread(queries_of, ticket)
    runtime.stream_writer({"type": "tool", "name": "ticket", "ticket": shown(ticket)})
    return {
        **_FRESH,
        "ticket_id": "",
        "platform": None,
        "instruction": instruction,
        "ticket": shown(ticket),
        "read": reading(ticket),
        "queries": list(queries),
        "question": queries[-1] if queries else "",
    }

from dataclasses import asdict

from langgraph.runtime import Runtime

from backend.core.graph.context import Context
from backend.core.graph.copilot.graph_state import GraphState, Update
from backend.core.graph.desk_ticket import desk_of

AFTER = ("load",)
READS = ("ticket",)
WRITES = ("summary",)


async def summarize(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Summarize the ticket for the agent, who may also read its notes. Writes `summary`."""
    desk = desk_of(runtime)
    ticket = await desk.ticket(state["ticket"]["id"])
    summary = asdict(await desk.summarize(ticket, runtime.context.model, ticket.language))
    summary["keywords"] = list(summary["keywords"])
    runtime.stream_writer({"type": "tool", "name": "summary", "summary": summary})
    return {"summary": summary}

from langgraph.runtime import Runtime

from backend.core.graph.context import Context
from backend.core.graph.copilot.chain_builder import CHAINS
from backend.core.graph.copilot.graph_state import GraphState, Update
from backend.core.graph.copilot.node.gate import passages_of
from backend.core.graph.desk_ticket import desk_of, reading, rendered
from backend.core.graph.passage_prompt import render

AFTER = ("gate",)
READS = ("ticket", "instruction", "question", "documents")
WRITES = ("messages", "draft", "read")


async def draft(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Write the draft from what a customer may read. Reads the ticket's public messages and `documents`."""
    ticket = await desk_of(runtime).ticket(state["ticket"]["id"])
    passages = passages_of(state["documents"])
    chain = CHAINS.draft(runtime.context.model, ticket.language)
    if runtime.context.has_llm:
        said = f"{rendered(ticket, private=False)}\n{render(state['instruction'], passages)}"
    else:
        said = render(state["question"], passages)  # the extractive model picks sentences by the question's words
    message = await chain.ainvoke({"message": said})
    return {"messages": [message], "draft": message.text, "read": reading(ticket)}

from uuid import uuid4

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from backend.core.graph.context import Context
from backend.core.graph.copilot.graph_state import GraphState, Update
from backend.core.graph.copilot.prompt_manager import REFUSAL

AFTER = ("gate",)
READS = ("ticket", "evidence")
WRITES = ("messages", "answer", "refused")


async def refuse(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Say that there is nothing to write a draft from. Writes the answer and `refused`."""
    runtime.stream_writer({"type": "refusal", "reason": "weak_evidence", "evidence": round(state["evidence"], 4)})
    text = REFUSAL[state["ticket"]["language"]]
    message = AIMessage(text, id=str(uuid4()), additional_kwargs={"refused": True})
    return {"messages": [message], "answer": text, "refused": True}

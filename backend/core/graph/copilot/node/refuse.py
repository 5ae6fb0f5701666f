from uuid import uuid4

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from backend.core.graph.context import Context
from backend.core.graph.copilot.graph_state import GraphState, Update
from backend.core.graph.copilot.prompt_manager import ELSEWHERE, REFUSAL

AFTER = ("gate",)
READS = ("ticket", "evidence", "citations")
WRITES = ("messages", "answer", "refused")


async def refuse(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Say that there is nothing to write a draft from. Writes the answer and `refused`."""
    runtime.stream_writer({"type": "refusal", "reason": "weak_evidence", "evidence": round(state["evidence"], 4)})
    tongue = state["ticket"]["language"]
    if elsewhere := state["citations"]:
        lines = dict.fromkeys(
            f"- {one['title']}: {one['url']}" if one.get("url") else f"- {one['title']}" for one in elsewhere
        )
        text = "\n".join([ELSEWHERE[tongue], *lines])
    else:
        text = REFUSAL[tongue]
    message = AIMessage(text, id=str(uuid4()), additional_kwargs={"refused": True})
    return {"messages": [message], "answer": text, "refused": True}

from uuid import uuid4

from langchain_core.messages import AIMessage
from langgraph.runtime import Runtime

from backend.core.graph.answer.graph_state import GraphState, Update
from backend.core.graph.answer.prompt_manager import REFUSAL
from backend.core.graph.context import Context
from backend.core.graph.conversation import question_of
from backend.util.language import language

AFTER = ("gate",)
READS = ("messages", "documents", "evidence")
WRITES = ("messages", "answer", "refused")


async def refuse(state: GraphState, runtime: Runtime[Context]) -> Update:
    """Say politely that the documents do not tell. Reads `evidence`, writes the answer and `refused`."""
    reason = "weak_evidence" if state["documents"] else "no_passages"
    runtime.stream_writer({"type": "refusal", "reason": reason, "evidence": round(state["evidence"], 4)})
    text = REFUSAL[language(question_of(state["messages"]).text)]
    message = AIMessage(text, id=str(uuid4()), additional_kwargs={"refused": True})
    return {"messages": [message], "answer": text, "refused": True}

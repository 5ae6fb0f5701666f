from dataclasses import asdict
from typing import Any

from langchain.tools import ToolRuntime, tool
from langchain_core.messages import AIMessage, ToolMessage
from langgraph.types import Command

from backend.core.graph.assistant.graph_state import GraphState
from backend.core.graph.assistant.prompt_manager import NOTHING_FOUND
from backend.core.graph.context import Context
from backend.core.graph.conversation import citation
from backend.core.graph.passage_prompt import PromptPassage, presented, render

LIMIT = 5
"""Passages of one search."""
MAX_QUERY_CHARS = 1_000


@tool
async def search_knowledge(query: str, runtime: ToolRuntime[Any, Any]) -> Command[Any]:
    """Search the organisation's documents. Give one self-contained question or a few key words; returns passages."""
    call_id = runtime.tool_call_id or ""
    query = query[:MAX_QUERY_CHARS]
    runtime.stream_writer(
        {"type": "tool", "name": "search_knowledge", "id": call_id, "status": "running", "args": {"query": query}}
    )
    context: Context = runtime.context  # not in the annotation, of which a schema is made for the model
    found = await context.retriever.retrieve(query, limit=LIMIT)
    if not (found.enough and found.passages):
        return Command(update={"messages": [ToolMessage(NOTHING_FOUND, tool_call_id=call_id, name="search_knowledge")]})
    first = _first_number(runtime.state, call_id)
    documents = [{**asdict(passage), "path": list(passage.path)} for passage in found.passages]
    shown = [PromptPassage(each.index + first - 1, each.title, each.text) for each in presented(documents)]
    for number, document in enumerate(documents, start=first):
        document["index"] = number
    for passage in shown:
        runtime.stream_writer({"type": "citation", **citation(passage.index, documents[passage.index - first])})
    message = ToolMessage(render(query, shown), tool_call_id=call_id, name="search_knowledge")
    return Command(update={"messages": [message], "documents": documents[: len(shown)]})


def _first_number(state: GraphState, call_id: str) -> int:
    """Return the number of the call's first passage: searches of one step run at once, so each has its own stretch."""
    used = max((document["index"] for document in state.get("documents", [])), default=0)
    asking = next(message for message in reversed(state["messages"]) if isinstance(message, AIMessage))
    place = [call["id"] for call in asking.tool_calls].index(call_id)
    return used + place * LIMIT + 1

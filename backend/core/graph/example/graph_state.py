"""What the `example` agent knows while it works."""

from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

Update = dict[str, Any]


class GraphState(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    """The conversation. `add_messages` adds what a node returns; a message with a known id takes its place."""
    documents: list[dict[str, Any]]
    """Passages; this agent looks nothing up, a node that does writes them here."""
    answer: str
    """The last reply as text."""

"""What the `summary` agent knows while it works. All of it is plain JSON but the messages, so that it can be kept."""

from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

Update = dict[str, Any]


class GraphState(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    ticket_id: str
    """The platform's id of the ticket, or ours; without it, the last message names it."""
    platform: str | None
    language: str | None
    """`ko` or `en`; without it, the ticket's."""
    ticket: dict[str, Any]
    summary: dict[str, Any]
    answer: str
    """The summary in words."""

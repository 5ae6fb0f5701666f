"""What the `copilot` agent knows while it works. All of it is plain JSON but the messages, so that it can be kept."""

from typing import Annotated, Any, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages

Update = dict[str, Any]


class GraphState(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    """The talk with the desk's agent; the last user message may name the ticket and say how to answer."""
    ticket_id: str
    """The platform's id of the ticket, or ours."""
    platform: str | None
    instruction: str
    """What the agent asked for beside the ticket: a tone, a point to make."""
    ticket: dict[str, Any]
    """Number, title, status, priority, language."""
    queries: list[str]
    """What is searched for: what the customer wants to know, told shorter and longer."""
    question: str
    """The longest of them."""
    summary: dict[str, Any]
    similar: list[dict[str, Any]]
    """Tickets that are like it, the most alike first."""
    similar_enough: bool
    documents: list[dict[str, Any]]
    """What the draft was written from, numbered from 1: what every customer may read, then what the desk answered
    before (`kind` is `article` or `ticket`)."""
    internal: list[dict[str, Any]]
    """Sources for the agent's eyes alone; the draft is never written from them."""
    evidence: float
    enough: bool
    read: str
    """Of which reading of the ticket the draft is; the numbers of placeholders mean something in that one alone."""
    draft: str
    """With source numbers, personal data in place."""
    reply: str
    """What can be sent: without source numbers, with the addresses of public articles below it."""
    warnings: list[str]
    """What the person has to look at before the reply is sent; mostly nothing."""
    citations: list[dict[str, Any]]
    unsupported: list[str]
    decision: dict[str, Any]
    """What the person did: `id`, `action` (accept, edit, reject), `text`, `comment`, `write_note`."""
    note_id: str | None
    note_problem: str | None
    """Why the note that was asked for is not there."""
    answer: str
    refused: bool

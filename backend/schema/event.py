"""What a run says on the wire: the same names, ids and data over SSE, WebSocket and Socket.IO."""

from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from backend.dto.event import ChatEventName, Event


class Citation(BaseModel):
    """A source of the answer: an id to look the passage up by (`GET /api/v1/citations/{passage_id}`), and a label."""

    index: int = Field(description="The number in the answer's text, as in `[1]`.")
    passage_id: str
    document_id: str
    title: str
    path: list[str] = Field(default_factory=list, description="Headings from the document's top to the passage.")
    url: str | None = None
    language: str | None = Field(None, description="The source's language, where that is known.")
    score: float = Field(0.0, description="Relevance, 0 to 1.")


class Usage(BaseModel):
    """What the run used of its models."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = Field(0.0, description="US dollars.")
    calls: int = 0
    latency: float = Field(0.0, description="Seconds spent waiting for models.")


class Interrupt(BaseModel):
    """A question of the graph that `POST /api/v1/runs/{run_id}/resume` answers."""

    id: str
    value: Any = None


EVENTS: dict[ChatEventName | Literal["resync"], str] = {
    "start": "The run begins. An `attempt` above 1 means that the server had died: throw away the tokens before.",
    "token": "A piece of the answer: `text`, in the message `message_id`.",
    "citation": "A source that the answer uses: an id and a label.",
    "refusal": "The documents do not answer the question; `evidence` is how far they do, 0 to 1.",
    "tool": "A tool was called or has answered.",
    "usage": "Tokens, cost and time of the models.",
    "interrupt": "The graph waits for an answer, given by `resume`.",
    "error": "The run has failed; a problem document. Nothing follows.",
    "done": "The run has ended, with the whole answer and its sources. Nothing follows.",
    "resync": "The events asked for are no longer kept: fetch the thread's messages.",
}
"""Every event and what it means; `resync` alone is said by a door and not by the run."""


def socket_event(event: Event, run_id: UUID | str | None, thread_id: UUID | str | None) -> bytes:
    """Return the event as the JSON object that sockets send. Its data are the bytes that the run serialized once."""
    return b'{"event":"%b","id":"%b","run_id":%b,"thread_id":%b,"data":%b}' % (
        event.name.encode(),
        str(event.cursor).encode(),
        _quoted(run_id),
        _quoted(thread_id),
        event.data,
    )


def _quoted(value: UUID | str | None) -> bytes:
    return b"null" if value is None else b'"%b"' % str(value).encode()

"""A conversation on the wire."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.dto.thread import Thread, ThreadStatus
from backend.schema.chat import Metadata
from backend.schema.event import Citation


class ThreadCreate(BaseModel):
    """A new conversation; every field may be left out."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"metadata": {"title": "창업 지원사업 문의"}}}
    )

    thread_id: UUID | None = Field(None, description="An id of the caller's choosing.")
    metadata: Metadata = Field(default_factory=dict, description="For the caller's own use.")


class ThreadUpdate(BaseModel):
    """What to change of a conversation."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"metadata": {"title": "Start-up grants"}}})

    metadata: Metadata = Field(description="Merged into what is there, key by key.")


class ThreadRead(BaseModel):
    """A conversation."""

    thread_id: UUID
    status: ThreadStatus
    agent: str | None = Field(description="The agent of its last run.")
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, thread: Thread) -> Self:
        return cls(
            thread_id=thread.thread_id,
            status=thread.status,
            agent=thread.agent,
            metadata=thread.metadata,
            created_at=thread.created_at,
            updated_at=thread.updated_at,
        )


class ThreadList(BaseModel):
    """Conversations, newest first."""

    items: list[ThreadRead]
    next: UUID | None = Field(None, description="Ask for the ones before this; None when there are no more.")


class MessageRead(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(extra="allow")

    id: str | None = None
    role: str = Field(description="`user`, `assistant`, `system` or `tool`.")
    content: Any = None
    citations: list[Citation] | None = None
    created_at: datetime | None = None


class MessageList(BaseModel):
    """The messages of a conversation, oldest first."""

    thread_id: UUID
    items: list[MessageRead]

"""Threads: a conversation and its checkpoints."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Float, ForeignKeyConstraint, Index, PrimaryKeyConstraint, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, JsonType, UtcDateTime

_RESTLESS = text("status <> 'idle'")
_OF_GRAPH = text("graph_id IS NOT NULL")
_OF_ASSISTANT = text("assistant_id IS NOT NULL")
_EXPIRING = text("expires_at IS NOT NULL")
_CLAIMED = text("claimed_until IS NOT NULL")


class ThreadRow(Base):
    __tablename__ = "threads"
    __table_args__ = (
        Index("ix_threads_recent", "tenant_id", "updated_at", "thread_id"),
        Index("ix_threads_made", "tenant_id", "created_at", "thread_id"),
        # Most threads are idle and never expire: what they all have is not looked up.
        Index("ix_threads_expiring", "expires_at", sqlite_where=_EXPIRING, postgresql_where=_EXPIRING),
        Index("ix_threads_claimed", "claimed_until", sqlite_where=_CLAIMED, postgresql_where=_CLAIMED),
        Index("ix_threads_restless", "tenant_id", "status", sqlite_where=_RESTLESS, postgresql_where=_RESTLESS),
        Index("ix_threads_graph", "tenant_id", "graph_id", sqlite_where=_OF_GRAPH, postgresql_where=_OF_GRAPH),
        Index(
            "ix_threads_assistant",
            "tenant_id",
            "assistant_id",
            sqlite_where=_OF_ASSISTANT,
            postgresql_where=_OF_ASSISTANT,
        ),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    thread_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    status: Mapped[str] = mapped_column(String(16))
    agent: Mapped[str | None] = mapped_column(String(255))
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JsonType)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    graph_id: Mapped[str | None] = mapped_column(String(255))
    """`metadata.graph_id`: so many threads have the same that it is no line of `thread_metadata`."""
    assistant_id: Mapped[str | None] = mapped_column(String(255))
    """`metadata.assistant_id`, likewise."""
    state_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    config: Mapped[dict[str, Any] | None] = mapped_column(JsonType)
    """The configuration of its last run."""
    values: Mapped[Any | None] = mapped_column(JsonType)
    """What its last run left, so that lists and searches need no checkpoint."""
    interrupts: Mapped[dict[str, Any] | None] = mapped_column(JsonType)
    error: Mapped[Any | None] = mapped_column(JsonType)
    ttl_strategy: Mapped[str | None] = mapped_column(String(16))
    ttl_minutes: Mapped[float | None] = mapped_column(Float)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claimed_by: Mapped[str | None] = mapped_column(String(255))
    """Who has taken the thread over from the agents."""
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Until when, unless it is renewed."""


class ThreadMetadataRow(Base):
    """One line for each plain value in a thread's metadata, by which searches find it (`util/metadata_term.py`)."""

    __tablename__ = "thread_metadata"
    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "path", "value", "thread_id"),
        ForeignKeyConstraint(
            ["tenant_id", "thread_id"], ["threads.tenant_id", "threads.thread_id"], ondelete="CASCADE"
        ),
        Index("ix_thread_metadata_thread", "tenant_id", "thread_id"),
        {"sqlite_with_rowid": False},
    )

    tenant_id: Mapped[str] = mapped_column(String(63))
    path: Mapped[str] = mapped_column(Text)
    """The JSON of the list of keys that lead to it, or the digest of a long one."""
    value: Mapped[str] = mapped_column(Text)
    """Its JSON, or the digest of a long one."""
    thread_id: Mapped[UUID] = mapped_column(Uuid)

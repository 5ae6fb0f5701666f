"""What the desk's agents made, and what people thought of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, JsonType, UtcDateTime


class SummaryRow(Base):
    """A summary, kept by what it was made from."""

    __tablename__ = "summaries"
    __table_args__ = (Index("ix_summaries_age", "created_at"),)

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    summary: Mapped[dict[str, Any]] = mapped_column(JsonType)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ticket: Mapped[UUID | None] = mapped_column(Uuid)
    """Our id of the ticket, with which it goes."""


class FeedbackRow(Base):
    __tablename__ = "feedback"
    __table_args__ = (
        Index("ix_feedback_recent", "tenant_id", "created_at", "feedback_id"),
        Index("ix_feedback_ticket", "tenant_id", "ticket_id"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    feedback_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(16))
    platform: Mapped[str | None] = mapped_column(String(20))
    ticket_id: Mapped[str | None] = mapped_column(String(64))
    run_id: Mapped[UUID | None] = mapped_column(Uuid)
    thread_id: Mapped[UUID | None] = mapped_column(Uuid)
    draft: Mapped[str] = mapped_column(Text)
    final: Mapped[str | None] = mapped_column(Text)
    comment: Mapped[str | None] = mapped_column(Text)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JsonType)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WrittenNoteRow(Base):
    """A note that was written to a platform, once however often its run was taken up again."""

    __tablename__ = "written_notes"

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    platform: Mapped[str] = mapped_column(String(20), primary_key=True)
    note_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    ticket_id: Mapped[str] = mapped_column(String(64))
    conversation_id: Mapped[str | None] = mapped_column(String(64))
    """The platform's id; None while it is being written."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TicketThreadRow(Base):
    """That an agent read a ticket on a thread, so that the thread goes when the ticket does.

    No foreign key to the tickets: a ticket's row goes first, and this one then says what is still to be removed.
    """

    __tablename__ = "ticket_threads"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "thread_id"], ["threads.tenant_id", "threads.thread_id"], ondelete="CASCADE"
        ),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    thread_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    ticket: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    """Our id of the ticket."""

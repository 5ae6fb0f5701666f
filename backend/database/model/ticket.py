"""What was collected from support desks."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, JsonType, UtcDateTime

_CUT = text("lookup_cut")


class IntegratedObjectRow(Base):
    """Whatever came from a platform, as it came: one line an object, whichever kind it is of."""

    __tablename__ = "integrated_objects"
    __table_args__ = (
        UniqueConstraint("tenant_id", "platform", "object_type", "original_id"),
        Index("ix_integrated_objects_recent", "tenant_id", "object_type", "updated_at", "id"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    platform: Mapped[str] = mapped_column(String(20))
    object_type: Mapped[str] = mapped_column(String(16))
    original_id: Mapped[str] = mapped_column(String(64))
    parent_id: Mapped[str | None] = mapped_column(String(64))
    """The platform's id of the ticket or folder that it belongs to."""
    original_data: Mapped[dict[str, Any]] = mapped_column(JsonType)
    integrated_content: Mapped[str] = mapped_column(Text)
    """Its text, as it can be read."""
    summary: Mapped[str | None] = mapped_column(Text)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JsonType)
    content_hash: Mapped[str] = mapped_column(String(64))
    version: Mapped[int] = mapped_column(Integer)
    platform_created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    platform_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class TicketRow(Base):
    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("tenant_id", "platform", "ticket_id"),
        # Lists in their order, filtered and counted without looking at a row: all that is short is in it.
        Index(
            "ix_tickets_recent",
            *("tenant_id", "platform_updated_at", "id", "deleted", "spam", "status", "priority", "is_processed"),
            *("platform", "platform_created_at", "assignee_email", "requester_email", "lookup"),
        ),
        Index(
            "ix_tickets_assignee",
            *("tenant_id", "assignee_email", "deleted", "spam", "platform_updated_at", "id", "status", "priority"),
            "is_processed",
        ),
        Index(
            "ix_tickets_requester",
            *("tenant_id", "requester_email", "deleted", "spam", "platform_updated_at", "id", "status", "priority"),
            "is_processed",
        ),
        Index("ix_tickets_cut", "tenant_id", sqlite_where=_CUT, postgresql_where=_CUT),
        Index("ix_tickets_processed", "tenant_id", "is_processed", "id"),
        # The statistics read nothing but this, in the order in which they group.
        Index(
            "ix_tickets_statistics",
            *("tenant_id", "deleted", "spam", "status", "priority", "is_processed", "status_name", "platform"),
        ),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    platform: Mapped[str] = mapped_column(String(20))
    ticket_id: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(Text)
    status: Mapped[int] = mapped_column(Integer)
    status_name: Mapped[str] = mapped_column(String(255))
    priority: Mapped[int] = mapped_column(Integer)
    source: Mapped[int | None] = mapped_column(Integer)
    type: Mapped[str | None] = mapped_column(String(255))
    requester_id: Mapped[str | None] = mapped_column(String(64))
    requester_email: Mapped[str | None] = mapped_column(String(320))
    requester_name: Mapped[str | None] = mapped_column(String(255))
    assignee_id: Mapped[str | None] = mapped_column(String(64))
    assignee_email: Mapped[str | None] = mapped_column(String(320))
    assignee_name: Mapped[str | None] = mapped_column(String(255))
    group_id: Mapped[str | None] = mapped_column(String(64))
    customer_company_id: Mapped[str | None] = mapped_column(String(64))
    tags: Mapped[list[str]] = mapped_column(JsonType)
    is_processed: Mapped[bool] = mapped_column(Boolean)
    spam: Mapped[bool] = mapped_column(Boolean)
    deleted: Mapped[bool] = mapped_column(Boolean)
    merged_into: Mapped[str | None] = mapped_column(String(64))
    conversations: Mapped[int] = mapped_column(Integer)
    content_hash: Mapped[str] = mapped_column(String(64))
    """Of the content as it was last read: 32 hexadecimal digits of the ticket's SHA-256, 32 of its conversation's."""
    version: Mapped[int] = mapped_column(Integer)
    platform_created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    platform_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lookup: Mapped[str] = mapped_column(Text)
    """Number, tags and title, to be looked through: short enough for an index (`repository/ticket_filter.py`)."""
    lookup_cut: Mapped[bool] = mapped_column(Boolean)
    """Whether there was more than fits in."""
    # What may be long comes last: SQLite then finds the rest on a row's first page.
    description: Mapped[str] = mapped_column(Text)
    custom_fields: Mapped[dict[str, Any]] = mapped_column(JsonType)
    summary: Mapped[dict[str, Any] | None] = mapped_column(JsonType)


class ConversationRow(Base):
    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("tenant_id", "platform", "conversation_id"),
        Index("ix_conversations_ticket", "tenant_id", "ticket", "platform_created_at", "id"),
        Index("ix_conversations_author", "tenant_id", "author_email", "platform_created_at", "id", "message_type"),
        Index("ix_conversations_recent", "tenant_id", "platform_created_at", "id", "message_type"),
        ForeignKeyConstraint(["tenant_id", "ticket"], ["tickets.tenant_id", "tickets.id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    platform: Mapped[str] = mapped_column(String(20))
    ticket: Mapped[UUID] = mapped_column(Uuid)
    ticket_id: Mapped[str] = mapped_column(String(64))
    conversation_id: Mapped[str] = mapped_column(String(64))
    content: Mapped[str] = mapped_column(Text)
    message_type: Mapped[str] = mapped_column(String(16))
    author_type: Mapped[str] = mapped_column(String(16))
    author_id: Mapped[str | None] = mapped_column(String(64))
    author_email: Mapped[str | None] = mapped_column(String(320))
    author_name: Mapped[str | None] = mapped_column(String(255))
    attachments: Mapped[list[dict[str, Any]]] = mapped_column(JsonType)
    platform_created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    platform_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ArticleRow(Base):
    __tablename__ = "articles"
    __table_args__ = (
        UniqueConstraint("tenant_id", "platform", "article_id"),
        Index("ix_articles_recent", "tenant_id", "platform_updated_at", "id"),
        Index("ix_articles_processed", "tenant_id", "is_processed", "id"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    platform: Mapped[str] = mapped_column(String(20))
    article_id: Mapped[str] = mapped_column(String(64))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    audience: Mapped[str] = mapped_column(String(16))
    published: Mapped[bool] = mapped_column(Boolean)
    folder_id: Mapped[str | None] = mapped_column(String(64))
    category_id: Mapped[str | None] = mapped_column(String(64))
    path: Mapped[list[str]] = mapped_column(JsonType)
    url: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JsonType)
    content_hash: Mapped[str] = mapped_column(String(64))
    is_processed: Mapped[bool] = mapped_column(Boolean)
    version: Mapped[int] = mapped_column(Integer)
    platform_created_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    platform_updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    language: Mapped[str | None] = mapped_column(String(16))
    translation_of: Mapped[str | None] = mapped_column(String(64))
    """The original's `article_id`; a translation's own is that with its language."""


class AttachmentRow(Base):
    __tablename__ = "attachments"
    __table_args__ = (
        UniqueConstraint("tenant_id", "platform", "attachment_id"),
        Index("ix_attachments_parent", "tenant_id", "platform", "parent_type", "parent_id"),
        Index("ix_attachments_ticket", "tenant_id", "platform", "ticket_id"),
        Index("ix_attachments_status", "tenant_id", "status", "id"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    platform: Mapped[str] = mapped_column(String(20))
    attachment_id: Mapped[str] = mapped_column(String(64))
    parent_type: Mapped[str] = mapped_column(String(16))
    parent_id: Mapped[str] = mapped_column(String(64))
    ticket_id: Mapped[str | None] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(Text)
    content_type: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    url: Mapped[str | None] = mapped_column(Text)
    """As it was last read; it works for a while only."""
    private: Mapped[bool] = mapped_column(Boolean)
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(Text)
    file_key: Mapped[str | None] = mapped_column(Text)
    sha256: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

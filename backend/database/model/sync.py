"""Collecting from platforms: jobs, cursors, single failures, and the webhooks that ask for it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKeyConstraint, Index, Integer, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, JsonType, UtcDateTime

_ACTIVE = text("status IN ('pending', 'running', 'paused') AND kind <> 'ticket'")


class SyncJobRow(Base):
    __tablename__ = "sync_jobs"
    __table_args__ = (
        # At most one collection of a tenant's platform at a time.
        Index(
            "uq_sync_jobs_active",
            "tenant_id",
            "platform",
            unique=True,
            sqlite_where=_ACTIVE,
            postgresql_where=_ACTIVE,
        ),
        Index("ix_sync_jobs_status", "status"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    platform: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    wanted: Mapped[str | None] = mapped_column(String(16))
    """What somebody asked for: `pause` or `cancel`."""
    stage: Mapped[str] = mapped_column(String(16))
    counts: Mapped[dict[str, Any]] = mapped_column(JsonType)
    options: Mapped[dict[str, Any]] = mapped_column(JsonType)
    state: Mapped[dict[str, Any]] = mapped_column(JsonType)
    """Where it goes on after a kill."""
    attempt: Mapped[int] = mapped_column(Integer)
    """The fencing token: what writes for a job names the attempt that it is."""
    user_id: Mapped[str] = mapped_column(String(255))
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SyncIssueRow(Base):
    __tablename__ = "sync_issues"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "job_id"], ["sync_jobs.tenant_id", "sync_jobs.job_id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    object_type: Mapped[str] = mapped_column(String(16), primary_key=True)
    original_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    code: Mapped[str] = mapped_column(String(63))
    reason: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SyncSeenRow(Base):
    """A ticket that a full collection has met: what it has not met when it has read everything is gone."""

    __tablename__ = "sync_seen"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "job_id"], ["sync_jobs.tenant_id", "sync_jobs.job_id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    original_id: Mapped[str] = mapped_column(String(64), primary_key=True)


class SyncCursorRow(Base):
    """Up to where a tenant's objects of one kind were read, whichever job read them."""

    __tablename__ = "sync_cursors"

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    platform: Mapped[str] = mapped_column(String(20), primary_key=True)
    object_type: Mapped[str] = mapped_column(String(16), primary_key=True)
    updated_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Of the platform's clock: all that changed before it is here."""
    complete: Mapped[bool] = mapped_column(Boolean)
    """Whether a collection ever came to its end."""
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PlatformEventRow(Base):
    """A webhook that was received, once however often it came."""

    __tablename__ = "platform_events"
    __table_args__ = (Index("ix_platform_events_age", "created_at"),)

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    platform: Mapped[str] = mapped_column(String(20), primary_key=True)
    event_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """SHA-256 of what tells it from another."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

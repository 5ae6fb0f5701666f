"""Ingestion jobs, and a row for each of their files: what is left of a killed job is the rows without an outcome."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKeyConstraint, Index, Integer, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, JsonType, UtcDateTime

_ACTIVE = text("status IN ('pending', 'running')")
_LEFT = text("outcome IS NULL")


class JobRow(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_active", "job_id", sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
        Index("ix_jobs_ended", "updated_at"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(16))
    status: Mapped[str] = mapped_column(String(16))
    cancelled: Mapped[bool] = mapped_column(Boolean)
    """Somebody asked for its end."""
    total: Mapped[int] = mapped_column(Integer)
    done: Mapped[int] = mapped_column(Integer)
    failed: Mapped[int] = mapped_column(Integer)
    chunks: Mapped[int] = mapped_column(Integer)
    error: Mapped[str | None] = mapped_column(Text)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JsonType)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class JobFileRow(Base):
    __tablename__ = "job_files"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "job_id"], ["jobs.tenant_id", "jobs.job_id"], ondelete="CASCADE"),
        Index("ix_job_files_left", "tenant_id", "job_id", "position", sqlite_where=_LEFT, postgresql_where=_LEFT),
        Index("ix_job_files_finished", "tenant_id", "job_id", "finished"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    job_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    source: Mapped[str] = mapped_column(String(1024))
    path: Mapped[str | None] = mapped_column(Text)
    """Where the file is; without it, `content` holds the document."""
    content: Mapped[dict[str, Any] | None] = mapped_column(JsonType)
    outcome: Mapped[str | None] = mapped_column(String(16))
    finished: Mapped[int | None] = mapped_column(Integer)
    """Its place in the order in which the job's files ended, from 1."""
    chunks: Mapped[int] = mapped_column(Integer)
    code: Mapped[str | None] = mapped_column(String(32))
    reason: Mapped[str | None] = mapped_column(Text)
    reason_ko: Mapped[str | None] = mapped_column(Text)

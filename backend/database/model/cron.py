"""Crons: schedules and the runs that they start."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, ForeignKeyConstraint, Index, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, JsonType, UtcDateTime


class CronRow(Base):
    __tablename__ = "crons"
    __table_args__ = (
        # A thread takes its crons with it, whoever deletes it.
        ForeignKeyConstraint(
            ["tenant_id", "thread_id"], ["threads.tenant_id", "threads.thread_id"], ondelete="CASCADE"
        ),
        Index("ix_crons_recent", "tenant_id", "created_at", "cron_id"),
        Index("ix_crons_thread", "tenant_id", "thread_id"),
        Index("ix_crons_assistant", "tenant_id", "assistant_id"),
        Index("ix_crons_due", "next_run_date", sqlite_where=text("enabled = 1"), postgresql_where=text("enabled")),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    cron_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    user_id: Mapped[str] = mapped_column(String(255))
    owner: Mapped[dict[str, Any]] = mapped_column(JsonType)
    """What else is known of who made it: `roles`, `user`, `permissions`."""
    assistant_id: Mapped[UUID] = mapped_column(Uuid)
    thread_id: Mapped[UUID | None] = mapped_column(Uuid)
    schedule: Mapped[str] = mapped_column(String(255))
    timezone: Mapped[str | None] = mapped_column(String(255))
    end_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    enabled: Mapped[bool] = mapped_column(Boolean)
    on_run_completed: Mapped[str | None] = mapped_column(String(16))
    next_run_date: Mapped[datetime | None] = mapped_column(UtcDateTime)
    claimed_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """A server is starting the run that is due; when it dies, another may from this moment on."""
    payload: Mapped[dict[str, Any]] = mapped_column(JsonType)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JsonType)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

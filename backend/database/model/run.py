"""Runs: the truth about every execution. At most one active run on a thread is an index, not a check."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, Integer, LargeBinary, String, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, JsonType, UtcDateTime

_ACTIVE = text("status IN ('pending', 'running')")
_QUEUED = text("status = 'queued'")


class RunRow(Base):
    __tablename__ = "runs"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "thread_id"], ["threads.tenant_id", "threads.thread_id"], ondelete="CASCADE"
        ),
        UniqueConstraint("tenant_id", "idempotency_key"),
        Index("ix_runs_thread", "tenant_id", "thread_id", "run_id"),
        Index("one_active", "tenant_id", "thread_id", unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
        Index("next_up", "tenant_id", "thread_id", "run_id", sqlite_where=_QUEUED, postgresql_where=_QUEUED),
        Index("ix_runs_ended", "ended_at"),
        Index("ix_runs_delayed", "start_at", sqlite_where=_QUEUED, postgresql_where=_QUEUED),
    )

    run_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(63))
    thread_id: Mapped[UUID] = mapped_column(Uuid)
    user_id: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    """Fencing token: how often the run was begun."""
    losses: Mapped[int] = mapped_column(Integer)
    """How often its server died under it."""
    request: Mapped[dict[str, Any]] = mapped_column(JsonType)
    cancel_action: Mapped[str | None] = mapped_column(String(16))
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    idempotency_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    result: Mapped[dict[str, Any] | None] = mapped_column(JsonType)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_reason: Mapped[str | None] = mapped_column(String(255))
    start_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Before this moment a queued run does not begin."""

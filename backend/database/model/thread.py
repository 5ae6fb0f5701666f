"""Threads: a conversation and its checkpoints."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Index, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, JsonType, UtcDateTime


class ThreadRow(Base):
    __tablename__ = "threads"
    __table_args__ = (Index("ix_threads_recent", "tenant_id", "updated_at", "thread_id"),)

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    thread_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    status: Mapped[str] = mapped_column(String(16))
    agent: Mapped[str | None] = mapped_column(String(255))
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JsonType)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

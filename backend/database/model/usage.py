"""The ledger: what each run used of the models. It outlives the run and its thread, so it refers to neither."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Float, Index, Integer, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, UtcDateTime


class UsageRow(Base):
    __tablename__ = "usage"
    __table_args__ = (
        Index("ix_usage_tenant_time", "tenant_id", "created_at"),
        Index("ix_usage_user_time", "tenant_id", "user_id", "created_at"),
    )

    run_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(63))
    user_id: Mapped[str] = mapped_column(String(255))
    model: Mapped[str] = mapped_column(String(255))
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[float] = mapped_column(Float)
    """US dollars."""
    latency: Mapped[float] = mapped_column(Float)
    """Seconds spent waiting for models."""
    calls: Mapped[int] = mapped_column(Integer)
    estimated: Mapped[bool] = mapped_column(Boolean)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    agent: Mapped[str | None] = mapped_column(String(255))
    """Which agent, or part of the server (`summary`, `index`), used it."""

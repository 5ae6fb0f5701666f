"""What was asked of the server, a line a request."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Float, Index, Integer, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, UtcDateTime


class RequestLogRow(Base):
    __tablename__ = "request_log"
    __table_args__ = (Index("ix_request_log_age", "created_at"),)

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    log_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    """Sorts by time."""
    request_id: Mapped[str] = mapped_column(String(128))
    user_id: Mapped[str] = mapped_column(String(255))
    method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(Text)
    """Without its query, which may hold secrets."""
    status: Mapped[int] = mapped_column(Integer)
    milliseconds: Mapped[float] = mapped_column(Float)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

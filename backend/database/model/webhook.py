"""Webhook deliveries that are still to be made: a row is written with the end of a run, and goes when it was heard."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, Integer, LargeBinary, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, UtcDateTime


class WebhookDeliveryRow(Base):
    """No foreign key: a run that is deleted when it ends is told of all the same."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index("ix_webhook_deliveries_due", "due_at", "delivery_id"),)

    delivery_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(63))
    run_id: Mapped[UUID] = mapped_column(Uuid)
    url: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    """JSON, but for the moment at which it is sent."""
    attempts: Mapped[int] = mapped_column(Integer)
    """How often it was tried."""
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it is tried next; while it is being sent, when another server may."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

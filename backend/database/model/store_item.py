"""Long-term memory: items under namespaces, and the vectors by which they are found."""

from datetime import datetime

from sqlalchemy import Float, ForeignKeyConstraint, Index, Integer, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, UtcDateTime

_EXPIRES = text("expires_at IS NOT NULL")
_Bytewise = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared byte by byte on both databases, so that what is under a namespace is one range of the index."""


class StoreItemRow(Base):
    __tablename__ = "store_items"
    __table_args__ = (Index("ix_store_items_expiry", "expires_at", sqlite_where=_EXPIRES, postgresql_where=_EXPIRES),)

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    namespace: Mapped[str] = mapped_column(_Bytewise, primary_key=True)
    """The labels, joined by dots."""
    key: Mapped[str] = mapped_column(_Bytewise, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ttl_minutes: Mapped[float | None] = mapped_column(Float)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    value: Mapped[str] = mapped_column(Text)
    """JSON, as it was written: `jsonb` would refuse a NUL character and round long numbers."""


class StoreVectorRow(Base):
    __tablename__ = "store_vectors"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "namespace", "key"],
            ["store_items.tenant_id", "store_items.namespace", "store_items.key"],
            ondelete="CASCADE",
        ),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    namespace: Mapped[str] = mapped_column(_Bytewise, primary_key=True)
    key: Mapped[str] = mapped_column(_Bytewise, primary_key=True)
    model: Mapped[str] = mapped_column(String(255))
    count: Mapped[int] = mapped_column(Integer)
    """How many vectors: one for each text that was embedded."""
    data: Mapped[bytes] = mapped_column(LargeBinary)
    """The vectors one after another, each of length 1 (or 0), as little-endian float32."""

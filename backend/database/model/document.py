"""Documents: what a tenant's knowledge is made of. Their passages are in the keyword and vector indexes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, String, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from backend.database.model.base import Base, JsonType, UtcDateTime


class DocumentRow(Base):
    __tablename__ = "documents"
    __table_args__ = (
        UniqueConstraint("tenant_id", "source"),
        Index("ix_documents_recent", "tenant_id", "updated_at", "document_id"),
    )

    tenant_id: Mapped[str] = mapped_column(String(63), primary_key=True)
    document_id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    source: Mapped[str] = mapped_column(String(1024))
    """What names it to its owner (a path, a URL): the same source again is a new version."""
    title: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(String(127))
    sha256: Mapped[str] = mapped_column(String(64))
    """Of the content that is in the indexes; empty while they are being changed."""
    size: Mapped[int] = mapped_column(BigInteger)
    chunks: Mapped[int] = mapped_column(Integer)
    url: Mapped[str | None] = mapped_column(Text)
    meta: Mapped[dict[str, Any]] = mapped_column("metadata", JsonType)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    corpus: Mapped[str] = mapped_column(String(16), server_default="knowledge")
    """Which of the tenant's indexes holds its passages."""

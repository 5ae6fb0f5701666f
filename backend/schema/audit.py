"""The audit log on the wire."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.dto.tenant import AuditEntry


class AuditRead(BaseModel):
    """Something that was done."""

    audit_id: UUID
    actor: str = Field(description="The `user_id` of who did it.")
    action: str = Field(examples=["user.created"])
    target: str | None = Field(description="The id of what it was done to.")
    detail: dict[str, Any]
    address: str | None = Field(description="Of the client.")
    request_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls.model_validate({name: getattr(entry, name) for name in cls.model_fields})


class AuditList(BaseModel):
    """Entries of the audit log, the newest first."""

    items: list[AuditRead]
    next: str | None = Field(None, description="Ask with it as `before` for the next page; None when there is none.")
    total: int = Field(description="How many there are that the filters let through.")

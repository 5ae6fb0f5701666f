"""Attachments on the wire."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, Field

from backend.dto.ticket import Attachment, AttachmentStatus, ObjectType


class AttachmentRead(BaseModel):
    """A file that hangs on a ticket, a message or an article. The platform's own link to it is not shown."""

    id: UUID
    platform: str = Field(examples=["freshdesk"])
    attachment_id: str = Field(description="The platform's id.")
    parent_type: ObjectType
    parent_id: str = Field(description="The platform's id of what it hangs on.")
    ticket_id: str | None = Field(description="The platform's id of its ticket; null for an article's.")
    name: str
    content_type: str = Field(description="As the content says once it is stored; before, as the platform says.")
    size: int = Field(description="Bytes.")
    private: bool = Field(description="Whether it hangs on what a customer may not see.")
    status: AttachmentStatus
    reason: str | None = Field(description="Why it, or the text in it, is not there.")
    sha256: str | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, attachment: Attachment) -> Self:
        return cls(
            id=attachment.id,
            platform=attachment.platform,
            attachment_id=attachment.data.attachment_id,
            parent_type=attachment.parent_type,
            parent_id=attachment.parent_id,
            ticket_id=attachment.ticket_id,
            name=attachment.data.name,
            content_type=attachment.data.content_type,
            size=attachment.data.size,
            private=attachment.private,
            status=attachment.status,
            reason=attachment.reason,
            sha256=attachment.sha256,
            created_at=attachment.created_at,
            updated_at=attachment.updated_at,
        )


class AttachmentList(BaseModel):
    items: list[AttachmentRead]
    next: UUID | None = Field(description="`after` of the next page; null at the end.")
    total: int

"""Attachments of the support desk's tickets, messages and articles."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from backend.api.dependency import Attachments, Caller
from backend.api.download import BINARY, download
from backend.core.error import AttachmentNotFound, FileNotFound, Invalid, Unauthorized, Unavailable
from backend.core.storage.base import safe_name
from backend.dto.ticket import AttachmentStatus
from backend.schema.attachment import AttachmentList, AttachmentRead
from backend.schema.problem import problems

router = APIRouter(prefix="/attachments", tags=["attachments"])

LIST_LIMIT = 100


@router.get("", summary="List attachments", responses=problems(Unauthorized, Invalid))
async def list_attachments(
    caller: Caller,
    attachments: Attachments,
    ticket_id: Annotated[str | None, Query(max_length=64, description="The platform's id of a ticket.")] = None,
    platform: Annotated[str | None, Query(max_length=20, description="Of one platform alone.")] = None,
    status: Annotated[AttachmentStatus | None, Query(description="Of this status alone.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 20,
    after: Annotated[UUID | None, Query(description="`next` of the page before.")] = None,
) -> AttachmentList:
    """Return attachments, the oldest first."""
    if status == "removed":
        raise Invalid("What the platform has no more is not shown.")
    found = await attachments.list(
        caller, ticket_id=ticket_id, platform=platform, status=status, limit=limit + 1, after=after
    )
    page = found[:limit]
    return AttachmentList(
        items=[AttachmentRead.of(attachment) for attachment in page],
        next=page[-1].id if len(found) > limit else None,
        total=await attachments.count(caller, ticket_id=ticket_id, platform=platform, status=status),
    )


@router.get("/{attachment_id}", summary="Look at an attachment", responses=problems(Unauthorized, AttachmentNotFound))
async def get_attachment(attachment_id: UUID, caller: Caller, attachments: Attachments) -> AttachmentRead:
    """Return an attachment, without its content."""
    return AttachmentRead.of(await attachments.get(caller, attachment_id))


@router.head("/{attachment_id}/content", include_in_schema=False)
@router.get(
    "/{attachment_id}/content",
    summary="Download an attachment",
    response_class=Response,
    responses=BINARY | problems(Unauthorized, AttachmentNotFound, FileNotFound, Unavailable),
)
async def get_content(attachment_id: UUID, request: Request, caller: Caller, attachments: Attachments) -> Response:
    """Return the content, or the one part of it that `Range` names."""
    attachment, file, files = await attachments.content(caller, attachment_id)
    return await download(
        request, file, safe_name(attachment.data.name), lambda start, end: files.open(file.key, start, end)
    )

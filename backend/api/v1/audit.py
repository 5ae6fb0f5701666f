"""The audit log of a tenant."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from backend.api.dependency import Audit, Caller
from backend.core.error import Forbidden, Invalid, TenantNotFound, Unauthorized
from backend.dto.tenant import AuditFilter
from backend.schema.audit import AuditList, AuditRead
from backend.schema.problem import problems
from backend.schema.tenant import TenantId
from backend.service.permission import asking_for
from backend.util.cursor import decode_cursor, encode_cursor

router = APIRouter(prefix="/audit", tags=["audit"])

LIST_LIMIT = 200


@router.get("", summary="List what was done", responses=problems(Unauthorized, Forbidden, Invalid, TenantNotFound))
async def list_audit(
    caller: Caller,
    audit: Audit,
    action: Annotated[
        str | None,
        Query(max_length=63, pattern=r"^[a-z_.]+$", examples=["user.created"], description="What was done."),
    ] = None,
    actor: Annotated[
        str | None, Query(max_length=255, pattern=r"^[^\x00-\x1f]+$", description="The id of who did it.")
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="The first moment.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="The first moment that is no longer meant.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 50,
    before: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    tenant_id: Annotated[
        TenantId | None, Query(description="For an operator: whose log, also a deleted one's.")
    ] = None,
) -> AuditList:
    """Return who changed what in the tenant, the newest first."""
    try:
        behind = decode_cursor(before)[1] if before is not None else None
    except ValueError:
        raise Invalid("`before` is not the `next` of a page of this list.") from None
    wanted = AuditFilter(action=action, actor=actor, since=since, until=until)
    found, total = await audit.list(asking_for(caller, tenant_id), wanted, limit=limit + 1, before=behind)
    page = found[:limit]
    return AuditList(
        items=[AuditRead.of(entry) for entry in page],
        next=encode_cursor(page[-1].created_at, page[-1].audit_id) if len(found) > limit else None,
        total=total,
    )

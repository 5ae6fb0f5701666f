"""What was asked of the server, for those who look after a tenant."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.dependency import Caller, RequestLogs, Settings
from backend.core.error import Forbidden, Invalid, Unauthorized
from backend.schema.problem import problems
from backend.schema.request_log import RequestLineRead, RequestLogPage
from backend.util.cursor import decode_cursor, encode_cursor

router = APIRouter(prefix="/request-log", tags=["request-log"])

LIST_LIMIT = 200


@router.get("", summary="List requests", responses=problems(Unauthorized, Forbidden, Invalid))
async def list_requests(
    caller: Caller,
    log: RequestLogs,
    settings: Settings,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 50,
    before: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
) -> RequestLogPage:
    """Return the tenant's requests that were logged, the newest first; which ones are is the server's `REQUEST_LOG`."""
    try:
        behind = decode_cursor(before)[1] if before is not None else None
    except ValueError:
        raise Invalid("`before` is not the `next` of a page of this list.") from None
    found = await log.list(caller, limit=limit + 1, before=behind)
    page = found[:limit]
    return RequestLogPage(
        items=[RequestLineRead.of(line) for line in page],
        next=encode_cursor(page[-1].created_at, page[-1].log_id) if len(found) > limit else None,
        mode=settings.request_log,
    )

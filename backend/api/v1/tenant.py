"""Tenants: one's own for its administrators, all of them for the server's operator."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Query, Request, Response
from starlette.responses import StreamingResponse

from backend.api.dependency import Caller, Exports, Tenants, Users
from backend.core.error import (
    AlreadyThere,
    Conflict,
    Forbidden,
    Invalid,
    TenantNotFound,
    TooMany,
    Unauthorized,
    VersionConflict,
)
from backend.schema.problem import problems
from backend.schema.tenant import (
    OWNER_EXAMPLES,
    TENANT_EXAMPLES,
    FirstOwner,
    OwnTenantUpdate,
    TenantCreate,
    TenantId,
    TenantList,
    TenantRead,
    TenantUpdate,
)
from backend.schema.user import UserRead
from backend.service.export import ExportPage

router = APIRouter(tags=["tenants"])

LIST_LIMIT = 100
_NDJSON = "application/x-ndjson"
_EXPORT: dict[int | str, dict[str, Any]] = {
    200: {"description": "JSON documents, one a line.", "content": {_NDJSON: {"schema": {"type": "string"}}}}
}
_APPOINTED: dict[int | str, dict[str, Any]] = {
    200: {"model": UserRead, "description": "Somebody who was there, and is an owner now."}
}


@router.get("/tenant", summary="Get your tenant", responses=problems(Unauthorized, Forbidden))
async def get_own_tenant(caller: Caller, tenants: Tenants) -> TenantRead:
    """Return the caller's tenant."""
    return TenantRead.of(await tenants.own(caller))


@router.patch(
    "/tenant", summary="Change your tenant", responses=problems(Unauthorized, Forbidden, VersionConflict, Invalid)
)
async def update_own_tenant(body: OwnTenantUpdate, caller: Caller, tenants: Tenants) -> TenantRead:
    """Change the name or the settings of the caller's tenant."""
    return TenantRead.of(await tenants.update_own(caller, body.change(), body.version))


@router.get(
    "/tenant/export",
    summary="Take everything along",
    response_class=StreamingResponse,
    responses=_EXPORT | problems(Unauthorized, Forbidden),
)
async def export_own_tenant(caller: Caller, exports: Exports, request: Request) -> StreamingResponse:
    """Read all that the tenant has and the caller may read, as a stream of JSON documents, one a line.

    The first line says what comes, each other is a row of a table, and the last one says how many there were: without
    it, the export is not whole. Neither secrets nor their hashes are in it, nor the content of files.
    """
    recheck = request.scope.get("state", {}).get("recheck")
    parts = await exports.begin(caller, None if recheck is None else partial(recheck, request.scope))
    headers = {
        "Content-Disposition": f'attachment; filename="{caller.tenant_id}.ndjson"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_lines(parts), media_type=_NDJSON, headers=headers)


@router.get("/tenants", summary="List tenants", responses=problems(Unauthorized, Forbidden, Invalid))
async def list_tenants(
    caller: Caller,
    tenants: Tenants,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 20,
    after: Annotated[TenantId | None, Query(description="`next` of the page before.")] = None,
) -> TenantList:
    """Return the tenants of the server, by their ids."""
    found, total = await tenants.list(limit=limit + 1, after=after)
    page = found[:limit]
    return TenantList(
        items=[TenantRead.of(tenant) for tenant in page],
        next=page[-1].tenant_id if len(found) > limit else None,
        total=total,
    )


@router.post(
    "/tenants",
    summary="Make a tenant",
    status_code=201,
    responses=problems(Unauthorized, Forbidden, AlreadyThere, Invalid, TooMany),
)
async def create_tenant(
    body: Annotated[TenantCreate, Body(openapi_examples=TENANT_EXAMPLES)],
    caller: Caller,
    tenants: Tenants,
    users: Users,
    response: Response,
) -> TenantRead:
    """Make a tenant, and its first owner."""
    add_owner = None
    if body.owner is not None:
        add_owner = await users.newcomer(
            caller,
            body.tenant_id,
            email=body.owner.email,
            name=body.owner.name or "",
            role="owner",
            password=body.owner.password.get_secret_value(),
        )
    made = await tenants.create(caller, body.tenant_id, body.change(), add_owner)
    response.headers["Location"] = f"/api/v1/tenants/{made.tenant_id}"
    return TenantRead.of(made)


@router.get("/tenants/{tenant_id}", summary="Get a tenant", responses=problems(Unauthorized, Forbidden, TenantNotFound))
async def get_tenant(tenant_id: TenantId, caller: Caller, tenants: Tenants) -> TenantRead:
    """Return one tenant."""
    return TenantRead.of(await tenants.read(tenant_id))


@router.patch(
    "/tenants/{tenant_id}",
    summary="Change a tenant",
    responses=problems(Unauthorized, Forbidden, TenantNotFound, Conflict, VersionConflict, Invalid),
)
async def update_tenant(tenant_id: TenantId, body: TenantUpdate, caller: Caller, tenants: Tenants) -> TenantRead:
    """Change the name, plan, limits or settings of a tenant."""
    return TenantRead.of(await tenants.update(caller, tenant_id, body.change(), body.version))


@router.post(
    "/tenants/{tenant_id}/owners",
    summary="Give a tenant an owner",
    status_code=201,
    responses=_APPOINTED | problems(Unauthorized, Forbidden, TenantNotFound, Conflict, Invalid, TooMany),
)
async def appoint_owner(
    tenant_id: TenantId,
    body: Annotated[FirstOwner, Body(openapi_examples=OWNER_EXAMPLES)],
    caller: Caller,
    users: Users,
    response: Response,
) -> UserRead:
    """Make an owner who can log in: of a tenant that has none, or whose owners have lost their passwords.

    Who has the e-mail address already becomes an owner with this password, and every login of theirs ends.
    """
    password = body.password.get_secret_value()
    user, is_new = await users.appoint(caller, tenant_id, email=body.email, name=body.name or "", password=password)
    if not is_new:
        response.status_code = 200
    return UserRead.of(user)


@router.post(
    "/tenants/{tenant_id}/suspend",
    summary="Suspend a tenant",
    responses=problems(Unauthorized, Forbidden, TenantNotFound, Conflict),
)
async def suspend_tenant(tenant_id: TenantId, caller: Caller, tenants: Tenants) -> TenantRead:
    """Keep a tenant's people, keys and tokens out; nothing of it is lost."""
    return TenantRead.of(await tenants.suspend(caller, tenant_id))


@router.post(
    "/tenants/{tenant_id}/activate",
    summary="Let a tenant in again",
    responses=problems(Unauthorized, Forbidden, TenantNotFound, Conflict),
)
async def activate_tenant(tenant_id: TenantId, caller: Caller, tenants: Tenants) -> TenantRead:
    """Let a suspended tenant in again."""
    return TenantRead.of(await tenants.activate(caller, tenant_id))


@router.delete(
    "/tenants/{tenant_id}",
    summary="Delete a tenant",
    status_code=202,
    responses=problems(Unauthorized, Forbidden, TenantNotFound, Conflict),
)
async def delete_tenant(tenant_id: TenantId, caller: Caller, tenants: Tenants) -> TenantRead:
    """Keep a tenant out for good, and remove its data; its id is not given again.

    The answer comes before the data are gone: the tenant's `purged_at` says when that is. What was used and the audit
    log stay for the operator.
    """
    return TenantRead.of(await tenants.delete(caller, tenant_id))


async def _lines(parts: AsyncIterator[dict[str, Any] | ExportPage]) -> AsyncIterator[bytes]:
    async for part in parts:
        if not isinstance(part, ExportPage):
            yield _line(part)
        elif part.rows:
            yield b"".join(_line({"table": part.table, "row": row}) for row in part.rows)


def _line(value: dict[str, Any]) -> bytes:
    # PostgreSQL's driver has UUIDs of a class of its own.
    return orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)

"""API keys: what programs come in with."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query
from starlette.responses import Response

from backend.api.dependency import ApiKeys, Caller
from backend.core.error import ApiKeyNotFound, Forbidden, Invalid, Unauthorized
from backend.schema.api_key import API_KEY_EXAMPLES, ApiKeyCreate, ApiKeyCreated, ApiKeyList, ApiKeyRead
from backend.schema.problem import problems
from backend.util.cursor import decode_cursor, encode_cursor

router = APIRouter(prefix="/api-keys", tags=["api-keys"])

LIST_LIMIT = 100


@router.get("", summary="List API keys", responses=problems(Unauthorized, Forbidden, Invalid))
async def list_api_keys(
    caller: Caller,
    keys: ApiKeys,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 20,
    before: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
) -> ApiKeyList:
    """Return the tenant's API keys, the newest first, revoked ones too."""
    try:
        behind = decode_cursor(before) if before is not None else None
    except ValueError:
        raise Invalid("`before` is not the `next` of a page of this list.") from None
    found, total = await keys.list(caller, limit=limit + 1, before=behind)
    page = found[:limit]
    return ApiKeyList(
        items=[ApiKeyRead.of(key) for key in page],
        next=encode_cursor(page[-1].created_at, page[-1].key_id) if len(found) > limit else None,
        total=total,
    )


@router.post("", summary="Make an API key", status_code=201, responses=problems(Unauthorized, Forbidden, Invalid))
async def create_api_key(
    body: Annotated[ApiKeyCreate, Body(openapi_examples=API_KEY_EXAMPLES)],
    caller: Caller,
    keys: ApiKeys,
    response: Response,
) -> ApiKeyCreated:
    """Make a key. This answer is the only one that shows it."""
    key, secret = await keys.create(caller, name=body.name, scopes=body.scopes, expires_at=body.expires_at)
    response.headers["Location"] = f"/api/v1/api-keys/{key.key_id}"
    response.headers["Cache-Control"] = "no-store"
    return ApiKeyCreated.made(key, secret)


@router.get("/{key_id}", summary="Get an API key", responses=problems(Unauthorized, Forbidden, ApiKeyNotFound))
async def get_api_key(key_id: UUID, caller: Caller, keys: ApiKeys) -> ApiKeyRead:
    """Return one key of the tenant."""
    return ApiKeyRead.of(await keys.get(caller, key_id))


@router.delete("/{key_id}", summary="Revoke an API key", responses=problems(Unauthorized, Forbidden, ApiKeyNotFound))
async def revoke_api_key(key_id: UUID, caller: Caller, keys: ApiKeys) -> ApiKeyRead:
    """End a key; it stays in the list."""
    return ApiKeyRead.of(await keys.revoke(caller, key_id))

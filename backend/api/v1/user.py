"""A tenant's people."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response

from backend.api.dependency import Caller, Users
from backend.core.error import (
    AlreadyThere,
    Conflict,
    Forbidden,
    Invalid,
    TooMany,
    Unauthorized,
    UserNotFound,
)
from backend.dto.tenant import UserFilter, UserStatus
from backend.schema.problem import problems
from backend.schema.user import USER_EXAMPLES, Role, UserCreate, UserList, UserRead, UserUpdate
from backend.util.cursor import decode_cursor, encode_cursor

router = APIRouter(prefix="/users", tags=["users"])

LIST_LIMIT = 100


@router.get("", summary="List users", responses=problems(Unauthorized, Forbidden, Invalid))
async def list_users(
    caller: Caller,
    users: Users,
    role: Annotated[Role | None, Query(description="With this role alone.")] = None,
    status: Annotated[UserStatus | None, Query(description="Of this status alone.")] = None,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 20,
    before: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
) -> UserList:
    """Return users of the tenant, the newest first."""
    try:
        behind = decode_cursor(before)[1] if before is not None else None
    except ValueError:
        raise Invalid("`before` is not the `next` of a page of this list.") from None
    found, total = await users.list(caller, UserFilter(role=role, status=status), limit=limit + 1, before=behind)
    page = found[:limit]
    return UserList(
        items=[UserRead.of(user) for user in page],
        next=encode_cursor(page[-1].created_at, page[-1].user_id) if len(found) > limit else None,
        total=total,
    )


@router.post(
    "",
    summary="Make a user",
    status_code=201,
    responses=problems(Unauthorized, Forbidden, AlreadyThere, Invalid, TooMany),
)
async def create_user(
    body: Annotated[UserCreate, Body(openapi_examples=USER_EXAMPLES)],
    caller: Caller,
    users: Users,
    response: Response,
) -> UserRead:
    """Make a user of the tenant, with a role that may nothing which the caller may not."""
    password = None if body.password is None else body.password.get_secret_value()
    user = await users.create(caller, email=body.email, name=body.name or "", role=body.role, password=password)
    response.headers["Location"] = f"/api/v1/users/{user.user_id}"
    return UserRead.of(user)


@router.get("/me", summary="Get yourself", responses=problems(Unauthorized, UserNotFound))
async def get_me(caller: Caller, users: Users) -> UserRead:
    """Return the user who asks; a token or a key is nobody's."""
    return UserRead.of(await users.me(caller))


@router.get("/{user_id}", summary="Get a user", responses=problems(Unauthorized, Forbidden, UserNotFound))
async def get_user(user_id: UUID, caller: Caller, users: Users) -> UserRead:
    """Return one user of the tenant."""
    return UserRead.of(await users.get(caller, user_id))


@router.patch(
    "/{user_id}",
    summary="Change a user",
    responses=problems(Unauthorized, Forbidden, UserNotFound, AlreadyThere, Conflict, Invalid, TooMany),
)
async def update_user(user_id: UUID, body: UserUpdate, caller: Caller, users: Users) -> UserRead:
    """Change a user. All but another name ends every login of the user."""
    return UserRead.of(await users.update(caller, user_id, body.change()))


@router.delete(
    "/{user_id}",
    summary="Remove a user",
    status_code=204,
    responses=problems(Unauthorized, Forbidden, UserNotFound, Conflict),
)
async def delete_user(user_id: UUID, caller: Caller, users: Users) -> None:
    """Remove a user, with its logins and the API keys that it made."""
    await users.delete(caller, user_id)

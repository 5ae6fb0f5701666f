"""Logging in and out."""

from typing import Annotated

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from backend.api.dependency import Caller, Logins, Users
from backend.core.error import Forbidden, Invalid, TooMany, Unauthorized, UserNotFound
from backend.schema.auth import LOGIN_EXAMPLES, LoginRequest, LoginResult, Me, PasswordChange, RefreshRequest
from backend.schema.problem import problems
from backend.schema.user import UserRead
from backend.service.token import Tokens

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/login", summary="Log in", responses=problems(Unauthorized, Forbidden, TooMany))
async def log_in(
    body: Annotated[LoginRequest, Body(openapi_examples=LOGIN_EXAMPLES)],
    logins: Logins,
    request: Request,
    response: Response,
) -> LoginResult:
    """Return an access token for minutes, and a refresh token for the next one."""
    password = body.password.get_secret_value()
    return _shown(await logins.log_in(body.tenant_id, body.email, password, _address(request)), response)


@router.post("/refresh", summary="Stay logged in", responses=problems(Unauthorized, Forbidden, TooMany))
async def refresh(body: RefreshRequest, logins: Logins, request: Request, response: Response) -> LoginResult:
    """Return new tokens; the refresh token is used up. One that comes a second time ends its whole login."""
    return _shown(await logins.refresh(body.refresh_token.get_secret_value(), _address(request)), response)


@router.post("/logout", summary="Log out", status_code=204)
async def log_out(body: RefreshRequest, logins: Logins) -> None:
    """End the login that a refresh token came of; its access tokens end with it."""
    await logins.log_out(body.refresh_token.get_secret_value())


@router.post(
    "/logout-all", summary="Log out everywhere", status_code=204, responses=problems(Unauthorized, UserNotFound)
)
async def log_out_everywhere(caller: Caller, users: Users) -> None:
    """End every login of the caller."""
    await users.log_out_everywhere(caller)


@router.get("/me", summary="Who am I?", responses=problems(Unauthorized))
async def me(caller: Caller, users: Users) -> Me:
    """Return who the caller is, and what is open to it."""
    user = await users.find_me(caller)
    return Me.of(caller, None if user is None else UserRead.of(user))


@router.post(
    "/password",
    summary="Change your password",
    responses=problems(Unauthorized, UserNotFound, Invalid, TooMany),
)
async def change_password(
    body: PasswordChange, caller: Caller, logins: Logins, request: Request, response: Response
) -> LoginResult:
    """Change the caller's own password; every login ends, and this answer begins a new one."""
    current, new = body.current_password.get_secret_value(), body.new_password.get_secret_value()
    return _shown(await logins.change_password(caller, current, new, _address(request)), response)


def _shown(tokens: Tokens, response: Response) -> LoginResult:
    response.headers["Cache-Control"] = "no-store"
    return LoginResult(
        access_token=tokens.access_token,
        expires_in=tokens.expires_in,
        refresh_token=tokens.refresh_token,
        user=UserRead.of(tokens.user),
    )


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""

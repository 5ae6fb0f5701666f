"""Logging in: passwords become an access token for minutes and a refresh token that is good once.

A refresh token is opaque and rotates: using it gives the next one of its family. One that is used again was stolen, by
whoever came first or second, so the family ends (RFC 9700 §4.14.2). A second use that arrived before the first one was
done is a race of one client with itself: it is refused, and the family lives.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from backend.core.error import Forbidden, TooMany, Unauthorized
from backend.core.password import MAX_LENGTH, PasswordHasher
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.tenant import User
from backend.repository.refresh_token import AllRefreshTokens, RefreshTokenRepository
from backend.repository.user import UserRepository
from backend.service.access_token import AccessTokens
from backend.service.audit import AuditPen
from backend.service.failure_limit import FailureLimit
from backend.service.permission import ROLES
from backend.service.recent import Recent
from backend.service.tenant import SUSPENDED, TenantService
from backend.service.user import UserService
from backend.util.id_generator import new_id

PREFIX = "ddr_"
NOBODY = "nobody"
"""The actor of who could not log in."""
WRONG_LOGIN = "Invalid e-mail address or password"
WRONG_REFRESH = "Invalid refresh token"
_SWEEP_BATCH = 500


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a login gives."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    """Seconds for which the access token is good."""
    user: User


@dataclass(frozen=True, slots=True)
class _Refreshed:
    """What became of a refresh token."""

    outcome: Literal["unknown", "raced", "reused", "refused", "taken"]
    user: User | None = None
    family_id: UUID | None = None


class TokenService:
    def __init__(
        self,
        database: Database,
        tenants: TenantService,
        users: UserService,
        access_tokens: AccessTokens,
        passwords: PasswordHasher,
        clock: Callable[[], datetime],
        *,
        refresh_ttl: float,
        address_failures: FailureLimit | None = None,
        account_failures: FailureLimit | None = None,
    ) -> None:
        """`refresh_ttl` is the seconds for which a refresh token is good."""
        self._database = database
        self._tenants = tenants
        self._users = users
        self._access_tokens = access_tokens
        self._passwords = passwords
        self._clock = clock
        self._refresh_ttl = timedelta(seconds=refresh_ttl)
        self._address_failures = address_failures or FailureLimit(20, 60)
        self._account_failures = account_failures or FailureLimit(10, 300)
        self._families: Recent[tuple[str, UUID], bool] = Recent(self._is_alive)

    async def find(self, token: str) -> Principal | None:
        """Return who comes in with an access token; None when what it says no longer holds.

        Raises:
            Expired: it is too old.
            Unauthorized: it is none of ours.
        """
        claims = self._access_tokens.read(token)
        user = await self._users.recent(claims.tenant_id, claims.user_id)
        if user is None or user.status != "active" or user.token_version != claims.token_version:
            return None
        if not await self._families.get((claims.tenant_id, claims.family_id)):
            return None
        return Principal(user.tenant_id, str(user.user_id), frozenset({user.role}), scopes=ROLES[user.role])

    async def log_in(self, tenant_id: str, email: str, password: str, address: str = "") -> Tokens:
        """Return tokens for who knows the password.

        Whatever is wrong (tenant, address, password, a disabled user), the answer and the work for it are the same.

        Raises:
            Unauthorized: something is wrong.
            Forbidden: all is right, and the tenant is suspended.
            TooMany: too many failures from this client, or for this account.
        """
        email = email.strip().lower()
        account = f"{tenant_id}\n{email}"
        limits = ((self._address_failures, address), (self._account_failures, account))
        for failures, key in limits:
            if seconds := failures.wait(key):
                raise TooMany(f"Too many failed attempts. Try again in {seconds} seconds.", seconds)
        for failures, key in limits:  # counted before they are made, so that many at once are not more
            failures.count(key)
        found = await self._database.read(lambda connection: UserRepository(connection, tenant_id).find_login(email))
        user, kept = found or (None, None)
        right, renewed = await self._passwords.verify(kept, password[: MAX_LENGTH + 1])
        if not right or user is None or user.status != "active":
            logger.warning("a login from {address} failed", address=address or "an unknown address")
            await self._note_failure(tenant_id, user, "wrong password" if not right else "disabled")
            raise Unauthorized(WRONG_LOGIN)
        for failures, key in limits:
            failures.forgive(key)
        if not await self._tenants.is_active(tenant_id):
            raise Forbidden(SUSPENDED)
        return await self._begin(user, "user.logged_in", rehash=(kept, renewed) if kept and renewed else None)

    async def _note_failure(self, tenant_id: str, user: User | None, reason: str) -> None:
        """Record a login that failed in the log of the tenant whose user it was for.

        For nobody the same is done and undone: the time must not tell who is a user. Nor is the address kept that was
        tried; people type their passwords there.
        """
        now = self._clock()
        pen = AuditPen.of(NOBODY)

        def work(connection: Connection) -> None:
            target = new_id() if user is None else user.user_id
            with connection.begin_nested() as entry:
                pen.write(connection, tenant_id, "user.login_failed", now, target, reason=reason)
                if user is None:
                    entry.rollback()

        await self._database.write(work, durable=False)

    async def refresh(self, refresh_token: str, address: str = "") -> Tokens:
        """Return new tokens for a refresh token that was not used before.

        Raises:
            Unauthorized: it is unknown, too old, revoked, or used; then, unless two uses raced, its family has ended.
            Forbidden: the tenant is suspended.
            TooMany: too many unknown ones came from this client.
        """
        if seconds := self._address_failures.wait(address):
            raise TooMany(f"Too many failed attempts. Try again in {seconds} seconds.", seconds)
        token_hash = _hash(refresh_token)
        arrived = self._clock()
        pen = AuditPen.of("refresh-token")
        found = await self._database.read(lambda connection: AllRefreshTokens(connection).find(token_hash))
        if found is None:
            self._address_failures.count(address)
            raise Unauthorized(WRONG_REFRESH)
        tenant_id, family_id = found.tenant_id, found.family_id
        if not await self._tenants.is_active(tenant_id):
            raise Forbidden(SUSPENDED)
        next_token = _new_token()

        def work(connection: Connection) -> _Refreshed:
            # What ends a user's logins waits for this, or this for it: a token made meanwhile would outlive them.
            user = UserRepository(connection, tenant_id).lock(found.user_id)
            tokens = RefreshTokenRepository(connection, tenant_id)
            now = self._clock()  # when it is used, not when it was asked for: see the module
            if not tokens.use(token_hash, now):
                kept = AllRefreshTokens(connection).find(token_hash)
                if kept is None or kept.revoked_at is not None or kept.used_at is None:
                    return _Refreshed("refused")
                if arrived < kept.used_at:
                    return _Refreshed("raced")
                tokens.revoke_family(family_id, now)
                pen.write(connection, tenant_id, "refresh_token.reused", now, found.user_id)
                return _Refreshed("reused")
            if user is None or user.status != "active":
                return _Refreshed("refused")
            tokens.add(_hash(next_token), user.user_id, family_id, now, now + self._refresh_ttl)
            return _Refreshed("taken", user)

        done = await self._database.write(work)
        if done.outcome == "reused":
            self._families.forget((tenant_id, family_id))
            logger.warning("a used refresh token came again: its login has ended", tenant_id=tenant_id)
        if done.user is None:
            raise Unauthorized(WRONG_REFRESH)
        return self._tokens(done.user, family_id, next_token)

    async def log_out(self, refresh_token: str) -> None:
        """End the login that a refresh token came of, with its access tokens; an unknown one ends nothing."""
        token_hash = _hash(refresh_token)
        found = await self._database.read(lambda connection: AllRefreshTokens(connection).find(token_hash))
        if found is None:
            return
        now = self._clock()
        pen = AuditPen.of(str(found.user_id))

        def work(connection: Connection) -> None:
            UserRepository(connection, found.tenant_id).lock(found.user_id)  # as for `refresh`
            if RefreshTokenRepository(connection, found.tenant_id).revoke_family(found.family_id, now):
                pen.write(connection, found.tenant_id, "user.logged_out", now, found.user_id)

        await self._database.write(work)
        self._families.forget((found.tenant_id, found.family_id))

    async def change_password(self, principal: Principal, current: str, new: str, address: str = "") -> Tokens:
        """Change the caller's own password; every login ends, and a new one begins.

        Raises:
            UserNotFound: the caller came in with a token or a key, which is nobody's.
            Unauthorized: `current` is wrong.
            TooMany: it was wrong too often.
            Invalid: `new` is none.
        """
        account = f"{principal.tenant_id}\n{principal.user_id}"
        limits = ((self._address_failures, address), (self._account_failures, account))
        for failures, key in limits:
            if seconds := failures.wait(key):
                raise TooMany(f"Too many failed attempts. Try again in {seconds} seconds.", seconds)
        for failures, key in limits:
            failures.count(key)
        user = await self._users.change_password(principal, current, new)
        for failures, key in limits:
            failures.forgive(key)
        return await self._begin(user, "user.logged_in")

    async def sweep(self) -> int:
        """Remove refresh tokens that are too old to be used; return how many."""
        now = self._clock()
        gone = 0
        while True:
            count = await self._database.write(
                lambda connection: AllRefreshTokens(connection).delete_expired(now, _SWEEP_BATCH), durable=False
            )
            gone += count
            if count < _SWEEP_BATCH:
                return gone

    async def _begin(self, user: User, action: str, *, rehash: tuple[str, str] | None = None) -> Tokens:
        now = self._clock()
        family_id = new_id()
        token = _new_token()
        pen = AuditPen.of(str(user.user_id))

        def work(connection: Connection) -> bool:
            users = UserRepository(connection, user.tenant_id)
            known = users.lock(user.user_id)
            if known is None or (known.status, known.token_version) != ("active", user.token_version):
                return False  # disabled, or given another password, while this one was compared
            users.logged_in(user.user_id, now)
            if rehash is not None:
                users.rehash(user.user_id, *rehash)
            tokens = RefreshTokenRepository(connection, user.tenant_id)
            tokens.add(_hash(token), user.user_id, family_id, now, now + self._refresh_ttl)
            pen.write(connection, user.tenant_id, action, now, user.user_id)
            return True

        if not await self._database.write(work):
            raise Unauthorized(WRONG_LOGIN)
        return self._tokens(user, family_id, token)

    def _tokens(self, user: User, family_id: UUID, refresh_token: str) -> Tokens:
        access_token = self._access_tokens.issue(user, family_id, self._clock())
        return Tokens(access_token, refresh_token, self._access_tokens.ttl, user)

    async def _is_alive(self, key: tuple[str, UUID]) -> bool:
        tenant_id, family_id = key
        return await self._database.read(
            lambda connection: RefreshTokenRepository(connection, tenant_id).is_alive(family_id)
        )


def _new_token() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

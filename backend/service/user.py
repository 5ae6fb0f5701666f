"""A tenant's people: who they are, what they may, and their passwords.

Nobody gives, changes or takes away a role above the own one, nor gives one that may more than the giver; and a tenant
keeps its last owner.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from backend.core.error import AlreadyThere, Conflict, Forbidden, Invalid, Unauthorized, UserNotFound
from backend.core.password import MAX_LENGTH, MIN_LENGTH, PasswordHasher, is_guessable
from backend.database.base import Database
from backend.dto.principal import OPERATE, Principal
from backend.dto.tenant import User, UserChange, UserFilter
from backend.repository.refresh_token import RefreshTokenRepository
from backend.repository.tenant import TenantRepository
from backend.repository.user import TAKEN, UserRepository
from backend.service.api_key import ApiKeyService
from backend.service.audit import AuditPen
from backend.service.permission import ROLES, may_give, outranks
from backend.service.recent import Recent
from backend.util.id_generator import new_id

EMAIL_LIMIT = 320
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]+")
WRONG_PASSWORD = "The current password is wrong."  # noqa: S105  # what the caller is told


class UserService:
    """`recent` answers the door; it knows of changes here at once, and of others' within seconds."""

    def __init__(
        self, database: Database, passwords: PasswordHasher, api_keys: ApiKeyService, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._api_keys = api_keys
        self._clock = clock
        self._recent: Recent[tuple[str, UUID], User | None] = Recent(self._read)

    async def recent(self, tenant_id: str, user_id: UUID) -> User | None:
        """Return a user as it was a few seconds ago; None when there is none."""
        return await self._recent.get((tenant_id, user_id))

    async def create(self, principal: Principal, *, email: str, name: str, role: str, password: str | None) -> User:
        """Make a user of the caller's tenant; without a password it cannot log in. Raises what `newcomer` does."""
        add = await self.newcomer(principal, principal.tenant_id, email=email, name=name, role=role, password=password)
        return await self._database.write(add)

    async def newcomer(
        self, principal: Principal, tenant_id: str, *, email: str, name: str, role: str, password: str | None
    ) -> Callable[[Connection], User]:
        """Return what makes a user in somebody's transaction, where it raises AlreadyThere for a known address.

        Args:
            principal: who makes it.
            tenant_id: the caller's own, or the new one of an operator who makes its first owner.
            email: an address, by which it logs in.
            name: what it is called; without one, the address.
            role: one that may nothing which `principal` may not.
            password: of 8 to 256 characters.

        Raises:
            Forbidden: the role may do more than the caller.
            Invalid: the role, the address or the password is none.
        """
        _check_role(principal, role)
        address = clean_email(email)
        password_hash = None
        if password is not None:
            _check_password(password, address, tenant_id)
            password_hash = await self._hash(password)
        return self._adding(principal, tenant_id, address, name, role, password_hash)

    def _adding(
        self, principal: Principal, tenant_id: str, address: str, name: str, role: str, password_hash: str | None
    ) -> Callable[[Connection], User]:
        now = self._clock()
        pen = AuditPen.of(principal)
        user = User(
            user_id=new_id(),
            tenant_id=tenant_id,
            email=address,
            name=name or address,
            role=role,
            status="active",
            token_version=1,
            created_at=now,
            updated_at=now,
        )

        def add(connection: Connection) -> User:
            if not UserRepository(connection, tenant_id).insert(user, password_hash):
                raise AlreadyThere(TAKEN)
            pen.write(connection, tenant_id, "user.created", now, user.user_id, role=role)
            return user

        return add

    async def appoint(
        self, principal: Principal, tenant_id: str, *, email: str, name: str, password: str
    ) -> tuple[User, bool]:
        """Make somebody an owner who can log in, whoever it was before; return the user, and whether it is a new one.

        It is for the operator: the way into a tenant that has no owner, or whose owners have lost their passwords.

        Raises:
            TenantNotFound: it has no row.
            Conflict: it was deleted.
            Forbidden: the caller is no operator.
            Invalid: the address or the password is none.
        """
        if OPERATE not in principal.scopes:
            raise Forbidden("Only the operator makes an owner of another tenant.")
        address = clean_email(email)
        _check_password(password, address, tenant_id)
        password_hash = await self._hash(password)
        add = self._adding(principal, tenant_id, address, name, "owner", password_hash)
        now = self._clock()
        pen = AuditPen.of(principal)

        def work(connection: Connection) -> tuple[User, bool]:
            if TenantRepository(connection, tenant_id).get().status == "deleted":
                raise Conflict(f"Tenant {tenant_id} was deleted.")
            users = UserRepository(connection, tenant_id)
            found = users.find_login(address)
            if found is None:
                return add(connection), True
            user_id = found[0].user_id
            values = {"role": "owner", "status": "active", "password_hash": password_hash}
            users.change(user_id, now, revoke=True, **values)
            RefreshTokenRepository(connection, tenant_id).revoke_user(user_id, now)
            changed = [name for name in ("role", "status") if getattr(found[0], name) != values[name]]
            pen.write(connection, tenant_id, "user.updated", now, user_id, changed=[*changed, "password"], role="owner")
            return users.get(user_id), False

        user, is_new = await self._database.write(work)
        self._forget(tenant_id, user.user_id, [])
        return user, is_new

    async def get(self, principal: Principal, user_id: UUID) -> User:
        """Return a user of the tenant.

        Raises:
            UserNotFound: no such user, or another tenant's.
        """
        return await self._database.read(
            lambda connection: UserRepository(connection, principal.tenant_id).get(user_id)
        )

    async def find_me(self, principal: Principal) -> User | None:
        """Return the caller; None for one who came in with a token or a key, or by a project's own authentication."""
        user_id = user_id_of(principal)
        if user_id is None:
            return None
        tenant_id = principal.tenant_id
        return await self._database.read(lambda connection: UserRepository(connection, tenant_id).find(user_id))

    async def me(self, principal: Principal) -> User:
        """Return the caller.

        Raises:
            UserNotFound: the caller is no user of ours.
        """
        found = await self.find_me(principal)
        if found is None:
            raise UserNotFound(principal.user_id)
        return found

    async def update(self, principal: Principal, user_id: UUID, change: UserChange) -> User:
        """Change a user. A new address, role or password and being disabled end what the user was let in with.

        Raises:
            UserNotFound: no such user, or another tenant's.
            AlreadyThere: another one has the address.
            Forbidden: the user's role is above the caller's, or the one whose role or password is given may do more.
            Conflict: the tenant would lose its last owner.
            Invalid: the address, the role or the password is none.
        """
        tenant_id = principal.tenant_id
        address = None if change.email is None else clean_email(change.email)
        if change.role is not None:
            _check_role(principal, change.role)
        now = self._clock()
        pen = AuditPen.of(principal)
        password_hash = None if change.password is None else await self._hash(change.password)

        def work(connection: Connection) -> tuple[User, list[str]]:
            users = UserRepository(connection, tenant_id)
            before = users.get(user_id)
            _check_rank(principal, before)
            email = address or before.email
            after = replace(
                before,
                email=email,
                name=change.name or (email if before.name == before.email else before.name),
                role=change.role or before.role,
                status=change.status or before.status,
            )
            if change.password is not None:
                _check_role(principal, after.role)  # who sets it can log in with it
                _check_password(change.password, after.email, tenant_id)
            if before.role == "owner" and (after.role != "owner" or after.status != "active"):
                _keep_an_owner(users, user_id)
            revoke = password_hash is not None or any(
                getattr(after, name) != getattr(before, name) for name in ("email", "role", "status")
            )
            values = {"name": after.name, "role": after.role, "status": after.status}
            if after.email != before.email:
                values["email"] = after.email
            if password_hash is not None:
                values["password_hash"] = password_hash
            users.change(user_id, now, revoke=revoke, **values)
            ended: list[str] = []
            if revoke:
                RefreshTokenRepository(connection, tenant_id).revoke_user(user_id, now)
                scopes = ROLES[after.role] if after.status == "active" else frozenset()
                ended = self._api_keys.narrow(connection, tenant_id, str(user_id), scopes, now, pen)
            changed = [
                name for name in ("email", "name", "role", "status") if getattr(after, name) != getattr(before, name)
            ]
            changed += ["password"] if password_hash is not None else []
            detail = {name: getattr(after, name) for name in changed if name in {"role", "status"}}
            pen.write(connection, tenant_id, "user.updated", now, user_id, changed=changed, **detail)
            return users.get(user_id), ended

        user, ended = await self._database.write(work)
        self._forget(tenant_id, user_id, ended)
        return user

    async def delete(self, principal: Principal, user_id: UUID) -> None:
        """Remove a user, with everything that lets it in.

        Raises:
            UserNotFound: no such user, or another tenant's.
            Forbidden: the user's role is above the caller's.
            Conflict: the tenant would lose its last owner.
        """
        tenant_id = principal.tenant_id
        now = self._clock()
        pen = AuditPen.of(principal)

        def work(connection: Connection) -> list[str]:
            users = UserRepository(connection, tenant_id)
            user = users.get(user_id)
            _check_rank(principal, user)
            if user.role == "owner":
                _keep_an_owner(users, user_id)
            ended = self._api_keys.narrow(connection, tenant_id, str(user_id), frozenset(), now, pen)
            users.delete(user_id)
            pen.write(connection, tenant_id, "user.deleted", now, user_id, role=user.role)
            return ended

        self._forget(tenant_id, user_id, await self._database.write(work))

    async def change_password(self, principal: Principal, current: str, new: str) -> User:
        """Change the caller's own password, which ends every login of the caller; return the user as it is then.

        Raises:
            UserNotFound: the caller came in with a token or a key.
            Unauthorized: `current` is wrong.
            Invalid: `new` is none.
        """
        user_id = user_id_of(principal)
        if user_id is None:
            raise UserNotFound(principal.user_id)
        tenant_id = principal.tenant_id
        kept = await self._database.read(
            lambda connection: UserRepository(connection, tenant_id).password_hash(user_id)
        )
        right, _ = await self._passwords.verify(kept, current)
        if not right:
            raise Unauthorized(WRONG_PASSWORD)
        password_hash = await self._hash(new)
        now = self._clock()
        pen = AuditPen.of(principal)

        def work(connection: Connection) -> User:
            users = UserRepository(connection, tenant_id)
            _check_password(new, users.get(user_id).email, tenant_id)
            users.change(user_id, now, revoke=True, password_hash=password_hash)
            RefreshTokenRepository(connection, tenant_id).revoke_user(user_id, now)
            pen.write(connection, tenant_id, "user.password_changed", now, user_id)
            return users.get(user_id)

        user = await self._database.write(work)
        self._forget(tenant_id, user_id, [])
        return user

    async def log_out_everywhere(self, principal: Principal) -> None:
        """End every login of the caller.

        Raises:
            UserNotFound: the caller came in with a token or a key.
        """
        user_id = user_id_of(principal)
        if user_id is None:
            raise UserNotFound(principal.user_id)
        tenant_id = principal.tenant_id
        now = self._clock()
        pen = AuditPen.of(principal)

        def work(connection: Connection) -> None:
            UserRepository(connection, tenant_id).change(user_id, now, revoke=True)
            RefreshTokenRepository(connection, tenant_id).revoke_user(user_id, now)
            pen.write(connection, tenant_id, "user.logged_out_everywhere", now, user_id)

        await self._database.write(work)
        self._forget(tenant_id, user_id, [])

    async def list(
        self, principal: Principal, wanted: UserFilter, *, limit: int, before: UUID | None = None
    ) -> tuple[list[User], int]:
        """Return users of the tenant, the newest first, and how many there are in all."""

        def work(connection: Connection) -> tuple[list[User], int]:
            users = UserRepository(connection, principal.tenant_id)
            return users.list(wanted, limit, before), users.count(wanted)

        return await self._database.read(work)

    def _forget(self, tenant_id: str, user_id: UUID, key_hashes: Sequence[str]) -> None:
        self._recent.forget((tenant_id, user_id))
        for key_hash in key_hashes:
            self._api_keys.forget(key_hash)

    async def _hash(self, password: str) -> str:
        if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
            raise Invalid(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")
        return await self._passwords.hash(password)

    async def _read(self, key: tuple[str, UUID]) -> User | None:
        tenant_id, user_id = key
        return await self._database.read(lambda connection: UserRepository(connection, tenant_id).find(user_id))


def user_id_of(principal: Principal) -> UUID | None:
    """Return the id of the user who asks; None for a token or a key, which is nobody's."""
    try:
        return UUID(principal.user_id)
    except ValueError:
        return None


def clean_email(text: str) -> str:
    """Return an e-mail address as it is kept: without spaces around it, in lower case.

    Raises:
        Invalid: it is none.
    """
    email = text.strip().lower()
    if len(email) > EMAIL_LIMIT or not _EMAIL.fullmatch(email):
        raise Invalid("This is not an e-mail address.")
    return email


def _check_password(password: str, email: str, tenant_id: str) -> None:
    if is_guessable(password, (email.partition("@")[0], email, tenant_id)):
        raise Invalid(
            "This password is among the first that are guessed. Take a few words that have nothing in common."
        )


def _check_role(principal: Principal, role: str) -> None:
    if role not in ROLES:
        raise Invalid(f"A role is one of {', '.join(ROLES)}.")
    if not may_give(principal, role):
        raise Forbidden(f"The role {role} may do more than you.")


def _check_rank(principal: Principal, user: User) -> None:
    if not outranks(principal, user.role):
        raise Forbidden(f"The role {user.role} is above yours.")


def _keep_an_owner(users: UserRepository, user_id: UUID) -> None:
    owners = users.active_owners()
    if owners and owners <= {user_id}:
        raise Conflict("This is the last owner of the tenant; make another one first.")

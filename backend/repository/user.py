"""All SQL of a tenant's people."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, delete, func, select, update
from sqlalchemy.exc import IntegrityError

from backend.core.error import AlreadyThere, UserNotFound
from backend.database.model import UserRow, table_of
from backend.dto.tenant import User, UserFilter
from backend.repository.scope import Scoped
from backend.repository.upsert import insert_into

_users = table_of(UserRow)
TAKEN = "There is a user with this e-mail address already."


class UserRepository(Scoped):
    """The people of one tenant. Password hashes leave only by `find_login`."""

    def insert(self, user: User, password_hash: str | None) -> bool:
        """Add a user; return False, and change nothing, when somebody has the e-mail address."""
        made = insert_into(self._connection, _users)
        values = {
            "tenant_id": self._tenant_id,
            "user_id": user.user_id,
            "email": user.email,
            "name": user.name,
            "role": user.role,
            "status": user.status,
            "password_hash": password_hash,
            "token_version": user.token_version,
            "created_at": user.created_at,
            "updated_at": user.updated_at,
            "last_login_at": user.last_login_at,
        }
        statement = made.on_conflict_do_nothing(index_elements=["tenant_id", "email"])
        return self._connection.execute(statement, values).rowcount == 1

    def find(self, user_id: UUID) -> User | None:
        row = self._connection.execute(select(_users).where(self._one(user_id))).one_or_none()
        return None if row is None else _user(row)

    def get(self, user_id: UUID) -> User:
        """Return a user.

        Raises:
            UserNotFound: no such user, or another tenant's.
        """
        found = self.find(user_id)
        if found is None:
            raise UserNotFound(user_id)
        return found

    def lock(self, user_id: UUID) -> User | None:
        """Return a user whom nobody else changes until the transaction ends."""
        row = self._connection.execute(select(_users).where(self._one(user_id)).with_for_update()).one_or_none()
        return None if row is None else _user(row)

    def find_login(self, email: str) -> tuple[User, str | None] | None:
        """Return who has an e-mail address, with the hash of the password."""
        query = select(_users).where(_users.c.tenant_id == self._tenant_id, _users.c.email == email)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else (_user(row), row.password_hash)

    def password_hash(self, user_id: UUID) -> str | None:
        return self._connection.scalar(select(_users.c.password_hash).where(self._one(user_id)))

    def change(self, user_id: UUID, now: datetime, *, revoke: bool = False, **values: Any) -> None:
        """Write some columns; `revoke` also raises the token version, which ends every access token.

        Raises:
            UserNotFound: no such user, or another tenant's.
            AlreadyThere: another one has the e-mail address.
        """
        if revoke:
            values["token_version"] = _users.c.token_version + 1
        statement = update(_users).where(self._one(user_id)).values(updated_at=now, **values)
        try:
            changed = self._connection.execute(statement).rowcount
        except IntegrityError:
            raise AlreadyThere(TAKEN) from None
        if changed == 0:
            raise UserNotFound(user_id)

    def logged_in(self, user_id: UUID, now: datetime) -> None:
        """Note a login, which is no change of the user."""
        self._connection.execute(update(_users).where(self._one(user_id)).values(last_login_at=now))

    def rehash(self, user_id: UUID, old: str, new: str) -> None:
        """Put a stronger hash of the same password in the place of `old`, unless it was changed meanwhile."""
        condition = and_(self._one(user_id), _users.c.password_hash == old)
        self._connection.execute(update(_users).where(condition).values(password_hash=new))

    def delete(self, user_id: UUID) -> None:
        """Remove a user, with all that lets it in.

        Raises:
            UserNotFound: no such user, or another tenant's.
        """
        if self._connection.execute(delete(_users).where(self._one(user_id))).rowcount == 0:
            raise UserNotFound(user_id)

    def active_owners(self) -> set[UUID]:
        """Return the owners who can log in, and keep others from changing them until the transaction ends."""
        query = (
            select(_users.c.user_id)
            .where(_users.c.tenant_id == self._tenant_id, _users.c.role == "owner", _users.c.status == "active")
            .order_by(_users.c.user_id)
            .with_for_update()
        )
        return set(self._connection.scalars(query))

    def list(self, wanted: UserFilter, limit: int, before: UUID | None = None) -> list[User]:
        """Return users, the newest first (ids sort by time)."""
        conditions = self._matching(wanted)
        if before is not None:
            conditions &= _users.c.user_id < before
        query = select(_users).where(conditions).order_by(_users.c.user_id.desc()).limit(limit)
        return [_user(row) for row in self._connection.execute(query)]

    def count(self, wanted: UserFilter) -> int:
        return self._connection.scalar(select(func.count()).select_from(_users).where(self._matching(wanted))) or 0

    def _one(self, user_id: UUID) -> ColumnElement[bool]:
        return and_(_users.c.tenant_id == self._tenant_id, _users.c.user_id == user_id)

    def _matching(self, wanted: UserFilter) -> ColumnElement[bool]:
        conditions = [_users.c.tenant_id == self._tenant_id]
        if wanted.role is not None:
            conditions.append(_users.c.role == wanted.role)
        if wanted.status is not None:
            conditions.append(_users.c.status == wanted.status)
        return and_(*conditions)


def _user(row: Row[Any]) -> User:
    return User(
        user_id=row.user_id,
        tenant_id=row.tenant_id,
        email=row.email,
        name=row.name,
        role=row.role,
        status=row.status,
        token_version=row.token_version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        last_login_at=row.last_login_at,
    )

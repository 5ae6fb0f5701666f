"""All SQL of API keys, which are known by their hashes alone."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, func, insert, or_, select, update

from backend.core.error import ApiKeyNotFound
from backend.database.model import ApiKeyRow, table_of
from backend.dto.tenant import ApiKey
from backend.repository.scope import AcrossTenants, Scoped

_keys = table_of(ApiKeyRow)


class ApiKeyRepository(Scoped):
    """The API keys of one tenant."""

    def add(self, key: ApiKey, key_hash: str) -> None:
        self._connection.execute(
            insert(_keys),
            {
                "tenant_id": self._tenant_id,
                "key_id": key.key_id,
                "name": key.name,
                "prefix": key.prefix,
                "key_hash": key_hash,
                "scopes": list(key.scopes),
                "created_by": key.created_by,
                "created_at": key.created_at,
                "expires_at": key.expires_at,
            },
        )

    def get(self, key_id: UUID) -> ApiKey:
        """Return a key.

        Raises:
            ApiKeyNotFound: no such key, or another tenant's.
        """
        row = self._connection.execute(select(_keys).where(self._one(key_id))).one_or_none()
        if row is None:
            raise ApiKeyNotFound(key_id)
        return _key(row)

    def revoke(self, key_id: UUID, now: datetime) -> bool:
        """End a key; return whether it was not ended before."""
        statement = update(_keys).where(self._one(key_id), _keys.c.revoked_at.is_(None)).values(revoked_at=now)
        return self._connection.execute(statement).rowcount == 1

    def hash_of(self, key_id: UUID) -> str:
        """Return the hash of a key that is there."""
        return str(self._connection.execute(select(_keys.c.key_hash).where(self._one(key_id))).scalar_one())

    def living_of(self, created_by: str) -> list[ApiKey]:
        """Return the keys that somebody made and nobody has ended."""
        query = select(_keys).where(
            _keys.c.tenant_id == self._tenant_id, _keys.c.created_by == created_by, _keys.c.revoked_at.is_(None)
        )
        return [_key(row) for row in self._connection.execute(query)]

    def used(self, key_id: UUID, now: datetime, every: timedelta) -> None:
        """Note that a key was used, unless that was noted less than `every` ago."""
        stale = or_(_keys.c.last_used_at.is_(None), _keys.c.last_used_at < now - every)
        self._connection.execute(update(_keys).where(self._one(key_id), stale).values(last_used_at=now))

    def list(self, limit: int, before: tuple[datetime, UUID] | None = None) -> list[ApiKey]:
        """Return keys, the newest first."""
        query = select(_keys).where(_keys.c.tenant_id == self._tenant_id)
        if before is not None:
            moment, key_id = before
            query = query.where(
                or_(_keys.c.created_at < moment, and_(_keys.c.created_at == moment, _keys.c.key_id < key_id))
            )
        query = query.order_by(_keys.c.created_at.desc(), _keys.c.key_id.desc()).limit(limit)
        return [_key(row) for row in self._connection.execute(query)]

    def count(self) -> int:
        query = select(func.count()).select_from(_keys).where(_keys.c.tenant_id == self._tenant_id)
        return self._connection.scalar(query) or 0

    def count_living(self) -> int:
        query = select(func.count()).select_from(_keys)
        condition = and_(_keys.c.tenant_id == self._tenant_id, _keys.c.revoked_at.is_(None))
        return self._connection.scalar(query.where(condition)) or 0

    def _one(self, key_id: UUID) -> ColumnElement[bool]:
        return and_(_keys.c.tenant_id == self._tenant_id, _keys.c.key_id == key_id)


class AllApiKeys(AcrossTenants):
    """The API keys of all tenants: for the door alone, where a key says whose it is."""

    def find(self, key_hash: str) -> ApiKey | None:
        row = self._connection.execute(select(_keys).where(_keys.c.key_hash == key_hash)).one_or_none()
        return None if row is None else _key(row)


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        tenant_id=row.tenant_id,
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(row.scopes),
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )

"""All SQL of refresh tokens, which are known by their hashes alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update

from backend.database.model import RefreshTokenRow, table_of
from backend.repository.scope import AcrossTenants, Scoped

_tokens = table_of(RefreshTokenRow)


@dataclass(frozen=True, slots=True)
class RefreshToken:
    tenant_id: str
    user_id: UUID
    family_id: UUID
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class RefreshTokenRepository(Scoped):
    """The refresh tokens of one tenant's users."""

    def add(self, token_hash: str, user_id: UUID, family_id: UUID, now: datetime, expires_at: datetime) -> None:
        values: dict[str, Any] = {
            "token_hash": token_hash,
            "tenant_id": self._tenant_id,
            "user_id": user_id,
            "family_id": family_id,
            "created_at": now,
            "expires_at": expires_at,
        }
        self._connection.execute(insert(_tokens), values)

    def use(self, token_hash: str, now: datetime) -> bool:
        """Take a token for its one use; return whether it was still good. Of several at once, one gets True."""
        statement = (
            update(_tokens)
            .where(
                _tokens.c.tenant_id == self._tenant_id,
                _tokens.c.token_hash == token_hash,
                _tokens.c.used_at.is_(None),
                _tokens.c.revoked_at.is_(None),
                _tokens.c.expires_at > now,
            )
            .values(used_at=now)
        )
        return self._connection.execute(statement).rowcount == 1

    def is_alive(self, family_id: UUID) -> bool:
        """Return whether what came of a login still lets its user in."""
        query = select(_tokens.c.token_hash).where(
            _tokens.c.tenant_id == self._tenant_id, _tokens.c.family_id == family_id, _tokens.c.revoked_at.is_(None)
        )
        return self._connection.execute(query.limit(1)).first() is not None

    def revoke_family(self, family_id: UUID, now: datetime) -> bool:
        """End all tokens that came of one login; return whether it had not ended before."""
        statement = (
            update(_tokens)
            .where(
                _tokens.c.tenant_id == self._tenant_id,
                _tokens.c.family_id == family_id,
                _tokens.c.revoked_at.is_(None),
            )
            .values(revoked_at=now)
        )
        return self._connection.execute(statement).rowcount > 0

    def revoke_user(self, user_id: UUID, now: datetime) -> None:
        """End all tokens of a user."""
        self._connection.execute(
            update(_tokens)
            .where(_tokens.c.tenant_id == self._tenant_id, _tokens.c.user_id == user_id, _tokens.c.revoked_at.is_(None))
            .values(revoked_at=now)
        )


class AllRefreshTokens(AcrossTenants):
    """The refresh tokens of all tenants: for who presents one, which says whose it is, and for the sweeper."""

    def find(self, token_hash: str) -> RefreshToken | None:
        row = self._connection.execute(select(_tokens).where(_tokens.c.token_hash == token_hash)).one_or_none()
        if row is None:
            return None
        return RefreshToken(row.tenant_id, row.user_id, row.family_id, row.expires_at, row.used_at, row.revoked_at)

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove tokens that are too old to be used; return how many."""
        old = select(_tokens.c.token_hash).where(_tokens.c.expires_at < now).limit(limit)
        return self._connection.execute(delete(_tokens).where(_tokens.c.token_hash.in_(old))).rowcount

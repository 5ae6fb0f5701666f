"""API keys: what programs come in with. A key is shown once, when it is made; its SHA-256 is kept."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from backend.core.error import Forbidden, Invalid
from backend.database.base import Database
from backend.dto.principal import SCOPES, Principal
from backend.dto.tenant import ApiKey
from backend.repository.api_key import AllApiKeys, ApiKeyRepository
from backend.service.audit import AuditPen
from backend.service.recent import Recent
from backend.util.id_generator import new_id

PREFIX: Final = "ddp_"
KEY_LENGTH = len(PREFIX) + 43
USER_PREFIX: Final = "key:"
"""Of the `user_id` of who comes in with a key; the key's id follows."""
KEY_LIMIT = 200
"""Living keys of a tenant."""
_SHOWN = 12
_NOTHING: frozenset[str] = frozenset()
_NOTED_EVERY = timedelta(minutes=1)


class ApiKeyService:
    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self._recent: Recent[str, ApiKey | None] = Recent(self._read)
        self._noted: dict[UUID, datetime] = {}
        """When the last use of a key was noted by this process; bounded by the keys that are in use."""

    @staticmethod
    def looks_like_one(token: str) -> bool:
        return token.startswith(PREFIX) and len(token) == KEY_LENGTH

    async def find(self, token: str) -> Principal | None:
        """Return who comes in with a key; None when it is nobody's, was revoked, or has expired."""
        key_hash = _hash(token)
        key = await self._recent.get(key_hash)
        now = self._clock()
        if key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
            return None
        await self._note(key, now)
        return Principal(key.tenant_id, _user(key.key_id), scopes=frozenset(key.scopes))

    async def is_known(self, token: str) -> bool:
        """Return whether there was such a key, whatever became of it: who sends it does not guess."""
        return await self._recent.get(_hash(token)) is not None

    async def create(
        self, principal: Principal, *, name: str, scopes: Sequence[str], expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        """Make a key; return it, and the secret that is never shown again.

        Raises:
            Forbidden: a scope is not the caller's own.
            Invalid: a scope is none, the end is past, or the tenant has too many keys.
        """
        if unknown := sorted(set(scopes) - SCOPES):
            raise Invalid(f"There is no scope {unknown[0][:100]!r}. There are: {', '.join(sorted(SCOPES))}.")
        if above := sorted(set(scopes) - principal.scopes):
            raise Forbidden(f"The scope {above[0]} is not yours to give.")
        now = self._clock()
        if expires_at is not None and expires_at <= now:
            raise Invalid("`expires_at` is in the past.")
        tenant_id = principal.tenant_id
        pen = AuditPen.of(principal)
        secret = PREFIX + secrets.token_urlsafe(32)
        key = ApiKey(
            key_id=new_id(),
            tenant_id=tenant_id,
            name=name,
            prefix=secret[:_SHOWN],
            scopes=tuple(sorted(set(scopes))),
            created_by=principal.user_id[:255],
            created_at=now,
            expires_at=expires_at,
        )

        def work(connection: Connection) -> None:
            keys = ApiKeyRepository(connection, tenant_id)
            if keys.count_living() >= KEY_LIMIT:
                raise Invalid(f"A tenant has at most {KEY_LIMIT} API keys; revoke one first.")
            keys.add(key, _hash(secret))
            pen.write(connection, tenant_id, "api_key.created", now, key.key_id, name=name, scopes=list(key.scopes))

        await self._database.write(work)
        return key, secret

    async def get(self, principal: Principal, key_id: UUID) -> ApiKey:
        """Return a key of the tenant.

        Raises:
            ApiKeyNotFound: no such key, or another tenant's.
        """
        tenant_id = principal.tenant_id
        return await self._database.read(lambda connection: ApiKeyRepository(connection, tenant_id).get(key_id))

    async def revoke(self, principal: Principal, key_id: UUID) -> ApiKey:
        """End a key; it stays in the list. Nothing more happens to one that has ended.

        Raises:
            ApiKeyNotFound: no such key, or another tenant's.
        """
        tenant_id = principal.tenant_id
        now = self._clock()
        pen = AuditPen.of(principal)

        def work(connection: Connection) -> tuple[ApiKey, list[str]]:
            keys = ApiKeyRepository(connection, tenant_id)
            ended: list[str] = []
            if keys.revoke(key_id, now):
                pen.write(connection, tenant_id, "api_key.revoked", now, key_id)
                ended = [keys.hash_of(key_id), *self.narrow(connection, tenant_id, _user(key_id), _NOTHING, now, pen)]
            return keys.get(key_id), ended

        key, ended = await self._database.write(work)
        for key_hash in ended:
            self.forget(key_hash)
        return key

    def narrow(
        self,
        connection: Connection,
        tenant_id: str,
        created_by: str,
        scopes: frozenset[str],
        now: datetime,
        pen: AuditPen,
    ) -> list[str]:
        """Revoke, in the caller's transaction, somebody's keys that can do more than `scopes`, and what those made.

        Returns:
            Their hashes, to be forgotten once the transaction is committed.
        """
        keys = ApiKeyRepository(connection, tenant_id)
        ended: list[str] = []
        for key in keys.living_of(created_by):
            if scopes and scopes.issuperset(key.scopes):
                continue
            keys.revoke(key.key_id, now)
            pen.write(connection, tenant_id, "api_key.revoked", now, key.key_id, reason="its maker may do less now")
            ended.append(keys.hash_of(key.key_id))
            ended += self.narrow(connection, tenant_id, _user(key.key_id), _NOTHING, now, pen)
        return ended

    def forget(self, key_hash: str) -> None:
        """Have a key read again at its next use: it was changed, and the change is committed."""
        self._recent.forget(key_hash)

    async def list(
        self, principal: Principal, *, limit: int, before: tuple[datetime, UUID] | None = None
    ) -> tuple[list[ApiKey], int]:
        """Return keys of the tenant, the newest first, and how many there are in all."""

        def work(connection: Connection) -> tuple[list[ApiKey], int]:
            keys = ApiKeyRepository(connection, principal.tenant_id)
            return keys.list(limit, before), keys.count()

        return await self._database.read(work)

    async def _note(self, key: ApiKey, now: datetime) -> None:
        noted = self._noted.get(key.key_id) or key.last_used_at
        if noted is not None and now - noted < _NOTED_EVERY:
            return
        self._noted[key.key_id] = now
        await self._database.write(
            lambda connection: ApiKeyRepository(connection, key.tenant_id).used(key.key_id, now, _NOTED_EVERY),
            durable=False,
        )

    async def _read(self, key_hash: str) -> ApiKey | None:
        return await self._database.read(lambda connection: AllApiKeys(connection).find(key_hash))


def _user(key_id: UUID) -> str:
    """Return the `user_id` of who comes in with a key."""
    return f"{USER_PREFIX}{key_id}"


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

"""The audit log: who changed what in a tenant, when, and from where."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Connection

from backend.core.origin import Origin, current_origin
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.tenant import AuditEntry, AuditFilter
from backend.repository.audit import AuditRepository

SERVER = "server"
"""The actor of what the server does of itself."""


@dataclass(frozen=True, slots=True)
class AuditPen:
    """Who acts and from where, taken before the transaction (which another thread may do) and written inside of it."""

    actor: str
    origin: Origin

    @classmethod
    def of(cls, actor: Principal | str) -> Self:
        """Take who acts, and where the request that is served now comes from."""
        return cls(actor if isinstance(actor, str) else actor.user_id, current_origin())

    def write(
        self,
        connection: Connection,
        tenant_id: str,
        action: str,
        now: datetime,
        target: object = None,
        **detail: Any,
    ) -> None:
        """Record an action on a tenant, in the transaction that does it; never give it a secret."""
        AuditRepository(connection, tenant_id).add(
            self.actor,
            action,
            target=None if target is None else str(target),
            detail=detail,
            now=now,
            address=self.origin.address,
            request_id=self.origin.request_id,
        )


class AuditService:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, principal: Principal, wanted: AuditFilter, *, limit: int, before: UUID | None = None
    ) -> tuple[list[AuditEntry], int]:
        """Return entries of the tenant's log, the newest first, and how many there are in all."""

        def work(connection: Connection) -> tuple[list[AuditEntry], int]:
            log = AuditRepository(connection, principal.tenant_id)
            return log.list(wanted, limit, before), log.count(wanted)

        return await self._database.read(work)

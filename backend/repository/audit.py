"""All SQL of the audit log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, func, insert, select

from backend.database.model import AuditRow, table_of
from backend.dto.tenant import AuditEntry, AuditFilter
from backend.repository.scope import Scoped
from backend.util.id_generator import new_id

_audit = table_of(AuditRow)


class AuditRepository(Scoped):
    """What was done in a tenant, and by whom. Entries are added and read, never changed."""

    def add(
        self,
        actor: str,
        action: str,
        *,
        target: str | None = None,
        detail: Mapping[str, Any] | None = None,
        now: datetime,
        address: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """Record an action in the transaction that does it.

        Args:
            actor: the `user_id` of who did it.
            action: a noun and what was done to it: `user.created`.
            target: the id of what it was done to.
            detail: what else is worth knowing; never a secret, never the text of a message.
            now: the moment.
            address: of the client.
            request_id: under which the server logged the request.
        """
        self._connection.execute(
            insert(_audit),
            {
                "tenant_id": self._tenant_id,
                "audit_id": new_id(),
                "actor": actor[:255],
                "action": action,
                "target": None if target is None else target[:255],
                "detail": dict(detail or {}),
                "address": None if address is None else address[:64],
                "request_id": None if request_id is None else request_id[:128],
                "created_at": now,
            },
        )

    def list(self, wanted: AuditFilter, limit: int, before: UUID | None = None) -> list[AuditEntry]:
        """Return entries, the newest first."""
        conditions = self._matching(wanted)
        if before is not None:
            conditions &= _audit.c.audit_id < before
        query = select(_audit).where(conditions).order_by(_audit.c.audit_id.desc()).limit(limit)
        return [_entry(row) for row in self._connection.execute(query)]

    def count(self, wanted: AuditFilter) -> int:
        query = select(func.count()).select_from(_audit).where(self._matching(wanted))
        return self._connection.scalar(query) or 0

    def _matching(self, wanted: AuditFilter) -> ColumnElement[bool]:
        conditions = [_audit.c.tenant_id == self._tenant_id]
        if wanted.action is not None:
            conditions.append(_audit.c.action == wanted.action)
        if wanted.actor is not None:
            conditions.append(_audit.c.actor == wanted.actor)
        if wanted.since is not None:
            conditions.append(_audit.c.created_at >= wanted.since)
        if wanted.until is not None:
            conditions.append(_audit.c.created_at < wanted.until)
        return and_(*conditions)


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        audit_id=row.audit_id,
        tenant_id=row.tenant_id,
        actor=row.actor,
        action=row.action,
        target=row.target,
        detail=row.detail,
        address=row.address,
        request_id=row.request_id,
        created_at=row.created_at,
    )

"""All SQL of removing tickets whose time is over; which these are says `core/desk/retention.py`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, or_, select

from backend.core.desk.retention import ENDED, horizon
from backend.core.tenant_settings import TenantSettings
from backend.database.model import TicketRow, table_of
from backend.repository.integrated_object import IntegratedObjectRepository
from backend.repository.scope import Scoped
from backend.repository.tenant import TenantRepository

_tickets = table_of(TicketRow)
_t = _tickets.c


class OldTicket(NamedTuple):
    """A ticket that is not kept any more."""

    id: UUID
    platform: str
    ticket_id: str


class RetentionRepository(Scoped):
    """The old tickets of one tenant."""

    def horizon(self, now: datetime) -> datetime | None:
        """Return before which last change no ticket is kept that is done with; None when all are."""
        tenant = TenantRepository(self._connection, self._tenant_id).find()
        return None if tenant is None else horizon(now, TenantSettings.read(tenant.settings).retention_days)

    def over(self, before: datetime, settled: datetime, limit: int) -> list[OldTicket]:
        """Return tickets that are not kept any more, the oldest first.

        One that is not in the index as it stands may be on its way there in this moment, and is left for later, unless
        it waits since `settled`.
        """
        still = _t.is_processed.is_(True) | (_t.updated_at < settled)
        query = select(_t.id, _t.platform, _t.ticket_id).where(*self._over(before), still)
        rows = self._connection.execute(query.order_by(_t.platform_updated_at, _t.id).limit(limit))
        return [OldTicket(*row) for row in rows]

    def remove(self, tickets: Sequence[OldTicket], before: datetime) -> list[OldTicket]:
        """Remove those of the tickets that have not changed since, with their messages; return them."""
        ids = [ticket.id for ticket in tickets]
        query = delete(_tickets).where(*self._over(before), _t.id.in_(ids)).returning(_t.id)
        gone = set(self._connection.scalars(query))
        removed = [ticket for ticket in tickets if ticket.id in gone]
        objects = IntegratedObjectRepository(self._connection, self._tenant_id)
        for platform in {ticket.platform for ticket in removed}:
            numbers = [ticket.ticket_id for ticket in removed if ticket.platform == platform]
            objects.delete(platform, "ticket", numbers)
            objects.delete_of(platform, "conversation", numbers)
        return removed

    def _over(self, before: datetime) -> tuple[ColumnElement[Any], ...]:
        ended = or_(_t.status.in_(ENDED), _t.deleted.is_(True), _t.spam.is_(True), _t.merged_into.is_not(None))
        return _t.tenant_id == self._tenant_id, _t.platform_updated_at < before, ended

"""All SQL of webhook deliveries: `queue_delivery` adds one; `DueDeliveries`, for the sender, sees all tenants'."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from backend.database.model import WebhookDeliveryRow, table_of
from backend.database.tenant_scope import name_tenant
from backend.repository.scope import AcrossTenants

_deliveries = table_of(WebhookDeliveryRow)
_one = _deliveries.c.delivery_id == bindparam("delivery")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is to reach an address."""

    delivery_id: UUID
    tenant_id: str
    run_id: UUID
    url: str
    body: bytes
    attempts: int
    """With the one that is being made."""


def queue_delivery(connection: Connection, delivery: Delivery, now: datetime) -> None:
    """Add a delivery that is due at once."""
    values: dict[str, Any] = {
        "delivery_id": delivery.delivery_id,
        "tenant_id": delivery.tenant_id,
        "run_id": delivery.run_id,
        "url": delivery.url,
        "body": delivery.body,
        "attempts": delivery.attempts,
        "due_at": now,
        "created_at": now,
    }
    name_tenant(connection, delivery.tenant_id)
    connection.execute(insert(_deliveries), values)


class DueDeliveries(AcrossTenants):
    """The deliveries of all tenants by the time at which they are due, for the sender alone."""

    def next_date(self, *, without: Collection[str] = ()) -> datetime | None:
        """Return when the next one is due of a tenant that is not in `without`; None when there is none."""
        query = select(func.min(_deliveries.c.due_at)).where(_deliveries.c.tenant_id.not_in(without))
        due_at: datetime | None = self._connection.scalar(query)
        return due_at

    def due(self, now: datetime, *, limit: int, without: Collection[str] = ()) -> list[tuple[UUID, str, datetime]]:
        """Return id, tenant and date of what is due, the longest overdue first."""
        query = (
            select(_deliveries.c.delivery_id, _deliveries.c.tenant_id, _deliveries.c.due_at)
            .where(_deliveries.c.due_at <= now, _deliveries.c.tenant_id.not_in(without))
            .order_by(_deliveries.c.due_at, _deliveries.c.delivery_id)
            .limit(limit)
        )
        return [(row.delivery_id, row.tenant_id, row.due_at) for row in self._connection.execute(query)]

    def claim(self, delivery_id: UUID, due_at: datetime, until: datetime) -> Delivery | None:
        """Return a delivery to be made now, and keep it from other servers until `until`; None if one was quicker."""
        statement = (
            update(_deliveries)
            .where(_one, _deliveries.c.due_at == due_at)
            .values(due_at=until, attempts=_deliveries.c.attempts + 1)
            .returning(_deliveries)
        )
        row = self._connection.execute(statement, {"delivery": delivery_id}).one_or_none()
        if row is None:
            return None
        return Delivery(row.delivery_id, row.tenant_id, row.run_id, row.url, row.body, row.attempts)

    def postpone(self, delivery: Delivery, due_at: datetime) -> None:
        """Try it again later, unless another server has begun to meanwhile."""
        statement = update(_deliveries).where(_one, _deliveries.c.attempts == delivery.attempts).values(due_at=due_at)
        self._connection.execute(statement, {"delivery": delivery.delivery_id})

    def give_back(self, delivery: Delivery, now: datetime) -> None:
        """Let it be tried at once, as if it had not been claimed: a try that was broken off here is none."""
        attempts = _deliveries.c.attempts
        statement = update(_deliveries).where(_one, attempts == delivery.attempts)
        values = {"due_at": now, "attempts": attempts - 1}
        self._connection.execute(statement.values(values), {"delivery": delivery.delivery_id})

    def delete(self, delivery: Delivery) -> None:
        """It was heard, or given up."""
        self._connection.execute(delete(_deliveries).where(_one), {"delivery": delivery.delivery_id})

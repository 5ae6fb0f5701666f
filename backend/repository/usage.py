"""All SQL of the usage ledger."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select

from backend.database.model.base import table_of
from backend.database.model.usage import UsageRow
from backend.dto.usage import Usage, UsageRecord

_usage = table_of(UsageRow)


class UsageRepository:
    """What the runs of one tenant used."""

    def __init__(self, connection: Connection, tenant_id: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def add(self, run_id: UUID, user_id: str, usage: Usage, now: datetime) -> None:
        """Record what a run used; once a run, when it ends."""
        self._connection.execute(
            insert(_usage),
            {
                "run_id": run_id,
                "tenant_id": self._tenant_id,
                "user_id": user_id,
                "model": usage.model,
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cost": usage.cost,
                "latency": usage.latency,
                "calls": usage.calls,
                "estimated": usage.estimated,
                "created_at": now,
            },
        )

    def find(self, run_id: UUID) -> UsageRecord | None:
        """Return what a run used; None when it has not ended or used no model."""
        row = self._connection.execute(
            select(_usage).where(_usage.c.tenant_id == self._tenant_id, _usage.c.run_id == run_id)
        ).one_or_none()
        return None if row is None else _record(row)


def _record(row: Row[tuple[object, ...]]) -> UsageRecord:
    usage = Usage(
        model=row.model,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost=row.cost,
        calls=row.calls,
        latency=row.latency,
        estimated=row.estimated,
    )
    return UsageRecord(row.run_id, row.tenant_id, row.user_id, usage, row.created_at)

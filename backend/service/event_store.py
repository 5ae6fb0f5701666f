"""Where the event log keeps events: the `run_events` table."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from backend.core.run.event_log import Batch
from backend.database.base import Database
from backend.dto.event import Cursor, Event
from backend.repository.run_event import AllRunEvents, EventBatch, RunEventRepository


class DatabaseEventStore:
    """Implements `EventStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, batches: Sequence[Batch]) -> None:
        rows = [EventBatch(batch.run_id, batch.attempt, batch.events[0].cursor.seq, batch.events) for batch in batches]

        def work(connection: Connection) -> None:
            events = AllRunEvents(connection)
            events.append(rows)
            for batch in batches:
                if batch.first > 1:
                    events.trim(batch.run_id, batch.attempt, batch.first)

        await self._database.write(work, durable=False)

    async def after(self, tenant_id: str, run_id: UUID, cursor: Cursor) -> list[Event]:
        return await self._database.read(
            lambda connection: RunEventRepository(connection, tenant_id).after(run_id, cursor)
        )

    async def last(self, tenant_id: str, run_id: UUID) -> Cursor | None:
        return await self._database.read(lambda connection: RunEventRepository(connection, tenant_id).last(run_id))

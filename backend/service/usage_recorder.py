"""Records what was used where no run is kept: by runs that leave nothing, and by the server's own work."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from backend.database.base import Database
from backend.dto.usage import Usage, UsageRecord
from backend.repository.usage import UsageRepository
from backend.service.batch_writer import BatchWriter
from backend.util.id_generator import new_id

Counted = Callable[[UsageRecord], None]
"""Told of what was recorded, once it is; also of what could not be: it was used all the same."""


class UsageRecorder:
    """A run that is kept records its usage in the transaction that ends it (`RunLedger`); everything else comes here.

    It is written a moment later, many at once: an answer does not wait for it.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime], counted: Counted | None = None) -> None:
        self._database = database
        self._clock = clock
        self._counted = counted
        self._writer: BatchWriter[UsageRecord] = BatchWriter("usage records", self._write, lost=self._tell)

    async def open(self) -> None:
        await self._writer.open()

    async def close(self) -> None:
        await self._writer.close()

    async def flush(self) -> None:
        """Write what waits. Raises what `BatchWriter.flush` does."""
        await self._writer.flush()

    def note(
        self, tenant_id: str, user_id: str, agent: str | None, usage: Usage, *, run_id: UUID | None = None
    ) -> None:
        """Record what was used for somebody; `agent` is an agent or a part of the server (`summary`, `index`)."""
        if usage.calls:
            self._writer.add(UsageRecord(run_id or new_id(), tenant_id, user_id, usage, self._clock(), agent))

    async def _write(self, records: Sequence[UsageRecord]) -> None:
        now = self._clock()
        written = [replace(record, created_at=now) for record in records]
        by_tenant: dict[str, list[UsageRecord]] = {}
        for record in written:
            by_tenant.setdefault(record.tenant_id, []).append(record)

        def work(connection: Connection) -> None:
            for tenant_id, own in by_tenant.items():
                UsageRepository(connection, tenant_id).add_many(own)

        await self._database.write(work, durable=False)
        self._tell(written)

    def _tell(self, records: Sequence[UsageRecord]) -> None:
        if self._counted is not None:
            for record in records:
                self._counted(record)

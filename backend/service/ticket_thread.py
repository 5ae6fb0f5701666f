"""Removes the threads on which an agent read a ticket that is gone, and the summaries of it.

A draft, a summary and what led to them are on their thread, with the customer's personal data in them, in each of its
checkpoints. So a thread goes with its ticket: when that is deleted at its platform, or here, when its time is over, and
when what a platform gave is purged. Which threads these are is kept with each reading of a ticket (`TenantDesk`) and
asked for afterwards, so whoever removes tickets need not say which, and what was cut off is made up for by a sweep.
"""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from loguru import logger

from backend.database.base import Database
from backend.dto.principal import Principal
from backend.repository.summary import AllSummaries, SummaryRepository
from backend.repository.ticket_thread import AllTicketThreads, TicketThreadRepository
from backend.service.audit import SERVER

BATCH = 20
"""Threads that are removed at once."""


class Runs(Protocol):
    async def stop_all(self, principal: Principal, thread_id: UUID) -> None: ...


class Threads(Protocol):
    """Removes threads with all that is on them: `ThreadService`."""

    async def prune(self, principal: Principal, thread_ids: Sequence[UUID], strategy: str, /) -> int: ...


class TicketThreadService:
    def __init__(self, database: Database, runs: Runs, threads: Threads) -> None:
        self._database = database
        self._runs = runs
        self._threads = threads

    async def forget(self, tenant_id: str) -> int:
        """Remove a tenant's threads whose ticket is gone, their runs stopped first, and its summaries.

        Return how many threads.
        """
        server = Principal(tenant_id, SERVER)
        removed = 0
        while threads := await self._database.read(lambda c: TicketThreadRepository(c, tenant_id).of_gone(BATCH)):
            for thread_id in threads:
                await self._runs.stop_all(server, thread_id)
            await self._database.write(lambda c: TicketThreadRepository(c, tenant_id).drop_deliveries(threads))
            removed += await self._threads.prune(server, threads, "delete")
        await self._database.write(lambda c: SummaryRepository(c, tenant_id).remove_of_gone(), durable=False)
        if removed:
            logger.info("{count} threads of {tenant} went with their tickets", count=removed, tenant=tenant_id)
        return removed

    async def sweep(self) -> None:
        """Remove what a server that died did not come to, and a summary that was made while its ticket went."""
        of_threads = await self._database.read(lambda c: AllTicketThreads(c).tenants())
        of_summaries = await self._database.read(lambda c: AllSummaries(c).tenants_of_gone())
        for tenant_id in sorted({*of_threads, *of_summaries}):
            await self.forget(tenant_id)

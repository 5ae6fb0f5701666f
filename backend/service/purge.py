"""Removes what there is of a deleted tenant, wherever it is kept.

It goes in portions, so that the other tenants notice nothing, and may be cut off at any moment: a deleted tenant whose
row has no `purged_at` is gone on with at the next start. What stays is the row itself, under which no other tenant can
be made, with its usage and its audit log, which are the operator's.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from backend.core.error import Conflict, DomainError, Unavailable
from backend.core.lock import DistributedLock
from backend.database.base import Database
from backend.dto.principal import DEFAULT_TENANT, Principal
from backend.repository.purge import PurgeRepository, own_tables
from backend.repository.tenant import AllTenants, TenantRepository
from backend.service.audit import SERVER, AuditPen

BATCH = 100
"""Rows that are removed in one transaction: others write as well."""
THREADS = 20
"""Threads whose runs are stopped, or whose history is removed, at once."""
PASSES = 5
"""After which the rest is left for later: somebody goes on writing."""
RETRY_SECONDS = 60.0
AFTERMATH = timedelta(days=1)
"""For which a purged tenant is looked at again: a request that was let in before may have ended after."""

Place = Callable[[str], Awaitable[object]]
"""Removes what a tenant has somewhere; does nothing where there is nothing."""


class Runs(Protocol):
    async def stop_all(self, principal: Principal, thread_id: UUID) -> None: ...


class TenantPurge:
    """One task, which takes deleted tenants in turn; `wake` returns at once and may be called at any time."""

    def __init__(
        self,
        database: Database,
        runs: Runs,
        lock: DistributedLock,
        clock: Callable[[], datetime],
        *,
        stops: Sequence[Place],
        places: Sequence[Place],
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """`stops` end what works for a tenant in the background; `places` are those outside of the database."""
        self._database = database
        self._runs = runs
        self._lock = lock
        self._clock = clock
        self._stops = stops
        self._places = places
        self._retry_seconds = retry_seconds
        self._waiting: dict[str, None] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin, with what an earlier server did not come to the end of."""
        await self.sweep()
        self._task = asyncio.create_task(self._work(), name="tenant-purge")

    async def close(self) -> None:
        """Stop where it is: the next start goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def wake(self, tenant_id: str) -> None:
        """Say that a tenant was deleted."""
        self._waiting[tenant_id] = None
        self._woken.set()

    async def sweep(self) -> None:
        """Take up every deleted tenant of which something may be left."""
        since = self._clock() - AFTERMATH
        for tenant_id in await self._database.read(lambda c: AllTenants(c).deleted(since)):
            self.wake(tenant_id)

    async def purge(self, tenant_id: str) -> Counter[str]:
        """Remove everything of a deleted tenant; return how many rows of each table that were.

        Raises:
            TenantNotFound: there is no such tenant.
            Conflict: it is not deleted, or it is the server's own.
            Unavailable: something still writes for it.
            DomainError: some place cannot be reached; the others are empty.
        """
        tenant = await self._database.read(lambda c: TenantRepository(c, tenant_id).get())
        if tenant.status != "deleted" or tenant_id == DEFAULT_TENANT:
            raise Conflict(f"Tenant {tenant_id} is not deleted.")
        removed: Counter[str] = Counter()
        for _ in range(PASSES):
            found = await self._pass(tenant_id)
            removed += found
            if not found:  # what was on its way when the pass before began has come to its end
                await self._bury(tenant_id, removed)
                return removed
        raise Unavailable(f"Something still writes for tenant {tenant_id}.")

    async def _pass(self, tenant_id: str) -> Counter[str]:
        """Stop what works for the tenant, then remove what there is."""
        removed: Counter[str] = Counter()
        for stop in self._stops:
            await stop(tenant_id)
        await self._stop_runs(tenant_id)
        await self._remove_threads(tenant_id, removed)
        for table in own_tables():
            while count := await self._write(tenant_id, lambda rows: rows.remove(table, BATCH)):  # noqa: B023 - awaited within this turn
                removed[str(table.name)] += count
        while strays := await self._write(tenant_id, lambda rows: rows.remove_strays(BATCH)):
            removed.update(strays)
        failures = []
        for empty in self._places:  # the rows first: without them nothing is put into an index any more
            try:
                await empty(tenant_id)
            except DomainError as error:  # the other places need not wait for this one
                failures.append(error)
        if failures:
            raise failures[0]
        return removed

    async def _stop_runs(self, tenant_id: str) -> None:
        server = Principal(tenant_id, SERVER)
        before: list[UUID] = []
        while active := await self._read(tenant_id, lambda rows: rows.active_threads(THREADS)):
            if active == before:  # they do not end: without its rows, what is left of a run can write no more
                return
            await asyncio.gather(*(self._runs.stop_all(server, thread) for thread in active))
            before = active

    async def _remove_threads(self, tenant_id: str, removed: Counter[str]) -> None:
        while threads := await self._read(tenant_id, lambda rows: rows.threads(THREADS)):
            while count := await self._write(tenant_id, lambda rows: rows.remove_history(threads, BATCH)):
                removed.update(count)
            removed["threads"] += await self._write(tenant_id, lambda rows: rows.remove_threads(threads))

    async def _bury(self, tenant_id: str, removed: Counter[str]) -> None:
        pen, now = AuditPen.of(SERVER), self._clock()

        def work(connection: Connection) -> None:
            if TenantRepository(connection, tenant_id).bury(now) or removed:
                pen.write(connection, tenant_id, "tenant.purged", now, tenant_id, removed=dict(removed))

        await self._database.write(work)
        if removed:
            logger.info("the data of {tenant} are gone, {count} rows", tenant=tenant_id, count=removed.total())

    async def _read[T](self, tenant_id: str, work: Callable[[PurgeRepository], T]) -> T:
        return await self._database.read(lambda c: work(PurgeRepository(c, tenant_id)))

    async def _write[T](self, tenant_id: str, work: Callable[[PurgeRepository], T]) -> T:
        return await self._database.write(lambda c: work(PurgeRepository(c, tenant_id)), durable=False)

    # --- the task

    async def _work(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                tenant_id = next(iter(self._waiting))
                del self._waiting[tenant_id]
                await self._take(tenant_id)

    async def _take(self, tenant_id: str) -> None:
        try:
            async with self._lock.of(tenant_id).lock("purge") as held:
                if held:  # else another server is at it
                    await self.purge(tenant_id)
        except DomainError as error:
            logger.warning("the data of {tenant} are not all gone yet: {reason}", tenant=tenant_id, reason=error.detail)
            self._later(tenant_id)
        except Exception:  # noqa: BLE001 - one tenant's trouble must not stop the others'
            logger.exception("the data of {tenant} could not be removed", tenant=tenant_id)
            self._later(tenant_id)

    def _later(self, tenant_id: str) -> None:
        asyncio.get_running_loop().call_later(self._retry_seconds, self.wake, tenant_id)

"""Keeps the desks' indexes up with what changed, beside everything else."""

import asyncio

from loguru import logger

from backend.core.error import DomainError
from backend.database.base import Database
from backend.repository.ticket import AllTickets
from backend.service.support_index import SupportIndex

RETRY_SECONDS = 30.0
"""After which a tenant is tried again whose index could not be written."""


class IndexWorker:
    """One task, which takes the woken tenants in turn; `wake` returns at once and may be called at any time."""

    def __init__(self, db: Database, index: SupportIndex, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._db = db
        self._index = index
        self._retry_seconds = retry_seconds
        self._waiting: dict[str, None] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin, with what a server that died left behind."""
        for tenant_id in await self._db.read(lambda c: AllTickets(c).unprocessed()):
            self.wake(tenant_id)
        self._task = asyncio.create_task(self._work(), name="desk-index")

    async def close(self) -> None:
        """Stop where it is: what is not in the index is marked as such."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def wake(self, tenant_id: str) -> None:
        """Say that something of the tenant is not in the index as it stands."""
        self._waiting[tenant_id] = None
        self._woken.set()

    async def _work(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                tenant_id = next(iter(self._waiting))
                del self._waiting[tenant_id]
                await self._index_tenant(tenant_id)

    async def _index_tenant(self, tenant_id: str) -> None:
        try:
            done = 0
            async for count in self._index.work(tenant_id):
                done += count
        except DomainError as error:
            logger.warning("the desk of {tenant} waits for its index: {reason}", tenant=tenant_id, reason=error.detail)
            self._later(tenant_id)
        except Exception:  # noqa: BLE001 - one tenant's trouble must not stop the others'
            logger.exception("the desk of {tenant} could not be indexed", tenant=tenant_id)
            self._later(tenant_id)
        else:
            if done:
                logger.debug("{count} objects of {tenant} were indexed", count=done, tenant=tenant_id)

    def _later(self, tenant_id: str) -> None:
        asyncio.get_running_loop().call_later(self._retry_seconds, self.wake, tenant_id)

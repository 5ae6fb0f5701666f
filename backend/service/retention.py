"""Removes tickets that a tenant keeps no longer (its setting `retention_days`), with all that was made of them.

Of the threads, those go on which an agent read such a ticket; the others have a TTL of their own.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Protocol
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from backend.core.error import DomainError
from backend.database.base import Database
from backend.dto.knowledge_graph import EntityKey
from backend.dto.tenant import Tenant
from backend.repository.feedback import FeedbackRepository, NoteRepository
from backend.repository.retention import OldTicket, RetentionRepository
from backend.repository.summary import SummaryRepository
from backend.repository.tenant import AllTenants
from backend.service.audit import SERVER, AuditPen

SWEEP_SECONDS = 3600.0
BATCH = 50
"""Tickets that are removed at once, with their messages and files."""
SETTLING = timedelta(days=1)
"""After which a ticket that is not indexed is not about to be."""
_TENANTS = 100
"""Tenants that are read at once."""


class Index(Protocol):
    """Where tickets are found: `SupportIndex`."""

    async def remove(self, tenant_id: str, tickets: Sequence[UUID]) -> None: ...


class Files(Protocol):
    """The attachments: `AttachmentService`."""

    async def remove(self, tenant_id: str, platform: str, ticket_ids: Sequence[str]) -> int: ...


class Graphs(Protocol):
    """Who is about what: `KnowledgeGraphService`."""

    async def forget(self, tenant_id: str, sources: Sequence[EntityKey]) -> None: ...


class RetentionService:
    """Everything may be done again after it was cut off: the rows go last, and say what is still to be done."""

    def __init__(
        self,
        database: Database,
        index: Index,
        files: Files,
        graphs: Graphs,
        clock: Callable[[], datetime],
        *,
        forget_threads: Callable[[str], Awaitable[object]],
    ) -> None:
        """`forget_threads` removes a tenant's threads whose ticket is gone (`TicketThreadService`)."""
        self._database = database
        self._index = index
        self._files = files
        self._graphs = graphs
        self._clock = clock
        self._forget_threads = forget_threads

    async def sweep(self) -> None:
        """Remove what no tenant keeps any longer. One whose data cannot be removed now holds up no other."""
        after: str | None = None
        while True:
            at = after
            tenants = await self._database.read(lambda c: AllTenants(c).list(_TENANTS, at))  # noqa: B023 - awaited within this turn
            for tenant in tenants:
                if _limits(tenant):
                    try:
                        await self.apply(tenant.tenant_id)
                    except DomainError as error:
                        logger.warning(
                            "old tickets of {tenant} are still there: {reason}",
                            tenant=tenant.tenant_id,
                            reason=error.detail,
                        )
            if len(tenants) < _TENANTS:
                return
            after = tenants[-1].tenant_id

    async def apply(self, tenant_id: str) -> Counter[str]:
        """Remove what one tenant keeps no longer; return how many `tickets` and `attachments` that were.

        Raises:
            DomainError: the index or the files cannot be reached.
        """
        now = self._clock()
        before = await self._database.read(lambda c: RetentionRepository(c, tenant_id).horizon(now))
        removed: Counter[str] = Counter()
        if before is None:
            return removed
        try:
            while old := await self._database.read(
                lambda c: RetentionRepository(c, tenant_id).over(before, now - SETTLING, BATCH)
            ):
                removed += await self._remove(tenant_id, old, before)
        finally:
            if removed:
                await self._tell(tenant_id, removed, now)
        await self._database.write(lambda c: SummaryRepository(c, tenant_id).purge(before), durable=False)
        return removed

    async def _remove(self, tenant_id: str, old: Sequence[OldTicket], before: datetime) -> Counter[str]:
        await self._index.remove(tenant_id, [ticket.id for ticket in old])
        await self._graphs.forget(
            tenant_id, [EntityKey("ticket", f"{ticket.platform}:{ticket.ticket_id}") for ticket in old]
        )
        files = 0
        for platform, numbers in _by_platform(old):
            files += await self._files.remove(tenant_id, platform, numbers)

        def remove(connection: Connection) -> int:
            # What changed in the meantime stays, and is found again: the change has marked it for the index.
            gone = RetentionRepository(connection, tenant_id).remove(old, before)
            for platform, numbers in _by_platform(gone):
                FeedbackRepository(connection, tenant_id).purge(platform, numbers)
                NoteRepository(connection, tenant_id).purge(platform, numbers)
            return len(gone)

        tickets = await self._database.write(remove)
        await self._forget_threads(tenant_id)
        return Counter(tickets=tickets, attachments=files)

    async def _tell(self, tenant_id: str, removed: Counter[str], now: datetime) -> None:
        pen = AuditPen.of(SERVER)
        await self._database.write(
            lambda c: pen.write(c, tenant_id, "tickets.expired", now, None, **removed), durable=False
        )
        logger.info("{count} old tickets of {tenant} were removed", count=removed["tickets"], tenant=tenant_id)


def _limits(tenant: Tenant) -> bool:
    return tenant.status != "deleted" and tenant.settings.get("retention_days") is not None


def _by_platform(tickets: Sequence[OldTicket]) -> Iterator[tuple[str, list[str]]]:
    for platform, some in groupby(sorted(tickets, key=lambda one: one.platform), lambda one: one.platform):
        yield platform, [ticket.ticket_id for ticket in some]

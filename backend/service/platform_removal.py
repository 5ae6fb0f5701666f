"""What is done when a platform is uninstalled: its collections end, and its data goes when that is wanted."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.sync import SyncJob
from backend.dto.ticket import TicketFilter
from backend.repository.article import ArticleRepository
from backend.repository.feedback import FeedbackRepository, NoteRepository
from backend.repository.integrated_object import IntegratedObjectRepository
from backend.repository.knowledge_graph import KnowledgeGraphRepository
from backend.repository.summary import SummaryRepository
from backend.repository.sync import SyncRepository
from backend.repository.ticket import TicketRepository
from backend.service.audit import SERVER

BATCH = 200
"""Rows that are removed in one transaction: others write as well."""
END_SECONDS = 60.0
"""For which the end of a running collection is waited for."""


class Syncs(Protocol):
    """The collections: `SyncService`."""

    async def active(self, principal: Principal, platform: str | None = None) -> Sequence[UUID]: ...

    async def cancel(self, principal: Principal, job_id: UUID) -> SyncJob: ...

    async def wait(self, principal: Principal, job_id: UUID) -> SyncJob: ...


class Index(Protocol):
    """Where the desk's texts are found: `SupportIndex`."""

    async def remove(self, tenant_id: str, tickets: Sequence[UUID]) -> None: ...

    async def remove_articles(self, tenant_id: str, articles: Sequence[UUID]) -> None: ...


class Files(Protocol):
    """The attachments: `AttachmentService`."""

    async def purge(self, tenant_id: str, platform: str | None = None) -> None: ...


class PlatformRemoval:
    """Everything may be done again after it was cut off: what is gone already is passed over."""

    def __init__(
        self,
        database: Database,
        syncs: Syncs,
        index: Index,
        files: Files,
        *,
        forget_threads: Callable[[str], Awaitable[object]],
    ) -> None:
        """`forget_threads` removes a tenant's threads whose ticket is gone (`TicketThreadService`)."""
        self._database = database
        self._syncs = syncs
        self._index = index
        self._files = files
        self._forget_threads = forget_threads

    async def stop(self, tenant_id: str, platform: str | None = None) -> None:
        """End the collections of a tenant's platform, or of all, and return when they have ended, or after a while."""
        server = Principal(tenant_id, SERVER)
        active = await self._syncs.active(server, platform)
        for job_id in active:
            await self._syncs.cancel(server, job_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                for job_id in active:
                    await self._syncs.wait(server, job_id)
                return
        logger.warning("{count} collections do not come to an end", count=len(active))

    async def purge(self, tenant_id: str, platform: str) -> None:
        """Remove what was collected and what people made of it: first from what is searched, last the rows.

        Threads on which an agent read one of the tickets go too, their runs stopped first. Others stay, with what was
        said on them: they are removed by whoever owns them, by their TTL, or with the tenant.
        """
        await self._forget_articles(tenant_id, platform)
        await self._forget_tickets(tenant_id, platform)
        await self._files.purge(tenant_id, platform)
        while await self._database.write(
            lambda c: KnowledgeGraphRepository(c, tenant_id).remove_collected(platform, BATCH)
        ):
            pass
        while await self._database.write(lambda c: TicketRepository(c, tenant_id).purge(platform, limit=BATCH)):
            pass
        await self._forget_threads(tenant_id)  # before the rest: no run is left that could add to it

        def rest(connection: Connection) -> None:
            ArticleRepository(connection, tenant_id).purge(platform)
            IntegratedObjectRepository(connection, tenant_id).purge(platform)
            SyncRepository(connection, tenant_id).purge(platform)
            SummaryRepository(connection, tenant_id).purge()
            FeedbackRepository(connection, tenant_id).purge(platform)
            NoteRepository(connection, tenant_id).purge(platform)

        await self._database.write(rest)

    async def _forget_tickets(self, tenant_id: str, platform: str) -> None:
        """Make tickets unfindable while the rows that name them are there; those of other platforms stay."""
        wanted, behind = TicketFilter(platform=platform, spam=None, deleted=None), None
        while True:
            at = behind
            tickets = await self._database.read(
                lambda c: TicketRepository(c, tenant_id).walk(wanted, BATCH, at)  # noqa: B023 - awaited within this turn
            )
            await self._index.remove(tenant_id, [ticket.id for ticket in tickets])
            if len(tickets) < BATCH:
                return
            behind = tickets[-1].id

    async def _forget_articles(self, tenant_id: str, platform: str) -> None:
        """Make articles unfindable while the rows that name them are there."""
        behind: tuple[datetime, UUID] | None = None
        while True:
            at = behind
            articles = await self._database.read(
                lambda c: ArticleRepository(c, tenant_id).list(platform=platform, limit=BATCH, before=at)  # noqa: B023 - awaited within this turn
            )
            await self._index.remove_articles(tenant_id, [article.id for article in articles])
            moment = articles[-1].data.platform_updated_at if len(articles) == BATCH else None
            if moment is None:
                return
            behind = (moment, articles[-1].id)

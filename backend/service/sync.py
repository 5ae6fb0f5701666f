"""Collecting from platforms as jobs that can be watched, paused, cancelled, and killed at any moment.

A job is a row. Whatever has not ended when a server starts is taken up again as its next attempt; what a server left
that died beside others shows by its row, which gives no sign of life any more. Progress is read from the same row, by
any number of readers and in any process.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from backend.core.error import Invalid, SyncActive, Unavailable
from backend.core.lock import DistributedLock
from backend.database.base import Database
from backend.dto.principal import Principal
from backend.dto.sync import PlatformState, SyncCounts, SyncIssue, SyncJob, SyncKind
from backend.dto.ticket import TicketFilter
from backend.repository.article import ArticleRepository
from backend.repository.attachment import AttachmentRepository
from backend.repository.sync import AllSyncJobs, SyncRepository
from backend.repository.ticket import TicketRepository
from backend.service.sync_collection import Files, Index
from backend.service.sync_worker import BEAT, Source, SyncWorker
from backend.util.id_generator import new_id

MAX_NAMED = 500
"""Tickets that one job of kind `ticket` reads."""
SYSTEM = "system"
"""The user of jobs that nobody asked for."""
STALE = timedelta(seconds=4.5 * BEAT)
"""Without a sign of life for so long, a job's server is dead."""
_DEBOUNCE = 2.0
"""Seconds for which webhooks are gathered before their tickets are read."""
_SPREAD = 20.0
"""Seconds over which what is due begins: a server that starts does not collect for every tenant at once."""
_TICK = 10.0
_LOOK_AGAIN = 1.0
"""Seconds after which a reader looks without being woken: another process may be running the job."""
_KEPT = timedelta(days=30)
_PLATFORM = "freshdesk"


class SyncService:
    """Makes, runs and shows collections. Between `open` and `close` jobs run in this process."""

    def __init__(
        self,
        database: Database,
        source: Source,
        lock: DistributedLock,
        *,
        index: Index,
        files: Files,
        interval_minutes: float = 0.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        backoff: float = 1.0,
        debounce: float = _DEBOUNCE,
        spread: float = _SPREAD,
    ) -> None:
        """`interval_minutes` lets the installed platforms be collected from time and again; 0 does not."""
        self._database = database
        self._source = source
        self._interval = timedelta(minutes=interval_minutes)
        self._clock = clock
        self._debounce = debounce
        self._spread = spread
        self._worker = SyncWorker(database, source, lock, index=index, files=files, clock=clock, backoff=backoff)
        self._schedule: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Take up every job that has not ended, and begin to look after the schedule."""
        await self.sweep()
        await self._take_up(None)
        self._schedule = asyncio.create_task(self._look_after(), name="sync schedule")

    async def close(self) -> None:
        """Stop the jobs where they are; the next `open` goes on with them."""
        if self._schedule is not None:
            self._schedule.cancel()
            await asyncio.gather(self._schedule, return_exceptions=True)
            self._schedule = None
        await self._worker.close()

    async def start(
        self,
        principal: Principal,
        kind: SyncKind,
        platform: str = _PLATFORM,
        options: Mapping[str, Any] | None = None,
    ) -> SyncJob:
        """Begin to collect.

        `full` lists everything, and what is gone at the platform goes here; with the option `reread` the messages of
        unchanged tickets too. `incremental` reads what has changed, `ticket` the tickets of the option `ticket_ids`.

        Raises:
            InstallationNotFound: the tenant has no such platform.
            SyncActive: a collection of it is under way; it is named.
            Invalid: a job for tickets names none, or too many.
        """
        options = dict(options or {})
        if kind == "ticket" and not 0 < len(options.get("ticket_ids", ())) <= MAX_NAMED:
            raise Invalid(f"A job for single tickets names 1 to {MAX_NAMED} of them in `ticket_ids`.")
        await (await self._source(principal.tenant_id, platform)).close()
        job = self._new(principal.tenant_id, kind, platform, options)
        await self._insert(job, principal.user_id)
        self._worker.start(job.tenant_id, job.job_id)
        return job

    async def changed(
        self, tenant_id: str, platform: str, ticket_ids: Sequence[str], deleted: Sequence[str] = ()
    ) -> UUID | None:
        """Have tickets read again through the platform's API: somebody unproven said that they changed, or are gone.

        Calls that follow each other share a job, which is kept before this returns; its id is returned.
        """
        job_id = None
        for at in range(0, max(len(ticket_ids), len(deleted)), MAX_NAMED // 2):
            part = slice(at, at + MAX_NAMED // 2)
            options = {"ticket_ids": sorted(set(ticket_ids[part])), "deleted": sorted(set(deleted[part]))}
            job = self._new(tenant_id, "ticket", platform, options)
            job_id = await self._add(job)
            self._worker.start(tenant_id, job_id, self._debounce)
        return job_id

    async def get(self, principal: Principal, job_id: UUID) -> SyncJob:
        """Return a job.

        Raises:
            JobNotFound: no such job, or another tenant's.
        """
        return await self._database.read(lambda c: SyncRepository(c, principal.tenant_id).get(job_id))

    async def list(
        self, principal: Principal, *, platform: str | None = None, limit: int = 20, before: UUID | None = None
    ) -> tuple[Sequence[SyncJob], int]:
        """Return jobs, the newest first, from behind the job `before` on, and how many there are in all."""

        def read(c: Connection) -> tuple[Sequence[SyncJob], int]:
            sync = SyncRepository(c, principal.tenant_id)
            return sync.page(platform=platform, limit=limit, before=before), sync.count(platform)

        return await self._database.read(read)

    async def active(self, principal: Principal, platform: str | None = None) -> Sequence[UUID]:
        """Return the jobs that have not ended, the oldest first."""
        return await self._database.read(lambda c: SyncRepository(c, principal.tenant_id).active(platform))

    async def issues(
        self, principal: Principal, job_id: UUID, *, limit: int = 100, after: tuple[str, str] | None = None
    ) -> tuple[Sequence[SyncIssue], int]:
        """Return what a job could not take in, in the order of kind and id, and how much that is in all.

        Raises:
            JobNotFound: no such job, or another tenant's.
        """

        def read(c: Connection) -> tuple[Sequence[SyncIssue], int]:
            sync = SyncRepository(c, principal.tenant_id)
            sync.get(job_id)
            return sync.issues(job_id, limit=limit, after=after), sync.count_issues(job_id)

        return await self._database.read(read)

    async def pause(self, principal: Principal, job_id: UUID) -> SyncJob:
        """Ask a job to rest after the page that is under way.

        Raises:
            JobNotFound: no such job, or another tenant's.
            Conflict: it has ended, or is about to.
        """
        now = self._clock()
        job = await self._database.write(lambda c: SyncRepository(c, principal.tenant_id).want(job_id, "pause", now))
        self._worker.nudge(job_id)
        return job

    async def cancel(self, principal: Principal, job_id: UUID) -> SyncJob:
        """Ask for a job's end; what was collected stays. Nothing happens to one that has ended.

        Raises:
            JobNotFound: no such job, or another tenant's.
        """
        now = self._clock()
        job = await self._database.write(lambda c: SyncRepository(c, principal.tenant_id).want(job_id, "cancel", now))
        self._worker.nudge(job_id)
        return job

    async def resume(self, principal: Principal, job_id: UUID) -> SyncJob:
        """Let a job go on where it was that is paused, or was stopped by an error.

        Raises:
            JobNotFound: no such job, or another tenant's.
            Conflict: it has come to its end, or was cancelled.
            SyncActive: it had failed, and another one has begun since.
        """
        now = self._clock()
        job = await self._database.write(lambda c: SyncRepository(c, principal.tenant_id).resume(job_id, now))
        self._worker.start(principal.tenant_id, job_id)
        self._worker.nudge(job_id)
        return job

    async def progress(self, principal: Principal, job_id: UUID) -> AsyncGenerator[SyncJob]:
        """Yield the job as it stands, then after each change, until it has ended; whichever process runs it.

        Raises:
            JobNotFound: no such job, or another tenant's.
        """
        signal = self._worker.signal(job_id)
        last: SyncJob | None = None
        while True:
            changed = signal.next()
            job = await self.get(principal, job_id)
            if job != last:
                yield job
            last = job
            if job.ended:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN):
                    await changed.wait()

    async def wait(self, principal: Principal, job_id: UUID) -> SyncJob:
        """Return the job once it has ended, or rests."""
        async for job in self.progress(principal, job_id):
            if job.status == "paused":
                return job
        return await self.get(principal, job_id)

    async def status(self, principal: Principal) -> Sequence[PlatformState]:
        """Return what is here of each platform of the tenant, and how it came."""

        def read(c: Connection) -> list[PlatformState]:
            tenant_id = principal.tenant_id
            sync = SyncRepository(c, tenant_id)
            tickets, articles = TicketRepository(c, tenant_id), ArticleRepository(c, tenant_id)
            attachments = AttachmentRepository(c, tenant_id)
            return [
                PlatformState(
                    platform=platform,
                    tickets=tickets.count(TicketFilter(platform=platform)),
                    articles=articles.count(platform=platform),
                    attachments=attachments.count(platform=platform),
                    unprocessed=tickets.count(TicketFilter(platform=platform, is_processed=False)),
                    cursors=tuple(sync.cursors(platform)),
                    last_job=sync.last(platform),
                )
                for platform in sync.platforms()
            ]

        return await self._database.read(read)

    async def sweep(self) -> None:
        """Drop the jobs that ended long ago."""
        before = self._clock() - _KEPT
        await self._database.write(lambda c: AllSyncJobs(c).expire(before), durable=False)

    async def look_once(self) -> None:
        """Take up what a dead server left, and begin what is due."""
        await self._take_up(self._clock() - STALE)
        if self._interval:
            before = self._clock() - self._interval
            for tenant_id, platform, whole in await self._database.read(lambda c: AllSyncJobs(c).due(before)):
                job = self._new(tenant_id, "incremental" if whole else "full", platform, {})
                with suppress(SyncActive):  # somebody was quicker
                    await self._insert(job, SYSTEM)
                    self._worker.start(tenant_id, job.job_id, random.uniform(0, self._spread))

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(_TICK * random.uniform(0.8, 1.2))
            try:
                await self.look_once()
            except Unavailable as error:
                logger.warning("the schedule of collections could not be looked at: {error}", error=error.detail)
            except Exception:  # noqa: BLE001 - one failure must not end all schedules
                logger.exception("the schedule of collections could not be looked at")

    async def _take_up(self, before: datetime | None) -> None:
        for tenant_id, job_id in await self._database.read(lambda c: AllSyncJobs(c).left(before)):
            self._worker.start(tenant_id, job_id)

    async def _insert(self, job: SyncJob, user_id: str) -> None:
        await self._database.write(lambda c: SyncRepository(c, job.tenant_id).insert(job, user_id))

    async def _add(self, job: SyncJob) -> UUID:
        job_id, _ = await self._database.write(
            lambda c: SyncRepository(c, job.tenant_id).add_tickets(job, SYSTEM, MAX_NAMED)
        )
        return job_id

    def _new(self, tenant_id: str, kind: SyncKind, platform: str, options: Mapping[str, Any]) -> SyncJob:
        now = self._clock()
        return SyncJob(
            job_id=new_id(),
            tenant_id=tenant_id,
            platform=platform,
            kind=kind,
            status="pending",
            stage="tickets",
            counts=SyncCounts(),
            created_at=now,
            updated_at=now,
            options=options,
        )

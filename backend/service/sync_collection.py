"""The work of one attempt of a collection: what a platform has, page by page, into the tables.

A page is written together with the place where the next one begins, so that a kill at any moment repeats one page at
most; what was written of it is recognized by its moment of change and costs no further request. No more than a page is
held in memory.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from itertools import batched
from typing import Any, Protocol, cast
from uuid import UUID

from loguru import logger
from sqlalchemy import Connection

from backend.core.collector.platform import BadItem, SupportSource, TicketPage, TicketState
from backend.core.desk.retention import is_over
from backend.core.error import (
    DomainError,
    Fenced,
    Forbidden,
    NotFound,
    TooMany,
    Unauthorized,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from backend.database.base import Database
from backend.dto.sync import SyncCounts, SyncIssue, SyncStage
from backend.dto.ticket import TicketData
from backend.repository.retention import RetentionRepository
from backend.repository.sync import SyncRepository, SyncTask, Wanted
from backend.repository.ticket import Known, TicketRepository
from backend.service.sync_articles import ArticleReading
from backend.service.sync_writer import Read, SyncWriter, differs

SLICE = 20
"""Tickets that are read at once and written in one transaction: with their messages a few hundred rows."""
AT_ONCE = 8
"""Requests for messages that are under way at once."""
OVERLAP = timedelta(minutes=1)
"""How far before its cursor an incremental collection begins: a platform's lists may lag behind its clock."""
TRIES = 6
"""Failures in a row, without a page between them, after which a job gives up."""
LONGEST_WAIT = 3600.0
"""Seconds: older plans of Freshdesk count their requests by the hour."""
INDEX_SECONDS = 20.0
"""Between two looks at what could be indexed while a collection goes on."""
AGAIN = 50
"""Tickets that are read one by one in a round."""
STAGES: tuple[SyncStage, ...] = ("tickets", "removed", "articles", "attachments", "index", "done")
_LISTS: dict[TicketState, str] = {"live": "ticket", "deleted": "deleted", "spam": "spam"}
"""The cursor of each list."""
_PASSING = (TooMany, Unavailable, UpstreamFailed, UpstreamTimeout)
"""What may be over in a moment."""


class Index(Protocol):
    """Makes what was collected findable."""

    def work(self, tenant_id: str) -> AsyncIterator[int]:
        """Take in what is not in the index as it stands, in batches; yield how many objects each had."""

    async def remove_articles(self, tenant_id: str, articles: Sequence[UUID]) -> None:
        """Forget articles that are no more; those it does not know are nothing to it."""


class Files(Protocol):
    """Fetches attachments."""

    def work(self, tenant_id: str, platform: str, source: SupportSource) -> AsyncIterator[int]:
        """Fetch what waits, in batches; yield how many each had. One that fails is recorded at its row."""


class Stopped(Exception):
    """Somebody asked for the job's pause or end."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted)
        self.wanted = wanted


class Collection:
    """One attempt of one job."""

    def __init__(
        self,
        database: Database,
        source: SupportSource,
        task: SyncTask,
        *,
        index: Index,
        files: Files,
        clock: Callable[[], datetime],
        on_change: Callable[[], None],
        backoff: float,
    ) -> None:
        self._database = database
        self._source = source
        self._job = task.job
        self._state = task.state
        self._index = index
        self._files = files
        self._clock = clock
        self._on_change = on_change
        self._backoff = backoff
        self._writer = SyncWriter(task.job, clock)
        self._requests = source.requests
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._nudged = asyncio.Event()
        self._asked = asyncio.Event()

    def nudge(self) -> None:
        """Look at once at what somebody wants of the job."""
        self._nudged.set()
        self._asked.set()

    async def run(self) -> None:
        """Go through what is left of the stages.

        Raises:
            Stopped: the job's pause or end was asked for.
            Fenced: another attempt has taken over.
            DomainError: the platform, the index or the database does not let it go on.
        """
        work: dict[SyncStage, Callable[[], Awaitable[None]]] = {
            "tickets": self._tickets,
            "removed": self._removed,
            "articles": self._articles,
            "attachments": self._attachments,
            "index": self._indexing,
        }
        if self._job.kind == "ticket":
            work["tickets"] = self._named
            del work["removed"], work["articles"]
        left = STAGES[STAGES.index(self._job.stage) :]
        indexing = asyncio.create_task(self._index_beside(), name="sync index")
        try:
            for stage in left:
                await self._advance(stage=stage)
                if stage == "index":
                    await _ended(indexing)
                if stage in work:
                    logger.info("collecting: {stage}", stage=stage)
                    await work[stage]()
        finally:
            await _ended(indexing)

    async def beat(self, seconds: float) -> None:
        """Show that the attempt lives, every so many seconds and when it is nudged; for its whole life.

        Raises:
            Stopped: the job's end was asked for. A pause waits for the page that is under way.
            Fenced: another attempt has taken over.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._nudged.wait()
            self._nudged.clear()
            with suppress(Unavailable):  # the collection itself will meet it
                wanted = await self._write(lambda c: None)
                if wanted == "cancel":
                    raise Stopped(wanted)

    # --- stages

    async def _tickets(self) -> None:
        await self._read_list("live", self._take)
        await self._read_again()

    async def _removed(self) -> None:
        await self._read_list("deleted", self._take_away)
        await self._read_list("spam", self._take_away)
        if self._job.kind == "full":
            # Only now that all was read: what was not met may be gone. Each is asked for, since a list may err.
            while unmet := await self._database.read(self._unmet):
                await self._read_singly(unmet)

    async def _articles(self) -> None:
        failures = 0
        while True:
            try:
                if "articles_gone" not in self._state:
                    await self._read_articles()
                # They are in no table any more, so it stands in the job until the index has let go of them.
                gone = [UUID(each) for each in self._state["articles_gone"]]
                await self._index.remove_articles(self._job.tenant_id, gone)
                return
            except Forbidden as error:
                await self._advance(issues=[self._issue("article", "*", error.slug, error.detail)])
                return
            except _PASSING as error:
                failures += 1
                await self._wait(error, failures)

    async def _attachments(self) -> None:
        tenant_id, platform = self._job.tenant_id, self._job.platform
        await self._batches(
            lambda: self._files.work(tenant_id, platform, self._source), lambda count: SyncCounts(attachments=count)
        )

    async def _indexing(self) -> None:
        await self._batches(lambda: self._index.work(self._job.tenant_id), lambda count: SyncCounts(indexed=count))

    async def _index_beside(self) -> None:
        """Index while the rest is collected, which may take hours; what goes wrong here the stage `index` will meet."""
        while True:
            await asyncio.sleep(INDEX_SECONDS)
            try:
                async with _closing(self._index.work(self._job.tenant_id)) as batches:
                    async for done in batches:
                        await self._write(lambda c, done=done: SyncCounts(indexed=done))  # type: ignore[misc]
            except Fenced:
                return
            except DomainError as error:
                logger.warning("tickets are not indexed yet: {reason}", reason=error.detail)

    async def _named(self) -> None:
        """Read the tickets again that the job names; those that are said to be deleted are asked for like the rest."""
        options = self._job.options
        named = sorted({*options.get("ticket_ids", ()), *options.get("deleted", ())})
        while named := [each for each in named if each > self._state.get("named", "")]:
            await self._read_singly(named[:AGAIN], state={"named": named[:AGAIN][-1]})

    # --- lists of tickets

    async def _read_list(self, state: TicketState, take: Callable[[TicketPage, str], Awaitable[None]]) -> None:
        """Read a list from where it was left, to its end."""
        kind = _LISTS[state]
        if self._state.get(f"{kind}_read"):
            return
        failures = 0
        while True:
            since = await self._since(kind)
            try:
                async with _closing(self._source.tickets(since, state=state)) as pages:
                    async for page in pages:
                        await take(page, kind)
                        failures = 0
                break
            except _PASSING as error:
                failures += 1
                await self._wait(error, failures)
        await self._advance(
            lambda c: self._sync(c).move_cursor(self._job.platform, kind, None, self._clock(), complete=True),
            state={f"{kind}_read": True},
        )

    async def _since(self, kind: str) -> datetime | None:
        if (until := self._state.get(kind)) is not None:
            return datetime.fromisoformat(until)
        if self._job.kind == "full":
            return None
        cursor = await self._database.read(lambda c: self._sync(c).cursor(self._job.platform, kind))
        return cursor.updated_since - OVERLAP if cursor is not None and cursor.updated_since is not None else None

    async def _take(self, page: TicketPage, kind: str) -> None:
        """Write a page: the messages of what is new or changed are read, of the rest nothing.

        Nor is anything read of what is not kept any more: without that, what the retention removed would come back.
        """
        known, before = await self._known([ticket.ticket_id for ticket in page.tickets])
        kept = [each for each in page.tickets if each.ticket_id in known or not is_over(each, before)]
        reread = bool(self._job.options.get("reread"))
        todo = [each for each in kept if reread or differs(known.get(each.ticket_id), each)]
        slices = list(batched(todo, SLICE)) or [()]
        for number, part in enumerate(slices, 1):
            read = await self._whole(part)
            if number == len(slices):
                await self._put(read, page=page, kind=kind)
            else:
                await self._put(read)

    async def _take_away(self, page: TicketPage, kind: str) -> None:
        """Mark what is here of a list of deleted tickets or spam; of what never was here nothing is kept."""
        await self._advance(
            lambda c: self._writer.take_away(c, page, kind), issues=self._bad(page.bad), state=_place(page, kind)
        )

    async def _known(self, ticket_ids: Sequence[str]) -> tuple[dict[str, Known], datetime | None]:
        """Return which tickets are here, and before which last change none is taken in that is done with."""
        now, job = self._clock(), self._job

        def read(c: Connection) -> tuple[dict[str, Known], datetime | None]:
            known = TicketRepository(c, job.tenant_id).known(job.platform, ticket_ids)
            return known, RetentionRepository(c, job.tenant_id).horizon(now)

        return await self._database.read(read)

    # --- single tickets

    async def _read_again(self) -> None:
        """Read once more what failed, in this job and since the one before."""
        while unread := await self._database.read(self._unread):
            # What a list could not even name has an id of our client's making, which is no ticket's.
            named = [each for each in unread if each.isalnum()]
            await self._read_singly(named, state={"again": unread[-1]})

    def _unread(self, c: Connection) -> list[str]:
        return self._sync(c).unread(self._job, AGAIN, self._state.get("again", ""))

    def _unmet(self, c: Connection) -> list[str]:
        return self._sync(c).unmet(self._job.job_id, self._job.platform, AGAIN)

    async def _read_singly(self, ticket_ids: Sequence[str], state: dict[str, Any] | None = None) -> None:
        """Ask for tickets one by one; what the platform has no more, or keeps as deleted or spam, is marked so."""
        failures = 0
        while True:
            try:
                read = await self._singly(ticket_ids)
                return await self._put(read, met=ticket_ids, state=state)
            except _PASSING as error:
                failures += 1
                await self._wait(error, failures)

    async def _singly(self, ticket_ids: Sequence[str]) -> Read:
        read = Read()
        await self._each(ticket_ids, lambda each: self._ticket(each, read), read)
        return read

    async def _whole(self, tickets: Sequence[TicketData]) -> Read:
        """Read what lists leave out of tickets: their messages and files."""
        read = Read()
        listed = {ticket.ticket_id: ticket for ticket in tickets}
        await self._each(list(listed), lambda each: self._ticket(each, read, listed[each]), read)
        return read

    async def _ticket(self, ticket_id: str, read: Read, listed: TicketData | None = None) -> None:
        whole = await self._source.whole(ticket_id, listed)
        read.whole.append(whole)
        read.issues.extend(self._bad(whole.bad))

    async def _each(self, ticket_ids: Sequence[str], one: Callable[[str], Awaitable[None]], read: Read) -> None:
        """Do something for tickets, several at once. One that fails is an issue, and the rest goes on.

        When all fail, one cheap request tells whether it is the platform, which is waited for, or they.
        """
        failed: list[DomainError] = []

        async def attempt(ticket_id: str) -> None:
            async with self._turns:
                try:
                    await one(ticket_id)
                except NotFound:
                    read.gone.append(ticket_id)
                except (TooMany, Unavailable, Unauthorized):
                    raise
                except DomainError as error:
                    failed.append(error)
                    read.issues.append(self._issue("ticket", ticket_id, error.slug, error.detail))

        try:
            async with asyncio.TaskGroup() as group:
                for ticket_id in ticket_ids:
                    group.create_task(attempt(ticket_id))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        if failed and len(failed) == len(ticket_ids) and isinstance(failed[0], _PASSING):
            await self._source.check()

    # --- writing

    async def _put(
        self,
        read: Read,
        *,
        page: TicketPage | None = None,
        kind: str = "ticket",
        met: Sequence[str] = (),
        state: dict[str, Any] | None = None,
    ) -> None:
        """Write what was read, in one transaction; with the page that it ends, and where the next one begins."""
        issues = [*read.issues, *(self._bad(page.bad) if page is not None else ())]
        place = _place(page, kind) if page is not None else state
        await self._advance(lambda c: self._writer.put(c, read, page, kind, met), issues=issues, state=place)

    async def _advance(
        self,
        work: Callable[[Connection], SyncCounts | None] = lambda c: None,
        *,
        stage: SyncStage | None = None,
        state: dict[str, Any] | None = None,
        issues: Sequence[SyncIssue] = (),
    ) -> None:
        """Write as this attempt, wake those who watch, and stop where that was asked for.

        Raises:
            Stopped: the job's pause or end was asked for; what was to be written is written.
            Fenced: another attempt has taken over; nothing is written.
        """
        wanted = await self._write(work, stage=stage, state=state, issues=issues)
        self._on_change()
        if wanted is not None:
            raise Stopped(wanted)

    async def _write(
        self,
        work: Callable[[Connection], SyncCounts | None],
        *,
        stage: SyncStage | None = None,
        state: dict[str, Any] | None = None,
        issues: Sequence[SyncIssue] = (),
    ) -> Wanted | None:
        # Taken before the first wait: the heart beats beside the work, and each request counts once.
        requests = self._source.requests - self._requests
        self._requests += requests
        job = self._job

        def write(c: Connection) -> Wanted | None:
            sync = self._sync(c)
            sync.hold(job.job_id, job.attempt)
            add = work(c) or SyncCounts()
            whole = None if state is None else {**self._state, **state}  # `work` may have put something into it
            failed = sync.report(job.job_id, issues)
            counts = {name: getattr(add, name) for name in SyncCounts.__dataclass_fields__}
            counts["failed"] += failed
            counts["requests"] += requests
            return sync.advance(
                job.job_id, job.attempt, self._clock(), add=SyncCounts(**counts), stage=stage, state=whole
            )

        wanted = await self._database.write(write, durable=False)
        self._state.update(state or {})
        return wanted

    # --- articles, and what is yielded in batches

    async def _read_articles(self) -> None:
        """Read the knowledge base to its end."""

        async def advance(
            work: Callable[[Connection], SyncCounts | None],
            *,
            state: dict[str, Any] | None = None,
            bad: Sequence[BadItem] = (),
        ) -> None:
            await self._advance(work, state=state, issues=self._bad(bad))

        reading = ArticleReading(self._database, self._source, self._job, self._writer, advance, self._clock)
        await reading.read()

    async def _batches(self, work: Callable[[], AsyncIterator[int]], count: Callable[[int], SyncCounts]) -> None:
        """Do what is left of something that knows itself what is left."""
        failures = 0
        while True:
            try:
                async with _closing(work()) as batches:
                    async for done in batches:
                        failures = 0
                        await self._advance(lambda c, done=done: count(done))  # type: ignore[misc]
                return
            except _PASSING as error:
                failures += 1
                await self._wait(error, failures)

    async def _wait(self, error: DomainError, failures: int) -> None:
        """Wait before the next try, the longer the more have failed; raise the error when that is enough."""
        if failures >= TRIES:
            raise error
        seconds = self._backoff * 2 ** (failures - 1) * random.uniform(0.5, 1)
        if isinstance(error, TooMany):
            seconds = max(seconds, min(error.retry_after, LONGEST_WAIT))
        logger.warning("collecting waits {seconds:.1f} s: {reason}", seconds=seconds, reason=error.detail)
        self._asked.clear()
        await self._advance()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        await self._advance()

    def _bad(self, items: Iterable[BadItem]) -> list[SyncIssue]:
        return [self._issue(item.object_type, item.original_id, item.code, item.reason) for item in items]

    def _issue(self, object_type: str, original_id: str, code: str, reason: str) -> SyncIssue:
        return SyncIssue(
            object_type=object_type, original_id=original_id, code=code, reason=reason, created_at=self._clock()
        )

    def _sync(self, c: Connection) -> SyncRepository:
        return SyncRepository(c, self._job.tenant_id)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _place(page: TicketPage, kind: str) -> dict[str, Any] | None:
    """Where to go on behind a page."""
    return None if page.until is None else {kind: page.until.isoformat()}


def _closing[T](items: AsyncIterator[T]) -> "aclosing[AsyncGenerator[T]]":
    return aclosing(cast("AsyncGenerator[T]", items))

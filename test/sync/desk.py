"""A support desk in memory, behind the port that a platform's client has; and collecting from it, over real tables."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import NullPool, create_engine, text

from backend.core.collector.platform import (
    AccountInfo,
    ArticlePage,
    BadItem,
    Languages,
    SupportSource,
    TicketPage,
    TicketState,
    WholeTicket,
)
from backend.core.error import DomainError, InstallationNotFound, NotFound
from backend.core.lock import get_redis_lock
from backend.database.base import Database
from backend.database.model import Base
from backend.database.sqlite import SqliteDatabase
from backend.dto.principal import Principal
from backend.dto.sync import SyncJob
from backend.dto.ticket import ArticleData, AttachmentData, ConversationData, TicketData, TicketFilter
from backend.repository.ticket import TicketRepository
from backend.service.sync import SyncService
from backend.service.sync_worker import Source
from backend.util.clock import utc_now

KIM = Principal("acme", "kim")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 10


@dataclass
class Desk:
    """What a platform has. Its clock moves on by a minute with each change."""

    tickets: dict[str, TicketData] = field(default_factory=dict)
    messages: dict[str, list[ConversationData]] = field(default_factory=dict)
    articles: dict[str, ArticleData] = field(default_factory=dict)
    bad: list[BadItem] = field(default_factory=list)
    languages: Languages | None = None
    translations: dict[str, ArticleData] = field(default_factory=dict)
    """By the names they have here: `a1:en`."""
    failing: Callable[[str, str], DomainError | None] = lambda what, which: None
    """Asked before each request: what it is for, and for which ticket or list."""
    gate: Callable[[str, str], Any] | None = None
    requests: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    now: datetime = EPOCH

    def tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    def write(self, number: int, messages: int = 2, **values: Any) -> str:
        """Make or change a ticket."""
        ticket_id = str(number)
        now = self.tick()
        old = self.tickets.get(ticket_id)
        data = old or TicketData(
            ticket_id=ticket_id,
            title=f"Ticket {number}",
            description=f"<p>It does not work, {number} times.</p>",
            status=2,
            status_name="open",
            priority=1,
            platform_created_at=now,
        )
        self.tickets[ticket_id] = replace(data, platform_updated_at=now, **values)
        said = self.messages.setdefault(ticket_id, [])
        for _ in range(messages):
            at = len(said)
            said.append(
                ConversationData(
                    conversation_id=f"{ticket_id}-{at}",
                    content=f"Message {at} of {ticket_id}",
                    message_type="public",
                    author_type="agent" if at % 2 else "customer",
                    platform_created_at=now + timedelta(milliseconds=at),
                )
            )
        return ticket_id

    def fill(self, count: int) -> None:
        for number in range(1, count + 1):
            self.write(number, messages=number % 4)

    def publish(self, number: int) -> None:
        article_id = f"a{number}"
        self.articles[article_id] = ArticleData(
            article_id=article_id,
            title=f"How to {number}",
            description=f"<p>Do it {number} times.</p>",
            audience="customer",
            published=True,
            platform_updated_at=self.tick(),
            attachments=(AttachmentData(attachment_id=f"f{number}", name="guide.pdf", size=10),),
        )

    def drop(self, ticket_id: str) -> None:
        """Delete for good: no list has it any more."""
        del self.tickets[ticket_id]

    def count(self, what: str) -> int:
        return sum(each == what for each, _ in self.asked)


class DeskSource:
    """One opened account."""

    platform = "freshdesk"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.requests = 0
        self.closed = False

    async def check(self) -> AccountInfo:
        await self._ask("check", "")
        return AccountInfo(
            platform="freshdesk",
            domain="acme",
            tenant_id="acme",
            agent_id="1",
            agent_email="a@acme.com",
            agent_name="A",
        )

    async def tickets(self, since: datetime | None, *, state: TicketState = "live") -> AsyncIterator[TicketPage]:
        met: dict[str, datetime | None] = {}
        while True:
            await self._ask("list", state)
            of_state = {"live": (False, False), "deleted": (True, False), "spam": (False, True)}[state]
            found = [
                ticket
                for ticket in self._desk.tickets.values()
                if (ticket.deleted, ticket.spam) == of_state
                and (since is None or ticket.platform_updated_at >= since)  # type: ignore[operator]
                and met.get(ticket.ticket_id) != ticket.platform_updated_at
            ]
            page = sorted(found, key=lambda ticket: ticket.platform_updated_at or EPOCH)[:PAGE]
            met |= {ticket.ticket_id: ticket.platform_updated_at for ticket in page}
            until = page[-1].platform_updated_at if page else None
            bad = tuple(self._desk.bad) if state == "live" and len(met) == len(page) else ()  # the first page
            yield TicketPage(tickets=tuple(page), bad=bad, until=until)
            if len(page) < PAGE:
                return

    async def ticket(self, ticket_id: str) -> TicketData:
        await self._ask("ticket", ticket_id)
        if ticket_id not in self._desk.tickets:
            raise NotFound(f"Ticket {ticket_id} is not there.")
        return self._desk.tickets[ticket_id]

    async def whole(self, ticket_id: str, listed: TicketData | None = None) -> WholeTicket:
        ticket = self._desk.tickets.get(ticket_id)
        said = tuple(self._desk.messages.get(ticket_id, ()))
        await self._ask("ticket" if listed is None else "conversations", ticket_id)  # the answer is on its way
        if ticket is None:
            raise NotFound(f"Ticket {ticket_id} is not there.")
        return WholeTicket(ticket=ticket, conversations=said)

    async def conversations(self, ticket_id: str) -> tuple[list[ConversationData], list[BadItem]]:
        await self._ask("conversations", ticket_id)
        if ticket_id not in self._desk.tickets:
            raise NotFound(f"Ticket {ticket_id} is not there.")
        return list(self._desk.messages.get(ticket_id, ())), []

    async def articles(self) -> AsyncIterator[ArticlePage]:
        for page in batched(list(self._desk.articles.values()), PAGE):
            await self._ask("articles", page[0].article_id)
            yield ArticlePage(articles=page)

    async def languages(self) -> Languages | None:
        await self._ask("languages", "")
        return self._desk.languages

    async def translations(self, language: str, originals: Sequence[ArticleData]) -> AsyncIterator[ArticlePage]:
        for page in batched([one.article_id for one in originals], PAGE):
            await self._ask("translations", page[0])
            found = (self._desk.translations.get(f"{each}:{language}") for each in page)
            yield ArticlePage(articles=tuple(one for one in found if one is not None))

    async def download(self, attachment: AttachmentData, *, ticket_id: str | None = None) -> AsyncIterator[bytes]:
        yield b""

    async def add_note(self, ticket_id: str, body: str) -> str:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed = True

    async def _ask(self, what: str, which: str) -> None:
        self._desk.asked.append((what, which))
        self.requests += 1
        self._desk.requests += 1
        if self._desk.gate is not None:
            await self._desk.gate(what, which)
        else:
            await asyncio.sleep(0)
        if (failure := self._desk.failing(what, which)) is not None:
            raise failure


class FakeIndex:
    """Marks tickets as indexed, as the real index does, and remembers which articles it was to forget."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.forgotten: list[UUID] = []

    async def work(self, tenant_id: str) -> AsyncIterator[int]:
        while True:

            def some(c: Any) -> int:
                tickets = TicketRepository(c, tenant_id)
                waiting = tickets.unprocessed(20)
                tickets.mark_processed([(ticket.id, ticket.content_hash) for ticket in waiting])
                return len(waiting)

            if not (done := await self._database.write(some)):
                return
            yield done

    async def remove_articles(self, tenant_id: str, articles: Sequence[UUID]) -> None:
        self.forgotten += articles


class NoFiles:
    async def work(self, tenant_id: str, platform: str, source: SupportSource) -> AsyncIterator[int]:
        for count in (2, 1):
            yield count


@dataclass
class Office:
    """Collecting from a desk, open."""

    desk: Desk
    database: Database
    service: SyncService
    index: FakeIndex

    async def collect(self, kind: Any = "incremental", **options: Any) -> SyncJob:
        """Collect to the end."""
        job = await self.service.start(KIM, kind, options=options)
        return await self.ended(job.job_id)

    async def ended(self, job_id: UUID) -> SyncJob:
        async with asyncio.timeout(45):
            return await self.service.wait(KIM, job_id)

    async def until(self, job_id: UUID, true: Callable[[SyncJob], bool]) -> SyncJob:
        async with asyncio.timeout(45):
            async for job in self.service.progress(KIM, job_id):
                if true(job):
                    return job
        raise AssertionError("the job has ended without it")

    async def titles(self) -> list[str]:
        """Return the titles of what is live."""
        rows = await self.database.read(lambda c: TicketRepository(c, KIM.tenant_id).list(TicketFilter(), 100))
        return sorted(row.data.title for row in rows)

    async def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        return await self.database.read(contents)


def contents(c: Any) -> dict[str, list[tuple[Any, ...]]]:
    """Return what was collected, but for what differs from one collection to another: our ids and moments."""
    queries = {
        "tickets": "ticket_id, title, status, spam, deleted, conversations, content_hash, platform_updated_at,"
        " is_processed, version",
        "conversations": "ticket_id, conversation_id, content, message_type, author_type, platform_created_at",
        "articles": "article_id, title, description, audience, content_hash",
        "attachments": "attachment_id, parent_type, parent_id, ticket_id, private, status",
        "integrated_objects": "object_type, original_id, parent_id, content_hash, integrated_content, version",
        "sync_cursors": "object_type, updated_since, complete",
    }
    return {
        name: [tuple(row) for row in c.execute(text(f"SELECT {columns} FROM {name} ORDER BY 1, 2"))]
        for name, columns in queries.items()
    }


def contents_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return what is in a file that nobody has open."""
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
        return contents(connection)


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(path)
    await database.open()
    try:
        await database.write(Base.metadata.create_all)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def open_office(
    database: Database, desk: Desk, source: Source | None = None, **options: Any
) -> AsyncIterator[Office]:
    """Open the collecting; the tenants `acme` and `globex` have the desk installed, or else what `source` opens."""
    index = FakeIndex(database)

    async def of_desk(tenant_id: str, platform: str) -> SupportSource:
        if tenant_id not in {"acme", "globex"} or platform != "freshdesk":
            raise InstallationNotFound(platform)
        return DeskSource(desk)

    service = SyncService(
        database,
        source or of_desk,
        get_redis_lock(),
        index=index,
        files=NoFiles(),
        **{"backoff": 0.001, "debounce": 0.05, "spread": 0.05, "clock": utc_now, **options},
    )
    await service.open()
    try:
        yield Office(desk, database, service, index)
    finally:
        await service.close()

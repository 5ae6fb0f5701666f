"""What a tenant's support desk holds: tickets, their messages, articles, and every object as it came."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from backend.core.error import Conflict, Invalid, VersionConflict
from backend.database.base import Database
from backend.dto.integrated_object import IntegratedObject
from backend.dto.principal import Principal
from backend.dto.ticket import (
    Article,
    Audience,
    Conversation,
    ConversationData,
    ObjectType,
    Outcome,
    Ticket,
    TicketData,
    TicketFilter,
    TicketStatistics,
    status_of,
)
from backend.repository.article import ArticleRepository
from backend.repository.conversation import ConversationRepository
from backend.repository.integrated_object import IntegratedObjectRepository
from backend.repository.ticket import TicketRepository
from backend.util.clock import utc_now

OWN = "api"
"""The platform of tickets that a tenant's own programs bring; those of another are changed there."""
EXPORT_PAGE = 50
"""Tickets of an export that are in memory at a time."""
MAX_MESSAGES = 2000
"""Messages of one ticket of a tenant's own."""
MAX_CHARS = 20_000_000
"""Characters of all of them: who summarises a ticket reads it whole."""
CHANGEABLE = frozenset(
    {
        *("title", "description", "status", "status_name", "priority", "type", "requester_email", "requester_name"),
        *("assignee_email", "assignee_name", "tags", "custom_fields", "resolved_at"),
    }
)
"""What a change of a ticket may name."""

Place = tuple[datetime, UUID]
"""Where a page ended."""
OnChanged = Callable[[str], None]
OnRemoved = Callable[[str, Sequence[UUID]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a ticket that was sent."""

    id: UUID
    ticket_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFilter:
    author_email: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    include_private: bool = False

    def terms(self) -> dict[str, Any]:
        return {
            "author_email": self.author_email,
            "created_from": self.created_from,
            "created_to": self.created_to,
            "include_private": self.include_private,
        }


@dataclass(frozen=True, slots=True)
class Page[T]:
    """A page of a list; `more` says whether another comes behind it."""

    items: Sequence[T]
    more: bool
    total: int = field(default=0)


class TicketService:
    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = utc_now,
        *,
        on_changed: OnChanged = lambda tenant_id: None,
        on_removed: OnRemoved | None = None,
    ) -> None:
        """`on_changed` hears of a tenant with something to index, `on_removed` of tickets that go for good."""
        self._db = database
        self._clock = clock
        self._on_changed = on_changed
        self._on_removed = on_removed

    async def list(
        self,
        principal: Principal,
        wanted: TicketFilter,
        *,
        statuses: Sequence[str] = (),
        limit: int = 20,
        before: Place | None = None,
    ) -> Page[Ticket]:
        """Return tickets, the last changed at their platform first, with how many there are in all.

        `statuses` are names or numbers, besides those of the filter.

        Raises:
            Invalid: no ticket has a status of this name.
        """

        def work(connection: Connection) -> Page[Ticket]:
            tickets = TicketRepository(connection, principal.tenant_id)
            asked = _with_statuses(tickets, wanted, statuses)
            found, total = tickets.page(asked, limit + 1, before)
            return Page(found[:limit], len(found) > limit, total)

        return await self._db.read(work)

    async def statistics(self, principal: Principal, platform: str | None = None) -> TicketStatistics:
        """Return how many tickets there are by what."""
        return await self._db.read(lambda c: TicketRepository(c, principal.tenant_id).statistics(platform))

    async def get(self, principal: Principal, ticket: str, platform: str | None = None) -> Ticket:
        """Return a ticket by our id, or by the platform's.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
            Invalid: several platforms have one of this id.
        """
        return await self._db.read(lambda c: TicketRepository(c, principal.tenant_id).find(ticket, platform))

    async def conversations(
        self,
        principal: Principal,
        ticket: str,
        platform: str | None = None,
        *,
        include_private: bool = False,
        limit: int = 50,
        after: Place | None = None,
    ) -> Page[Conversation]:
        """Return the messages of a ticket, the oldest first, with how many there are in all.

        Raises: as `get` does.
        """

        def work(connection: Connection) -> Page[Conversation]:
            kept = TicketRepository(connection, principal.tenant_id).find(ticket, platform)
            messages = ConversationRepository(connection, principal.tenant_id)
            found = messages.of_ticket(kept.id, limit=limit + 1, after=after, include_private=include_private)
            total = messages.count_of(kept.id, include_private=include_private)
            return Page(found[:limit], len(found) > limit, total)

        return await self._db.read(work)

    async def list_conversations(
        self, principal: Principal, wanted: ConversationFilter, *, limit: int = 50, before: Place | None = None
    ) -> Page[Conversation]:
        """Return messages of all tickets, the newest first, with how many there are in all."""

        def work(connection: Connection) -> Page[Conversation]:
            messages = ConversationRepository(connection, principal.tenant_id)
            found = messages.list(**wanted.terms(), limit=limit + 1, before=before)
            return Page(found[:limit], len(found) > limit, messages.count(**wanted.terms()))

        return await self._db.read(work)

    async def put(self, principal: Principal, tickets: Sequence[TicketData]) -> Sequence[Written]:
        """Take in a tenant's own tickets; one whose id is there already is brought up to what was sent.

        Raises:
            Invalid: an id stands in it twice.
        """
        ids = [one.ticket_id for one in tickets]
        if len(set(ids)) != len(ids):
            twice = next(each for at, each in enumerate(ids) if each in ids[:at])
            raise Invalid(f"Ticket {twice} stands in the body twice.", ticket_id=twice)
        now = self._clock()
        done = await self._db.write(lambda c: TicketRepository(c, principal.tenant_id).put(OWN, tickets, now))
        if any(one.outcome != "unchanged" for one in done.values()):
            self._on_changed(principal.tenant_id)
        return [Written(done[each].id, each, done[each].outcome) for each in ids]

    async def change(
        self, principal: Principal, ticket: str, version: int, changes: Mapping[str, Any], platform: str | None = None
    ) -> Ticket:
        """Change some of what `CHANGEABLE` names in a ticket of the tenant's own.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
            VersionConflict: it is not at this version any more.
            Conflict: it is a platform's.
            ValueError: something else was to be changed: a mistake of ours.
        """
        if other := changes.keys() - CHANGEABLE:
            raise ValueError(f"These cannot be changed: {', '.join(sorted(other))}.")
        now = self._clock()

        def work(connection: Connection) -> Ticket:
            tickets = TicketRepository(connection, principal.tenant_id)
            kept = _own(tickets.find(ticket, platform))
            if kept.version != version:
                raise VersionConflict(f"Ticket {kept.data.ticket_id}", kept.version)
            return tickets.update(kept.id, version, replace(kept.data, **changes, platform_updated_at=now), now)

        changed = await self._db.write(work)
        self._on_changed(principal.tenant_id)
        return changed

    async def add_conversations(
        self,
        principal: Principal,
        ticket: str,
        messages: Sequence[ConversationData],
        platform: str | None = None,
    ) -> Ticket:
        """Add messages to a ticket of the tenant's own; one whose id the ticket has already is replaced.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
            Conflict: it is a platform's, has too many messages, or another ticket has one of these ids.
        """
        now = self._clock()

        def work(connection: Connection) -> Ticket:
            tickets = TicketRepository(connection, principal.tenant_id)
            kept = _own(tickets.find(ticket, platform))
            before = {one.data.conversation_id: one.data for one in tickets.conversations(kept.id, MAX_MESSAGES + 1)}
            new = {one.conversation_id: _dated(one, before.get(one.conversation_id), now) for one in messages}
            taken = ConversationRepository(connection, principal.tenant_id).taken(OWN, new, without=kept.id)
            if taken:
                raise Conflict(f"Another ticket has a message {taken[0]}.", conversation_id=taken[0])
            whole = before | new
            if len(whole) > MAX_MESSAGES:
                raise Conflict(f"A ticket has at most {MAX_MESSAGES} messages.")
            if sum(len(one.content) for one in whole.values()) > MAX_CHARS:
                raise Conflict(f"The messages of a ticket have at most {MAX_CHARS} characters.")
            tickets.put_conversations(OWN, kept.data.ticket_id, list(whole.values()), now)
            return tickets.get(kept.id)

        changed = await self._db.write(work)
        self._on_changed(principal.tenant_id)
        return changed

    async def delete(self, principal: Principal, ticket: str, platform: str | None = None) -> None:
        """Remove a ticket of the tenant's own, also from the index; what was begun and failed can be asked for again.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
            Conflict: it is a platform's.
        """
        now = self._clock()

        def mark(connection: Connection) -> UUID:
            tickets = TicketRepository(connection, principal.tenant_id)
            kept = _own(tickets.find(ticket, platform))
            tickets.remove(OWN, [kept.data.ticket_id], now=now, deleted=True)
            return kept.id

        # Marked first: should the index fail, the ticket is still there to be removed from it.
        found = await self._db.write(mark)
        if self._on_removed is not None:
            await self._on_removed(principal.tenant_id, [found])
        await self._db.write(lambda c: TicketRepository(c, principal.tenant_id).delete(found))

    async def export(
        self, principal: Principal, wanted: TicketFilter, *, statuses: Sequence[str] = ()
    ) -> AsyncIterator[Sequence[Ticket]]:
        """Return the tickets in pages, in the order they were taken in: one that changes meanwhile is not missed.

        The first page is read before this returns.

        Raises:
            Invalid: no ticket has a status of this name.
        """

        def first_page(connection: Connection) -> tuple[TicketFilter, Sequence[Ticket]]:
            tickets = TicketRepository(connection, principal.tenant_id)
            asked = _with_statuses(tickets, wanted, statuses)
            return asked, tickets.walk(asked, EXPORT_PAGE)

        asked, page = await self._db.read(first_page)

        def page_behind(after: UUID) -> Callable[[Connection], Sequence[Ticket]]:
            return lambda c: TicketRepository(c, principal.tenant_id).walk(asked, EXPORT_PAGE, after)

        async def pages(page: Sequence[Ticket]) -> AsyncIterator[Sequence[Ticket]]:
            while page:
                yield page
                if len(page) < EXPORT_PAGE:
                    return
                after = page[-1].id
                page = await self._db.read(page_behind(after))

        return pages(page)

    async def list_articles(
        self,
        principal: Principal,
        *,
        platform: str | None = None,
        audience: Audience = "agent",
        limit: int = 20,
        before: Place | None = None,
    ) -> Page[Article]:
        """Return what an audience may read, the last changed first, with how many there are in all."""

        def work(connection: Connection) -> Page[Article]:
            articles = ArticleRepository(connection, principal.tenant_id)
            found = articles.list(platform=platform, audience=audience, limit=limit + 1, before=before)
            total = articles.count(platform=platform, audience=audience)
            return Page(found[:limit], len(found) > limit, total)

        return await self._db.read(work)

    async def get_article(self, principal: Principal, article: UUID, *, audience: Audience = "agent") -> Article:
        """Return an article.

        Raises:
            ArticleNotFound: no such article, another tenant's, or one that the audience may not read.
        """
        return await self._db.read(lambda c: ArticleRepository(c, principal.tenant_id).get(article, audience=audience))

    async def list_objects(
        self,
        principal: Principal,
        object_type: ObjectType | None = None,
        *,
        platform: str | None = None,
        limit: int = 20,
        before: Place | None = None,
    ) -> Page[IntegratedObject]:
        """Return objects of any kind as they came, the last changed first."""

        def work(connection: Connection) -> Page[IntegratedObject]:
            objects = IntegratedObjectRepository(connection, principal.tenant_id)
            found = objects.get_by_tenant(object_type, platform=platform, limit=limit + 1, before=before)
            return Page(found[:limit], len(found) > limit, objects.count(object_type, platform=platform))

        return await self._db.read(work)


def _with_statuses(tickets: TicketRepository, wanted: TicketFilter, statuses: Sequence[str]) -> TicketFilter:
    """Add statuses by name: a desk's own ones are known by its tickets."""
    numbers = set(wanted.status)
    named: Mapping[int, set[str]] | None = None
    for status in statuses:
        try:
            numbers.add(status_of(status)[0])
            continue
        except ValueError:
            named = tickets.statuses() if named is None else named
        found = {number for number, names in named.items() if status.lower() in {name.lower() for name in names}}
        if not found:
            raise Invalid(f"No ticket has the status {status[:100]!r}.")
        numbers |= found
    return replace(wanted, status=tuple(sorted(numbers)))


def _dated(message: ConversationData, before: ConversationData | None, now: datetime) -> ConversationData:
    """Give a message its moment: the same again without one is no change."""
    if message.platform_created_at is not None:
        return message
    return replace(message, platform_created_at=now if before is None else before.platform_created_at)


def _own(ticket: Ticket) -> Ticket:
    if ticket.platform != OWN:
        raise Conflict(
            f"Ticket {ticket.data.ticket_id} is kept at {ticket.platform}: change it there.", platform=ticket.platform
        )
    return ticket

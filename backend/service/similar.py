"""Which tickets are like this one, or like a text? For the desk's own people."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy import Connection

from backend.core.desk.ticket_query import queries_of
from backend.core.retrieval.fusion import Ranker, Thresholds, rank_together
from backend.core.retrieval.hybrid_search import Ranking
from backend.database.base import Database
from backend.dto.desk import SimilarTicket, SimilarTickets, TicketText
from backend.dto.knowledge import Corpus, Passage
from backend.dto.principal import Principal
from backend.dto.ticket import CLOSED, RESOLVED, Conversation, Ticket
from backend.repository.ticket import TicketRepository
from backend.service.support_index import is_hidden
from backend.service.ticket_passages import TICKETS, last_reply, names_of, ticket_of, unnumbered
from backend.service.ticket_text import read_ticket_text, ticket_text

EXCERPT_CHARS = 300

RESOLVED_BOOST = 0.03
"""For a ticket that was solved."""
RECENT_BOOST = 0.02
"""For one of today; half of it for one of half a year ago."""
PRIORITY_BOOST = 0.01
"""For one of a high or urgent priority."""
HALF_LIFE = timedelta(days=180)
_URGENT = 3


# As those of `service/desk.py`: chosen on every other kind of problem there, measured on the rest.
ALIKE: Thresholds = {"same": 0.8, "foreign": 0.8, "foreign messages": 0.8}
"""From which evidence on other tickets are about the same as one."""


class Search(Protocol):
    """Makes rankers."""

    def bound(self, tenant_id: str, *corpora: Corpus) -> Ranker: ...


class SimilarService:
    def __init__(self, db: Database, search: Search, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._db = db
        self._search = search
        self._clock = clock

    async def search(self, principal: Principal, query: str, *, limit: int = 10) -> SimilarTickets:
        """Return the tickets that a text is about, the best first."""
        ranking = await self._search.bound(principal.tenant_id, TICKETS).rank(query)
        return await self._found(principal.tenant_id, ranking, limit)

    async def to_ticket(
        self, principal: Principal, ticket_id: str, *, platform: str | None = None, limit: int = 5
    ) -> SimilarTickets:
        """Return tickets that are like one, the most alike first.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
        """
        text = await read_ticket_text(self._db, principal.tenant_id, ticket_id, platform)
        return await self._to_text(principal.tenant_id, text, limit)

    async def answered(self, tenant_id: str, text: TicketText, *, limit: int = 5) -> SimilarTickets:
        """Return other tickets that are like one, with what the desk told their customers."""
        found = await self._to_text(tenant_id, text, limit)
        answers = await self._answers(tenant_id, [one.ticket for one in found.tickets])
        return replace(found, tickets=tuple(replace(one, answer=answers.get(one.ticket, "")) for one in found.tickets))

    async def _to_text(self, tenant_id: str, text: TicketText, limit: int) -> SimilarTickets:
        ranker = self._search.bound(tenant_id, TICKETS)
        ranking = await rank_together(ranker, queries_of(text), ALIKE, without=names_of(text.ticket))
        return await self._found(tenant_id, ranking, limit)

    async def _found(self, tenant_id: str, ranking: Ranking, limit: int) -> SimilarTickets:
        """Return the tickets of a ranking.

        Solved, recent and urgent ones come a little before others that are as much alike: at most
        `RESOLVED_BOOST + RECENT_BOOST + PRIORITY_BOOST`, so no boost lifts what has nothing to do with it.
        """
        best: dict[UUID, Passage] = {}
        for passage in ranking.passages:
            best.setdefault(ticket_of(passage.document_id), passage)
        kept = await self._db.read(lambda c: TicketRepository(c, tenant_id).get_many(list(best)))
        now = self._clock()
        found = [
            _similar(ticket, best[ticket.id], ranking.evidence, now)
            for ticket in kept.values()
            if not is_hidden(ticket)
        ]
        # By what `score` is before it is cut at 1: else the best of those that say the very same would be any.
        found.sort(key=lambda one: (-one.relevance - sum(one.boosts.values()), -one.relevance, one.ticket))
        return SimilarTickets(tuple(found[:limit]), ranking.evidence, ranking.enough)

    async def _answers(self, tenant_id: str, tickets: Sequence[UUID]) -> dict[UUID, str]:
        """Return the desk's last public reply to each ticket, or an empty text."""

        def read(connection: Connection) -> list[tuple[Ticket, Sequence[Conversation]]]:
            every = TicketRepository(connection, tenant_id)
            said = every.conversations_of(tickets)
            return [(ticket, said.get(ticket.id, ())) for ticket in every.get_many(tickets).values()]

        found = await self._db.read(read)
        return await asyncio.to_thread(
            lambda: {ticket.id: last_reply(ticket_text(ticket, said)) for ticket, said in found}
        )


def _similar(ticket: Ticket, passage: Passage, evidence: float, now: datetime) -> SimilarTicket:
    data = ticket.data
    relevance = passage.score * evidence
    boosts: dict[str, float] = {}
    if data.status in {RESOLVED, CLOSED}:
        boosts["resolved"] = RESOLVED_BOOST * evidence
    if data.platform_updated_at is not None:
        age = max(now - data.platform_updated_at, timedelta())
        boosts["recent"] = RECENT_BOOST * 2 ** -(age / HALF_LIFE) * evidence
    if data.priority >= _URGENT:
        boosts["priority"] = PRIORITY_BOOST * evidence
    summary = ticket.summary or {}
    return SimilarTicket(
        ticket=ticket.id,
        ticket_id=data.ticket_id,
        platform=ticket.platform,
        # Only what was asked, in public, can be without a title.
        title=unnumbered(passage.title or passage.text.splitlines()[0][:EXCERPT_CHARS]),
        excerpt=passage.text[:EXCERPT_CHARS],
        status=data.status,
        status_name=data.status_name,
        priority=data.priority,
        solution=str(summary.get("solution") or ""),
        url=None,
        created_at=data.platform_created_at,
        updated_at=data.platform_updated_at,
        score=min(relevance + sum(boosts.values()), 1.0),
        relevance=relevance,
        boosts={name: round(value, 4) for name, value in boosts.items()},
    )

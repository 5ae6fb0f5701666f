"""One account of Freshdesk as a `SupportSource`."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from backend.core.collector.freshdesk import parser
from backend.core.collector.freshdesk.article_walk import ArticleWalk, TranslationWalk
from backend.core.collector.freshdesk.domain import Domain
from backend.core.collector.freshdesk.download import download
from backend.core.collector.freshdesk.network import FreshdeskNetwork
from backend.core.collector.freshdesk.parser import Agent, BadValue
from backend.core.collector.freshdesk.ticket_list import TicketList
from backend.core.collector.freshdesk.transport import Transport
from backend.core.collector.platform import (
    AccountInfo,
    ArticlePage,
    BadItem,
    Languages,
    TicketPage,
    TicketState,
    WholeTicket,
)
from backend.core.error import Forbidden, NotFound, UpstreamFailed
from backend.dto.ticket import ArticleData, AttachmentData, ConversationData, TicketData

PLATFORM = "freshdesk"
PER_PAGE = 100
DEEPEST_PAGE = 300
"""Freshdesk answers 400 beyond."""
EMBEDDED_CONVERSATIONS = 10
"""Of a ticket's messages, as many come with it at most."""
NAMES_SECONDS = 600.0
"""For which names of agents and statuses are kept."""
_UNTOLD_CAPS = frozenset({30, PER_PAGE})
"""A page of so many rows may be a full one, whether or not a `Link` header came with it."""


class FreshdeskClient:
    """Reads an account's tickets, messages, articles and files; writes private notes, and nothing else."""

    def __init__(self, transport: Transport, network: FreshdeskNetwork, domain: Domain) -> None:
        self._transport = transport
        self._network = network
        self._domain = domain
        self._agents: dict[str, Agent] = {}
        self._statuses: dict[int, str] = {}
        self._named_at = -math.inf
        self._naming = asyncio.Lock()

    @property
    def platform(self) -> str:
        return PLATFORM

    @property
    def requests(self) -> int:
        return self._transport.requests

    async def check(self) -> AccountInfo:
        """Prove that the key works, with one cheap call that does not wait behind a collection."""
        me = (await self._transport.get("/agents/me", urgent=True)).data
        try:
            agent_id, agent = parser.agent(me)
        except BadValue:
            raise UpstreamFailed("The platform did not say whose API key it is.") from None
        return AccountInfo(
            platform=PLATFORM,
            domain=self._domain.host,
            tenant_id=self._domain.subdomain,
            agent_id=agent_id,
            agent_email=agent.email or "",
            agent_name=agent.name,
            details={"ticket_scope": me.get("ticket_scope"), "type": me.get("type")},
        )

    async def tickets(self, since: datetime | None, *, state: TicketState = "live") -> AsyncIterator[TicketPage]:
        """Yield the tickets that changed since a moment, the first changed first."""
        await self._learn_names()
        listing = TicketList(self._transport, lambda raw: parser.ticket(raw, self._agents, self._statuses))
        async for page in listing.pages(since, state):
            yield page

    async def ticket(self, ticket_id: str) -> TicketData:
        """Return one ticket as it is now."""
        number = _number(ticket_id)
        await self._learn_names()
        answer = await self._transport.get(f"/tickets/{number}", {"include": "requester,stats"}, cost=3)
        return self._parsed(answer.data, number)

    async def whole(self, ticket_id: str, listed: TicketData | None = None) -> WholeTicket:
        """Return a ticket with its files and all its messages; one request does for up to nine messages."""
        number = _number(ticket_id)
        await self._learn_names()
        include = ["conversations"] if listed is not None else ["conversations", "requester", "stats"]
        query = {"include": ",".join(include)}
        raw = (await self._transport.get(f"/tickets/{number}", query, cost=1 + len(include))).data
        if not isinstance(raw, dict):
            raise UpstreamFailed("The platform's ticket cannot be read.")
        embedded = raw.get("conversations")
        if isinstance(embedded, list) and len(embedded) < EMBEDDED_CONVERSATIONS:
            messages, bad = self._messages(number, embedded)
        else:
            messages, bad = await self.conversations(ticket_id)
        kept = {name: listed.original[name] for name in ("requester", "stats") if listed and name in listed.original}
        ticket = self._parsed({**kept, **raw}, number)
        merged = ticket.merged_into or parser.merged_into(messages)
        return WholeTicket(ticket=replace(ticket, merged_into=merged), conversations=tuple(messages), bad=tuple(bad))

    def _parsed(self, raw: Any, number: str) -> TicketData:
        """Return the ticket that was asked for: with another one taken for it, it would be lost."""
        try:
            ticket = parser.ticket(raw, self._agents, self._statuses)
            if ticket.ticket_id != number:
                raise BadValue("bad-id", "It is another ticket.")
        except BadValue as problem:
            raise UpstreamFailed(f"The platform's ticket cannot be read: {problem.reason}", code=problem.code) from None
        return ticket

    async def conversations(self, ticket_id: str) -> tuple[list[ConversationData], list[BadItem]]:
        """Return all messages of a ticket, the oldest first."""
        number = _number(ticket_id)
        await self._learn_names()
        return self._messages(number, [row async for row in self._rows(f"/tickets/{number}/conversations")])

    def _messages(self, number: str, rows: Sequence[Any]) -> tuple[list[ConversationData], list[BadItem]]:
        found: dict[str, ConversationData] = {}
        bad: list[BadItem] = []
        for position, row in enumerate(rows):
            try:
                item = parser.conversation(row, self._agents)
                found[item.conversation_id] = item
            except BadValue as problem:
                bad.append(_bad("conversation", row, problem, f"{number}-{position}"))
        never = datetime.max.replace(tzinfo=UTC)
        return sorted(found.values(), key=lambda item: item.platform_created_at or never), bad

    async def articles(self) -> AsyncIterator[ArticlePage]:
        """Yield the knowledge base; a folder that cannot be read is told as bad, and the rest goes on."""
        walk = ArticleWalk(self._rows, self._article, self._domain.host)
        async for page in walk.pages():
            yield page

    async def languages(self) -> Languages | None:
        """Return the languages of the knowledge base; None when the key may not know them."""
        try:
            return parser.languages((await self._transport.get("/settings/helpdesk")).data)
        except (Forbidden, NotFound):
            return None

    async def translations(self, language: str, originals: Sequence[ArticleData]) -> AsyncIterator[ArticlePage]:
        """Yield what of some articles is translated to a language: a folder's in one list, a few one by one."""
        walk = TranslationWalk(self._rows, self._article, self._domain.host, language)
        async for page in walk.pages(originals):
            yield page

    async def download(self, attachment: AttachmentData, *, ticket_id: str | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of an attachment; a link that has run out is asked for anew where `ticket_id` tells how."""

        async def anew() -> str | None:
            return None if ticket_id is None else await self._fresh_link(attachment.attachment_id, ticket_id)

        async with aclosing(download(self._network, attachment.url, anew)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def add_note(self, ticket_id: str, body: str) -> str:
        """Write a private note (HTML) to a ticket and return its id; it is sent once, whatever becomes of it."""
        answer = await self._transport.post(
            f"/tickets/{_number(ticket_id)}/notes", {"body": body, "private": True, "notify_emails": []}
        )
        try:
            return parser.id_of(answer.data.get("id") if isinstance(answer.data, dict) else None)
        except BadValue:
            raise UpstreamFailed("The platform did not say which note was written.") from None

    async def close(self) -> None:
        """Let go; the connections are shared and stay open for others."""

    async def _rows(self, path: str, query: Mapping[str, str | int] | None = None) -> AsyncIterator[Any]:
        """Yield the rows of a list that has pages."""
        for page in range(1, DEEPEST_PAGE + 1):
            answer = await self._transport.get(path, {**(query or {}), "page": page, "per_page": PER_PAGE})
            if not isinstance(answer.data, list):
                raise UpstreamFailed("The platform's list is no list.")
            for row in answer.data:
                yield row
            if not answer.data or not (answer.more or len(answer.data) in _UNTOLD_CAPS):
                return

    async def _article(self, article_id: str) -> Any:
        return (await self._transport.get(f"/solutions/articles/{article_id}")).data

    async def _fresh_link(self, attachment_id: str, ticket_id: str) -> str | None:
        """Read a ticket again for the link of a file of its own, or of its messages."""
        ticket = await self.ticket(ticket_id)
        for item in ticket.attachments:
            if item.attachment_id == attachment_id:
                return item.url
        for message in (await self.conversations(ticket_id))[0]:
            for item in message.attachments:
                if item.attachment_id == attachment_id:
                    return item.url
        return None

    async def _learn_names(self) -> None:
        """Read who the agents are and what statuses are called; a key that may not know goes without."""
        async with self._naming:
            if time.monotonic() < self._named_at + NAMES_SECONDS:
                return
            agents: dict[str, Agent] = {}
            with suppress(Forbidden, NotFound):
                async for row in self._rows("/agents"):
                    with suppress(BadValue):
                        agent_id, agent = parser.agent(row)
                        agents[agent_id] = agent
                self._agents = agents
            with suppress(Forbidden, NotFound):
                self._statuses = parser.status_names((await self._transport.get("/ticket_fields")).data)
            self._named_at = time.monotonic()


def _number(ticket_id: str) -> str:
    """Return an id that may stand in a path.

    Raises:
        NotFound: it is none, so there is no such ticket.
    """
    try:
        return parser.id_of(ticket_id)
    except BadValue:
        raise NotFound("The platform does not have it.") from None


def _bad(object_type: str, row: Any, problem: BadValue, otherwise: str) -> BadItem:
    try:
        original_id = parser.id_of(row.get("id") if isinstance(row, dict) else None)
    except BadValue:
        original_id = f"unknown-{otherwise}"
    return BadItem(object_type=object_type, original_id=original_id, code=problem.code, reason=problem.reason)

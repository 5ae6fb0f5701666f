"""A ticket as a model or the index may see it: cleaned, without automatic replies, personal data out of sight."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from backend.core.desk.cleaning import MAX_INPUT_CHARS, clean, is_auto_reply, plain_line
from backend.core.desk.personal_data import redact
from backend.database.base import Database
from backend.dto.desk import TicketText
from backend.dto.ticket import AuthorType, Conversation, Ticket
from backend.repository.ticket import TicketRepository
from backend.util.language import language

MAX_MESSAGES = 500
"""Of a longer conversation the latest are read: they say how it ended. The description is always read."""
MAX_MESSAGE_CHARS = 20_000
MAX_TICKET_CHARS = 400_000
"""Of all messages together; the oldest after the description are left out first."""
MAX_RAW_CHARS = 5_000_000
"""Of all messages as they came; what hides megabytes in mark-up leaves no room for the older ones."""
MAX_READ = 2_000
"""Messages of one ticket that are read from the database."""
_LANGUAGE_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class _Message:
    author: AuthorType
    private: bool
    text: str
    at: datetime | None
    name: str | None


def ticket_text(ticket: Ticket, conversations: Sequence[Conversation]) -> TicketText:
    """Return the ticket's title, description and messages, in order, as a model may see them.

    A pure function, and CPU work: 500 long messages take a second or two, so callers run it in a thread. A message
    keeps whether it is private: what is private is never told to a customer.
    """
    messages = list(_messages(ticket, conversations))
    data = ticket.data
    said = [data.requester_name, data.assignee_name, *(message.name for message in messages)]
    names = [plain_line(name) for name in said if name]
    title = plain_line(" ".join(data.title[:2_000].split()))
    redaction = redact([title, *(message.text for message in messages)], dict.fromkeys(names))
    spoken = "\n".join([title, *(message.text for message in messages if message.author == "customer")])
    return TicketText(
        ticket=ticket.id,
        ticket_id=data.ticket_id,
        platform=ticket.platform,
        title=redaction.texts[0],
        status=data.status,
        status_name=data.status_name,
        priority=data.priority,
        language=language(spoken[:_LANGUAGE_CHARS]),
        messages=tuple(
            {
                "author": message.author,
                "private": message.private,
                "text": text,
                "at": None if message.at is None else message.at.isoformat(),
            }
            for message, text in zip(messages, redaction.texts[1:], strict=True)
        ),
        placeholders=redaction.placeholders,
        content_hash=ticket.content_hash,
    )


async def read_ticket_text(
    database: Database, tenant_id: str, ticket_id: str, platform: str | None = None
) -> TicketText:
    """Return the text of a ticket, by the platform's id or by ours.

    Raises:
        TicketNotFound: no such ticket, or another tenant's.
        Invalid: several platforms have one of this id, and none is named.
    """

    def work(connection: Connection) -> tuple[Ticket, list[Conversation]]:
        tickets = TicketRepository(connection, tenant_id)
        ticket = tickets.find(ticket_id, platform)
        return ticket, tickets.conversations(ticket.id, MAX_READ)

    return await asyncio.to_thread(ticket_text, *await database.read(work))


def _messages(ticket: Ticket, conversations: Sequence[Conversation]) -> Iterator[_Message]:
    """Yield the description, then the latest messages that fit, in order."""
    data = ticket.data
    description = clean(data.description, data.requester_name)[:MAX_MESSAGE_CHARS]
    if description:
        yield _Message("customer", False, description, data.platform_created_at, data.requester_name)
    room = MAX_TICKET_CHARS - len(description)
    raw = MAX_RAW_CHARS
    kept: list[_Message] = []
    for conversation in reversed(conversations[-MAX_MESSAGES:]):
        said = conversation.data
        raw -= min(len(said.content), MAX_INPUT_CHARS)
        if raw < 0:
            break
        text = clean(said.content, said.author_name)[:MAX_MESSAGE_CHARS]
        if not text or is_auto_reply(text, said.original):
            continue
        room -= len(text)
        if room < 0:
            break
        kept.append(
            _Message(
                said.author_type,
                said.message_type != "public",
                text,
                said.platform_created_at or conversation.created_at,
                said.author_name,
            )
        )
    yield from reversed(kept)

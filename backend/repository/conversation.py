"""All SQL of the messages of tickets."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Row, Uuid, delete, func, literal, select, tuple_

from backend.database.model import ConversationRow, table_of
from backend.database.model.base import UtcDateTime
from backend.dto.integrated_object import ObjectData
from backend.dto.ticket import AttachmentData, Conversation, ConversationData
from backend.repository.integrated_object import CONTENT_LIMIT, IntegratedObjectRepository
from backend.repository.scope import Scoped
from backend.repository.upsert import batches, fitting, upsert
from backend.util.id_generator import new_id
from backend.util.plain_text import plain_text
from backend.util.storable import storable_json, storable_text

_conversations = table_of(ConversationRow)
_KEY = ("tenant_id", "platform", "conversation_id")
_CHANGE = (
    *("ticket", "ticket_id", "content", "message_type", "author_type", "author_id", "author_email", "author_name"),
    *("attachments", "platform_created_at", "platform_updated_at", "updated_at"),
)


class ConversationRepository(Scoped):
    """The messages of one tenant's tickets."""

    def replace(
        self, platform: str, ticket: UUID, ticket_id: str, items: Sequence[ConversationData], now: datetime
    ) -> None:
        """Make exactly these the messages of a ticket; a message that was another ticket's moves (a merge)."""
        made = {one.conversation_id: one for one in items}
        objects = IntegratedObjectRepository(self._connection, self._tenant_id)
        mine = self._ids(ticket)
        if gone := [each for each in mine if each not in made]:
            for some in batches(gone):
                self._connection.execute(
                    delete(_conversations).where(
                        _conversations.c.tenant_id == self._tenant_id,
                        _conversations.c.ticket == ticket,
                        _conversations.c.conversation_id.in_(some),
                    )
                )
            objects.remove(platform, "conversation", gone, now)
        rows = [self._row(platform, ticket, ticket_id, one, now) for one in made.values()]
        upsert(self._connection, _conversations, rows, key=_KEY, change=_CHANGE)
        objects.put(platform, "conversation", [_object_data(ticket_id, one) for one in made.values()], now)

    def of_ticket(
        self,
        ticket: UUID,
        *,
        limit: int,
        after: tuple[datetime, UUID] | None = None,
        include_private: bool = True,
    ) -> list[Conversation]:
        """Return the messages of a ticket, the oldest first, from behind `after` on."""
        where = [_conversations.c.tenant_id == self._tenant_id, _conversations.c.ticket == ticket]
        if not include_private:
            where.append(_conversations.c.message_type == "public")
        if after is not None:
            where.append(tuple_(_conversations.c.platform_created_at, _conversations.c.id) > _place(after))
        query = select(_conversations).where(*where)
        query = query.order_by(_conversations.c.platform_created_at, _conversations.c.id).limit(limit)
        return [_conversation(row) for row in self._connection.execute(query)]

    def of_tickets(self, tickets: Collection[UUID]) -> dict[UUID, list[Conversation]]:
        """Return all messages of several tickets with one statement a batch, the oldest first."""
        found: dict[UUID, list[Conversation]] = {ticket: [] for ticket in tickets}
        for some in batches(list(found)):
            query = (
                select(_conversations)
                .where(_conversations.c.tenant_id == self._tenant_id, _conversations.c.ticket.in_(some))
                .order_by(_conversations.c.ticket, _conversations.c.platform_created_at, _conversations.c.id)
            )
            for row in self._connection.execute(query):
                found[row.ticket].append(_conversation(row))
        return found

    def count(
        self,
        *,
        author_email: str | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        include_private: bool = True,
    ) -> int:
        where = self._where(author_email, created_from, created_to, include_private)
        return self._connection.scalar(select(func.count()).select_from(_conversations).where(*where)) or 0

    def count_of(self, ticket: UUID, *, include_private: bool = True) -> int:
        """Return how many messages a ticket has."""
        where = [_conversations.c.tenant_id == self._tenant_id, _conversations.c.ticket == ticket]
        if not include_private:
            where.append(_conversations.c.message_type == "public")
        return self._connection.scalar(select(func.count()).select_from(_conversations).where(*where)) or 0

    def taken(self, platform: str, ids: Collection[str], *, without: UUID) -> Sequence[str]:
        """Return which of these ids messages of other tickets have."""
        found: Sequence[str] = ()
        for some in batches([*ids]):
            query = select(_conversations.c.conversation_id).where(
                _conversations.c.tenant_id == self._tenant_id,
                _conversations.c.platform == platform,
                _conversations.c.conversation_id.in_(some),
                _conversations.c.ticket != without,
            )
            found = [*found, *self._connection.scalars(query)]
        return found

    def _ids(self, ticket: UUID) -> list[str]:
        query = select(_conversations.c.conversation_id).where(
            _conversations.c.tenant_id == self._tenant_id, _conversations.c.ticket == ticket
        )
        return list(self._connection.scalars(query))

    def _where(
        self,
        author_email: str | None,
        created_from: datetime | None,
        created_to: datetime | None,
        include_private: bool,
    ) -> list[ColumnElement[bool]]:
        c = _conversations.c
        where: list[ColumnElement[bool]] = [c.tenant_id == self._tenant_id]
        if author_email is not None:
            where.append(c.author_email == author_email.lower())
        if created_from is not None:
            where.append(c.platform_created_at >= created_from)
        if created_to is not None:
            where.append(c.platform_created_at < created_to)
        if not include_private:
            where.append(c.message_type == "public")
        return where

    def _row(
        self, platform: str, ticket: UUID, ticket_id: str, data: ConversationData, now: datetime
    ) -> dict[str, Any]:
        return fitting(
            _conversations,
            {
                "tenant_id": self._tenant_id,
                "id": new_id(),
                "platform": platform,
                "ticket": ticket,
                "ticket_id": ticket_id,
                "conversation_id": data.conversation_id,
                "content": storable_text(data.content),
                "message_type": data.message_type,
                "author_type": data.author_type,
                "author_id": data.author_id,
                "author_email": email(data.author_email),
                "author_name": text_or_none(data.author_name),
                "attachments": orjson.Fragment(storable_json([_attachment(one) for one in data.attachments])),
                "platform_created_at": data.platform_created_at or data.platform_updated_at or now,
                "platform_updated_at": data.platform_updated_at or data.platform_created_at or now,
                "created_at": now,
                "updated_at": now,
            },
        )

    def list(
        self,
        *,
        author_email: str | None = None,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        include_private: bool = True,
        limit: int,
        before: tuple[datetime, UUID] | None = None,
    ) -> list[Conversation]:
        """Return messages of all tickets, the newest first, from behind `before` on; the times are the platform's."""
        where = self._where(author_email, created_from, created_to, include_private)
        if before is not None:
            where.append(tuple_(_conversations.c.platform_created_at, _conversations.c.id) < _place(before))
        query = select(_conversations).where(*where)
        query = query.order_by(_conversations.c.platform_created_at.desc(), _conversations.c.id.desc()).limit(limit)
        return [_conversation(row) for row in self._connection.execute(query)]


def conversation_digest(items: Sequence[ConversationData]) -> str:
    """Return 32 hexadecimal digits of what matters in a conversation, whatever its order; none of an empty one."""
    if not items:
        return NO_CONVERSATION
    matters = sorted(
        (
            [
                *(one.conversation_id, one.content, one.message_type, one.author_type, one.author_id),
                *(email(one.author_email), one.author_name, one.platform_created_at),
                [[file.attachment_id, file.name, file.size] for file in one.attachments],
            ]
            for one in items
        ),
        key=lambda one: str(one[0]),
    )
    return sha256(storable_json(matters)).hexdigest()[:32]


NO_CONVERSATION = "0" * 32
ADDRESS_BYTES = 254
"""RFC 5321, 4.5.3.1.3, but for the brackets; what is longer is no address, and no index could hold it."""


def email(address: str | None) -> str | None:
    """Return an address as it is kept and looked for: in small letters, None instead of nothing."""
    if address is None:
        return None
    return storable_text(address.strip().lower()).encode()[:ADDRESS_BYTES].decode(errors="ignore") or None


def text_or_none(text: str | None) -> str | None:
    return storable_text(text) if text is not None else None


def _place(at: tuple[datetime, UUID]) -> ColumnElement[Any]:
    return tuple_(literal(at[0], UtcDateTime), literal(at[1], Uuid))


def _attachment(file: AttachmentData) -> dict[str, Any]:
    return {
        "attachment_id": file.attachment_id,
        "name": file.name,
        "content_type": file.content_type,
        "size": file.size,
        "url": file.url,
    }


def _object_data(ticket_id: str, data: ConversationData) -> ObjectData:
    original: Mapping[str, Any] = data.original or {
        "conversation_id": data.conversation_id,
        "content": data.content,
        "message_type": data.message_type,
        "author_type": data.author_type,
        "author_id": data.author_id,
        "author_email": data.author_email,
        "author_name": data.author_name,
    }
    return ObjectData(
        original_id=data.conversation_id,
        original_data=original,
        integrated_content=plain_text(data.content, CONTENT_LIMIT),
        parent_id=ticket_id,
        metadata={"message_type": data.message_type, "author_type": data.author_type},
        platform_created_at=data.platform_created_at,
        platform_updated_at=data.platform_updated_at,
    )


def _conversation(row: Row[Any]) -> Conversation:
    return Conversation(
        id=row.id,
        tenant_id=row.tenant_id,
        platform=row.platform,
        ticket=row.ticket,
        ticket_id=row.ticket_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        data=ConversationData(
            conversation_id=row.conversation_id,
            content=row.content,
            message_type=row.message_type,
            author_type=row.author_type,
            author_id=row.author_id,
            author_email=row.author_email,
            author_name=row.author_name,
            attachments=tuple(AttachmentData(**file) for file in row.attachments),
            platform_created_at=row.platform_created_at,
            platform_updated_at=row.platform_updated_at,
        ),
    )

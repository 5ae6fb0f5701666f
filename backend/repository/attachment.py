"""All SQL of attachments. The tenant is bound once, so that no statement can forget it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, case, delete, func, or_, select, update

from backend.core.error import AttachmentNotFound
from backend.database.model import AttachmentRow, TicketRow, table_of
from backend.dto.ticket import Attachment, AttachmentData, AttachmentStatus, ObjectType
from backend.repository.scope import AcrossTenants, Scoped
from backend.repository.upsert import fitting, insert_into
from backend.util.id_generator import new_id
from backend.util.storable import storable_text

_attachments = table_of(AttachmentRow)
_at = _attachments.c
_tickets = table_of(TicketRow)
_CHUNK = 200
"""Rows written by one statement, or ids named in one."""


class AttachmentRepository(Scoped):
    """The attachments of one tenant: what a platform names, and what became of it.

    One that the platform no longer has is `removed` first: nobody sees it any more, and its row goes when its file has
    gone, so that a server killed in between leaves no file that nothing knows of.
    """

    def put(
        self,
        platform: str,
        parent_type: ObjectType,
        parent_id: str,
        ticket_id: str | None,
        private: bool,
        attachments: Sequence[AttachmentData],
        now: datetime,
    ) -> int:
        """Add the attachments of a ticket, message or article, or renew what is known of them; return how many wait.

        What was stored stays so unless its size is another one now. What had failed is tried again. None is taken
        away: a list may name none where a platform leaves them out (see `keep_only`).
        """
        rows: dict[str, dict[str, Any]] = {}
        for item in attachments:
            row = {
                "tenant_id": self._tenant_id,
                "id": new_id(),
                "platform": platform,
                "attachment_id": item.attachment_id,
                "parent_type": parent_type,
                "parent_id": parent_id,
                "ticket_id": ticket_id,
                "name": storable_text(item.name),
                "content_type": storable_text(item.content_type),
                "size": item.size,
                "url": None if item.url is None else storable_text(item.url),
                "private": private,
                "status": "pending",
                "created_at": now,
                "updated_at": now,
            }
            rows[item.attachment_id] = fitting(_attachments, row)
        waiting = 0
        for chunk in _chunks([rows[attachment_id] for attachment_id in sorted(rows)]):
            waiting += self._upsert(chunk)
        return waiting

    def _upsert(self, rows: list[dict[str, Any]]) -> int:
        statement = insert_into(self._connection, _attachments).values(rows)
        new = statement.excluded
        # The size of what is stored is that of its bytes; a platform that tells another one has another file.
        stands = and_(_at.status.in_(("stored", "skipped")), or_(_at.size == new.size, new.size == 0))
        query = statement.on_conflict_do_update(
            index_elements=[_at.tenant_id, _at.platform, _at.attachment_id],
            set_={
                **{name: new[name] for name in ("parent_type", "parent_id", "ticket_id", "name", "url", "private")},
                "content_type": case((stands, _at.content_type), else_=new.content_type),
                "size": case((stands, _at.size), else_=new.size),
                "status": case((stands, _at.status), else_="pending"),
                "reason": case((stands, _at.reason), else_=None),
                "updated_at": new.updated_at,
            },
            where=_at.tenant_id == self._tenant_id,
        ).returning(_at.status)
        return sum(status == "pending" for status in self._connection.execute(query).scalars())

    def keep_only(
        self, platform: str, parent_type: ObjectType, parent_id: str, attachment_ids: Collection[str], now: datetime
    ) -> int:
        """Make these the only attachments of a ticket, message or article, after all of them were read."""
        query = select(_at.id, _at.attachment_id).where(
            self._mine,
            _at.platform == platform,
            _at.parent_type == parent_type,
            _at.parent_id == parent_id,
            _at.status != "removed",
        )
        gone = [row.id for row in self._connection.execute(query) if row.attachment_id not in attachment_ids]
        return self._remove(gone, now)

    def remove_tickets(self, platform: str, ticket_ids: Sequence[str], now: datetime) -> int:
        """Remove all attachments of tickets, those of their messages too."""
        removed = 0
        for chunk in _chunks(ticket_ids):
            done = self._connection.execute(
                update(_attachments)
                .where(self._mine, _at.platform == platform, _at.ticket_id.in_(chunk), _at.status != "removed")
                .values(status="removed", updated_at=now)
            )
            removed += done.rowcount
        return removed

    def purge(self, now: datetime, platform: str | None = None) -> int:
        """Remove all attachments, or those of one platform."""
        query = update(_attachments).where(self._mine, _at.status != "removed")
        if platform is not None:
            query = query.where(_at.platform == platform)
        return self._connection.execute(query.values(status="removed", updated_at=now)).rowcount

    def pending(self, limit: int, *, platform: str | None = None, after: UUID | None = None) -> Sequence[Attachment]:
        """Return what is still to be fetched, in the order of ids, from behind `after` on."""
        return self._by_status("pending", limit, platform, after)

    def removed(self, limit: int, *, platform: str | None = None, after: UUID | None = None) -> Sequence[Attachment]:
        """Return what is gone but for its row and, it may be, its file."""
        return self._by_status("removed", limit, platform, after)

    def stored(
        self,
        attachment_id: UUID,
        key: str,
        sha256: str,
        size: int,
        content_type: str,
        now: datetime,
        *,
        reason: str | None = None,
        has_text: bool = False,
    ) -> bool:
        """Record that the file is there; `reason` says why its text could not be read. False: no longer wanted.

        With a text, its ticket is no longer in the index as it stands.
        """
        done = self._connection.execute(
            update(_attachments)
            .where(self._mine, _at.id == attachment_id, _at.status != "removed")
            .values(
                status="stored",
                file_key=key,
                sha256=sha256,
                size=size,
                content_type=content_type[:255],
                reason=reason,
                updated_at=now,
            )
            .returning(_at.platform, _at.ticket_id)
        ).one_or_none()
        if done is not None and has_text and done.ticket_id is not None:
            self._connection.execute(
                update(_tickets)
                .where(
                    _tickets.c.tenant_id == self._tenant_id,
                    _tickets.c.platform == done.platform,
                    _tickets.c.ticket_id == done.ticket_id,
                )
                .values(is_processed=False)
            )
        return done is not None

    def failed(self, attachment_id: UUID, status: AttachmentStatus, reason: str, now: datetime) -> bool:
        """Record why the file is not there: `failed` is tried again when it is read anew, `skipped` is not."""
        done = self._connection.execute(
            update(_attachments)
            .where(self._mine, _at.id == attachment_id, _at.status == "pending")
            .values(status=status, reason=reason, updated_at=now)
        )
        return done.rowcount == 1

    def retry(self, platform: str, now: datetime) -> int:
        """Let everything that failed wait again."""
        done = self._connection.execute(
            update(_attachments)
            .where(self._mine, _at.platform == platform, _at.status == "failed")
            .values(status="pending", reason=None, updated_at=now)
        )
        return done.rowcount

    def forget(self, ids: Sequence[UUID]) -> int:
        """Drop the rows of what was removed and whose files are gone."""
        dropped = 0
        for chunk in _chunks(ids):
            done = self._connection.execute(
                delete(_attachments).where(self._mine, _at.id.in_(chunk), _at.status == "removed")
            )
            dropped += done.rowcount
        return dropped

    def get(self, attachment_id: UUID) -> Attachment:
        """Return an attachment.

        Raises:
            AttachmentNotFound: no such attachment, or another tenant's, or removed.
        """
        query = select(_attachments).where(self._mine, _at.id == attachment_id, _at.status != "removed")
        row = self._connection.execute(query).one_or_none()
        if row is None:
            raise AttachmentNotFound(attachment_id)
        return _attachment(row)

    def list(
        self,
        *,
        ticket_id: str | None = None,
        platform: str | None = None,
        status: AttachmentStatus | None = None,
        limit: int = 100,
        after: UUID | None = None,
    ) -> Sequence[Attachment]:
        """Return attachments in the order of ids (the oldest first), from behind `after` on."""
        query = select(_attachments).where(self._mine, *_filter(ticket_id, platform, status))
        if after is not None:
            query = query.where(_at.id > after)
        return [_attachment(row) for row in self._connection.execute(query.order_by(_at.id).limit(limit))]

    def stored_of(self, tickets: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of the tickets (platform and its id) that have an attachment whose file is there."""
        named = sorted({ticket_id for _, ticket_id in tickets})
        found: set[tuple[str, str]] = set()
        for at in range(0, len(named), _CHUNK):
            query = select(_at.platform, _at.ticket_id).where(
                self._mine, _at.ticket_id.in_(named[at : at + _CHUNK]), _at.status == "stored"
            )
            found |= {(row.platform, row.ticket_id) for row in self._connection.execute(query.distinct())}
        return found & set(tickets)

    def count(
        self,
        *,
        ticket_id: str | None = None,
        platform: str | None = None,
        status: AttachmentStatus | None = None,
    ) -> int:
        query = select(func.count()).where(self._mine, *_filter(ticket_id, platform, status))
        return self._connection.scalar(query) or 0

    @property
    def _mine(self) -> ColumnElement[bool]:
        return _at.tenant_id == self._tenant_id

    def _by_status(self, status: str, limit: int, platform: str | None, after: UUID | None) -> Sequence[Attachment]:
        query = select(_attachments).where(self._mine, _at.status == status)
        if platform is not None:
            query = query.where(_at.platform == platform)
        if after is not None:
            query = query.where(_at.id > after)
        return [_attachment(row) for row in self._connection.execute(query.order_by(_at.id).limit(limit))]

    def _remove(self, ids: Sequence[UUID], now: datetime) -> int:
        removed = 0
        for chunk in _chunks(ids):
            done = self._connection.execute(
                update(_attachments).where(self._mine, _at.id.in_(chunk)).values(status="removed", updated_at=now)
            )
            removed += done.rowcount
        return removed


class AllAttachments(AcrossTenants):
    """The attachments of every tenant: only for the worker that fetches them, to see for whom there is work."""

    def waiting(self) -> Sequence[tuple[str, str]]:
        """Return tenant and platform of whatever is still to be fetched or cleared away."""
        query = (
            select(_at.tenant_id, _at.platform)
            .where(_at.status.in_(("pending", "removed")))
            .distinct()
            .order_by(_at.tenant_id, _at.platform)
        )
        return [(tenant_id, platform) for tenant_id, platform in self._connection.execute(query)]


def _filter(ticket_id: str | None, platform: str | None, status: str | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_at.status == status if status is not None else _at.status != "removed"]
    if ticket_id is not None:
        found.append(_at.ticket_id == ticket_id)
    if platform is not None:
        found.append(_at.platform == platform)
    return found


def _chunks[T](items: Sequence[T]) -> list[list[T]]:
    return [list(items[at : at + _CHUNK]) for at in range(0, len(items), _CHUNK)]


def _attachment(row: Row[Any]) -> Attachment:
    return Attachment(
        id=row.id,
        tenant_id=row.tenant_id,
        platform=row.platform,
        parent_type=row.parent_type,
        parent_id=row.parent_id,
        ticket_id=row.ticket_id,
        data=AttachmentData(
            attachment_id=row.attachment_id,
            name=row.name,
            content_type=row.content_type,
            size=row.size,
            url=row.url,
        ),
        status=row.status,
        reason=row.reason,
        file_key=row.file_key,
        sha256=row.sha256,
        private=row.private,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )

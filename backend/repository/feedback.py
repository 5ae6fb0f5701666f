"""All SQL of feedback, and of the notes that were written to platforms."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Table, bindparam, delete, exists, func, select, update

from backend.database.model import FeedbackRow, TicketRow, WrittenNoteRow, table_of
from backend.dto.desk import Feedback
from backend.repository.scope import Scoped
from backend.repository.upsert import insert_new

_feedback = table_of(FeedbackRow)
_notes = table_of(WrittenNoteRow)
_tickets = table_of(TicketRow)
_note = (
    (_notes.c.tenant_id == bindparam("tenant"))
    & (_notes.c.platform == bindparam("of_platform"))
    & (_notes.c.note_key == bindparam("key"))
)


class FeedbackRepository(Scoped):
    """What the people of one tenant did with drafts."""

    def add(self, feedback: Feedback) -> bool:
        """Keep feedback, once an id; return whether it is new."""
        row = {
            "tenant_id": self._tenant_id,
            "feedback_id": feedback.feedback_id,
            "user_id": feedback.user_id,
            "kind": feedback.kind,
            "platform": feedback.platform,
            "ticket_id": feedback.ticket_id,
            "run_id": feedback.run_id,
            "thread_id": feedback.thread_id,
            "draft": feedback.draft,
            "final": feedback.final,
            "comment": feedback.comment,
            "metadata": dict(feedback.metadata),
            "created_at": feedback.created_at,
        }
        return insert_new(self._connection, _feedback, row, key=("tenant_id", "feedback_id"))

    def list(
        self,
        *,
        limit: int,
        before: tuple[datetime, UUID] | None = None,
        ticket_id: str | None = None,
        kind: str | None = None,
    ) -> list[Feedback]:
        """Return feedback, the newest first, from behind `before` (its moment and id) on."""
        query = select(_feedback).where(*self._where(ticket_id, kind))
        if before is not None:
            moment, feedback_id = before
            later = (_feedback.c.created_at == moment) & (_feedback.c.feedback_id < feedback_id)
            query = query.where((_feedback.c.created_at < moment) | later)
        newest = (_feedback.c.created_at.desc(), _feedback.c.feedback_id.desc())
        return [_read(row) for row in self._connection.execute(query.order_by(*newest).limit(limit))]

    def counts(self, *, ticket_id: str | None = None, kind: str | None = None) -> dict[str, int]:
        """Return how much feedback there is of each kind."""
        query = select(_feedback.c.kind, func.count()).where(*self._where(ticket_id, kind)).group_by(_feedback.c.kind)
        return {row[0]: row[1] for row in self._connection.execute(query)}

    def purge(self, platform: str | None = None, ticket_ids: Sequence[str] | None = None) -> None:
        """Remove all feedback, that on one platform's tickets, or that on some of them.

        Feedback may name a ticket and no platform. It goes with a platform when no ticket of another has the number,
        so that the platform's own tickets are removed first.
        """
        self._connection.execute(delete(_feedback).where(*_of(_feedback, self._tenant_id, platform, ticket_ids)))

    def _where(self, ticket_id: str | None, kind: str | None) -> Sequence[Any]:
        where = [_feedback.c.tenant_id == self._tenant_id]
        where += [_feedback.c.ticket_id == ticket_id] if ticket_id is not None else []
        where += [_feedback.c.kind == kind] if kind is not None else []
        return where


class NoteRepository(Scoped):
    """The notes that were written for one tenant."""

    def claim(self, platform: str, key: str, ticket_id: str, now: datetime) -> bool:
        """Say that a note is about to be written; return whether nobody said so before."""
        row = {
            "tenant_id": self._tenant_id,
            "platform": platform,
            "note_key": key,
            "ticket_id": ticket_id,
            "conversation_id": None,
            "created_at": now,
        }
        return insert_new(self._connection, _notes, row, key=("tenant_id", "platform", "note_key"))

    def find(self, platform: str, key: str) -> str | None:
        """Return the platform's id of a note that was written; None when it is not known."""
        query = select(_notes.c.conversation_id).where(_note)
        return self._connection.scalar(query, self._key(platform, key))

    def written(self, platform: str, key: str, conversation_id: str) -> None:
        values = {"conversation_id": conversation_id}
        self._connection.execute(update(_notes).where(_note).values(values), self._key(platform, key))

    def release(self, platform: str, key: str) -> None:
        """Take back that a note is about to be written: the platform did not take it."""
        self._connection.execute(
            delete(_notes).where(_note, _notes.c.conversation_id.is_(None)), self._key(platform, key)
        )

    def purge(self, platform: str | None = None, ticket_ids: Sequence[str] | None = None) -> None:
        """Forget all notes, those on one platform's tickets, or those on some of them."""
        self._connection.execute(delete(_notes).where(*_of(_notes, self._tenant_id, platform, ticket_ids)))

    def _key(self, platform: str, key: str) -> Mapping[str, str]:
        return {"tenant": self._tenant_id, "of_platform": platform, "key": key}


def _of(table: Table, tenant_id: str, platform: str | None, ticket_ids: Sequence[str] | None) -> Sequence[Any]:
    where = [table.c.tenant_id == tenant_id]
    if platform is not None:
        unnamed: ColumnElement[bool] = table.c.platform.is_(None)
        if ticket_ids is None:
            same = (_tickets.c.tenant_id == tenant_id) & (_tickets.c.ticket_id == table.c.ticket_id)
            unnamed &= table.c.ticket_id.is_not(None) & ~exists().where(same)
        where.append((table.c.platform == platform) | unnamed)
    if ticket_ids is not None:
        where.append(table.c.ticket_id.in_(ticket_ids))
    return where


def _read(row: Row[Any]) -> Feedback:
    return Feedback(
        feedback_id=row.feedback_id,
        tenant_id=row.tenant_id,
        user_id=row.user_id,
        kind=row.kind,
        platform=row.platform,
        ticket_id=row.ticket_id,
        run_id=row.run_id,
        thread_id=row.thread_id,
        draft=row.draft,
        final=row.final,
        comment=row.comment,
        created_at=row.created_at,
        metadata=row.metadata,
    )

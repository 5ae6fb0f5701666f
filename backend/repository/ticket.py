"""All SQL of tickets. A ticket is found by tenant, platform and the platform's id; ours is a UUID."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, and_, bindparam, case, delete, false, func, literal, or_, select, update

from backend.core.error import Invalid, TicketNotFound, VersionConflict
from backend.database.model import ArticleRow, TicketRow, table_of
from backend.dto.integrated_object import ObjectData
from backend.dto.ticket import (
    Conversation,
    ConversationData,
    Ticket,
    TicketData,
    TicketFilter,
    TicketStatistics,
    priority_name,
)
from backend.repository.conversation import (
    NO_CONVERSATION,
    ConversationRepository,
    conversation_digest,
    email,
    text_or_none,
)
from backend.repository.integrated_object import CONTENT_LIMIT, IntegratedObjectRepository
from backend.repository.scope import AcrossTenants, Scoped
from backend.repository.ticket_filter import behind, conditions, lookup
from backend.repository.upsert import Columns, Put, batches, fitting, upsert
from backend.util.id_generator import new_id
from backend.util.plain_text import plain_text
from backend.util.storable import storable_json, storable_text

HALF = 32
"""Digits of a content hash that are the ticket's; those behind are its conversation's."""
ID_LENGTH = 64

_tickets = table_of(TicketRow)
_articles = table_of(ArticleRow)
_KEY = ("tenant_id", "platform", "ticket_id")
_CHANGE = (
    *("title", "description", "status", "status_name", "priority", "source", "type", "requester_id"),
    *("requester_email", "requester_name", "assignee_id", "assignee_email", "assignee_name", "group_id"),
    *("customer_company_id", "tags", "custom_fields", "spam", "deleted", "platform_created_at"),
    *("platform_updated_at", "resolved_at", "lookup", "lookup_cut"),
)
_of_id = (_tickets.c.tenant_id == bindparam("tenant")) & (_tickets.c.id == bindparam("ticket"))


@dataclass(frozen=True, slots=True)
class Known:
    """What is there of a ticket, to be compared with what a platform says."""

    id: UUID
    platform_updated_at: datetime | None
    content_hash: str
    spam: bool
    deleted: bool
    merged_into: str | None = None


@dataclass(frozen=True, slots=True)
class Unsummarized:
    """A ticket that has no language model's summary as it stands."""

    id: UUID
    content_hash: str


Place = tuple[datetime, UUID]
"""Where a list of the last changed went on to: the platform's moment, our id."""


class TicketRepository(Scoped):
    """The tickets of one tenant, with their messages and their integrated objects."""

    def known(self, platform: str, ids: Collection[str]) -> dict[str, Known]:
        """Return what is there of these tickets, by the platform's ids."""
        found: dict[str, Known] = {}
        c = _tickets.c
        for some in batches(list(ids)):
            query = select(
                c.ticket_id, c.id, c.platform_updated_at, c.content_hash, c.spam, c.deleted, c.merged_into
            ).where(c.tenant_id == self._tenant_id, c.platform == platform, c.ticket_id.in_(some))
            found |= {row[0]: Known(*row[1:]) for row in self._connection.execute(query)}
        return found

    def put(self, platform: str, tickets: Sequence[TicketData], now: datetime) -> dict[str, Put]:
        """Add tickets, or bring those that are there up to what the platform says; return what became of each.

        What is as it was is not written; what has an older `platform_updated_at` than there is never overwrites it. A
        change makes the ticket unprocessed and its version one more. Of the same ticket twice, the newer counts.

        Raises:
            Invalid: a platform's id is empty or has more than `ID_LENGTH` characters.
        """
        made: dict[str, TicketData] = {}
        for one in tickets:
            _check_id(one.ticket_id)
            earlier = made.get(one.ticket_id)
            if earlier is None or not _is_older(one.platform_updated_at, earlier.platform_updated_at):
                made[one.ticket_id] = one
        known = self.known(platform, made)
        rows: dict[str, dict[str, Any]] = {}
        for ticket_id, one in made.items():
            digest = ticket_digest(one)
            old = known.get(ticket_id)
            if old is None or _differs(one, digest, old):
                rows[ticket_id] = self._row(platform, one, digest, now)
        written = upsert(
            self._connection,
            _tickets,
            list(rows.values()),
            key=_KEY,
            change=_CHANGE,
            also=_consequences,
            where=_is_no_older,
            returning=("ticket_id", "id"),
        )
        outcome = {ticket_id: Put(old.id, "unchanged") for ticket_id, old in known.items()}
        news: list[TicketData] = []
        for row in written:
            one = made[row.ticket_id]
            if row.id == rows[row.ticket_id]["id"]:
                outcome[row.ticket_id] = Put(row.id, "added")
            elif _is_other(one, rows[row.ticket_id]["content_hash"], known.get(row.ticket_id)):
                outcome[row.ticket_id] = Put(row.id, "changed")
            else:
                continue  # nothing but the moment of its change is new
            news.append(one)
        if missing := made.keys() - outcome.keys():  # another server has added a newer state in between
            outcome |= {each: Put(old.id, "unchanged") for each, old in self.known(platform, missing).items()}
        self._objects().put(platform, "ticket", [_object_data(one) for one in news], now)
        return outcome

    def update(self, ticket: UUID, version: int, data: TicketData, now: datetime) -> Ticket:
        """Replace a ticket's data where it still has this version.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
            VersionConflict: somebody else changed it.
        """
        row = self._row("", data, ticket_digest(data), now)
        values = {name: row[name] for name in (*_CHANGE, "updated_at")}
        values |= {
            "content_hash": literal(row["content_hash"][:HALF]).concat(func.substr(_tickets.c.content_hash, HALF + 1)),
            "is_processed": False,
            "version": _tickets.c.version + 1,
        }
        condition = (_tickets.c.tenant_id == self._tenant_id, _tickets.c.id == ticket)
        done = self._connection.execute(
            update(_tickets).where(*condition, _tickets.c.version == version).values(values)
        )
        kept = self.get(ticket)
        if not done.rowcount:
            raise VersionConflict(f"Ticket {kept.data.ticket_id}", kept.version)
        self._objects().put(kept.platform, "ticket", [_object_data(data)], now)
        return kept

    def put_conversations(
        self, platform: str, ticket_id: str, items: Sequence[ConversationData], now: datetime
    ) -> bool:
        """Make exactly these the ticket's messages; return whether anything changed, which makes it unprocessed.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
        """
        c = _tickets.c
        query = select(c.id, c.content_hash).where(
            c.tenant_id == self._tenant_id, c.platform == platform, c.ticket_id == ticket_id
        )
        row = self._connection.execute(query.with_for_update()).one_or_none()  # one at a time, also on PostgreSQL
        if row is None:
            raise TicketNotFound(ticket_id)
        items = list({one.conversation_id: one for one in items}.values())
        digest = conversation_digest(items)
        if row.content_hash[HALF:] == digest:
            return False
        ConversationRepository(self._connection, self._tenant_id).replace(platform, row.id, ticket_id, items, now)
        self._connection.execute(
            update(_tickets)
            .where(c.tenant_id == self._tenant_id, c.id == row.id)
            .values(
                content_hash=func.substr(c.content_hash, 1, HALF).concat(digest),
                conversations=len(items),
                is_processed=False,
                version=c.version + 1,
                updated_at=now,
            )
        )
        return True

    def remove(
        self,
        platform: str,
        ids: Collection[str],
        *,
        now: datetime,
        spam: bool | None = None,
        deleted: bool | None = None,
        merged_into: str | None = None,
    ) -> list[UUID]:
        """Mark tickets as spam, deleted or merged at their platform; return those that were not marked so before.

        They become unprocessed: whoever keeps the index takes them out of it.
        """
        c = _tickets.c
        values: dict[str, Any] = {}
        other = []
        for name, value in (("spam", spam), ("deleted", deleted), ("merged_into", merged_into)):
            if value is not None:
                values[name] = value
                other.append(c[name].is_distinct_from(value))
        if not values:
            return []
        marked: list[UUID] = []
        for some in batches(list(ids)):
            rows = self._connection.execute(
                update(_tickets)
                .where(c.tenant_id == self._tenant_id, c.platform == platform, c.ticket_id.in_(some), or_(*other))
                .values(**values, is_processed=False, version=c.version + 1, updated_at=now)
                .returning(c.id, c.ticket_id)
            ).all()
            marked += [row.id for row in rows]
            if deleted:
                self._objects().remove(platform, "ticket", [row.ticket_id for row in rows], now)
        return marked

    def delete(self, ticket: UUID) -> None:
        """Remove a ticket with its messages, for good.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
        """
        query = delete(_tickets).where(_of_id).returning(_tickets.c.platform, _tickets.c.ticket_id)
        row = self._connection.execute(query, self._id(ticket)).one_or_none()
        if row is None:
            raise TicketNotFound(ticket)
        self._objects().delete(row.platform, "ticket", [row.ticket_id])
        self._objects().delete_of(row.platform, "conversation", [row.ticket_id])

    def unseen(
        self, platform: str, seen: Collection[str], *, taken_before: datetime, after: UUID | None = None, limit: int
    ) -> tuple[list[str], UUID | None]:
        """Look through the live tickets for those that a complete reading of the platform did not meet.

        Looks at `limit` tickets behind `after` that were taken in before the reading began; returns the platform's ids
        of those that are not in `seen`, and where to go on; None at the end.
        """
        c = _tickets.c
        query = select(c.id, c.ticket_id).where(
            c.tenant_id == self._tenant_id,
            c.platform == platform,
            c.deleted.is_(False),
            c.created_at < taken_before,
        )
        if after is not None:
            query = query.where(c.id > after)
        rows = self._connection.execute(query.order_by(c.id).limit(limit)).all()
        left = [row.ticket_id for row in rows if row.ticket_id not in seen]
        return left, rows[-1].id if len(rows) == limit else None

    def get(self, ticket: UUID) -> Ticket:
        """Return a ticket.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
        """
        row = self._connection.execute(select(_tickets).where(_of_id), self._id(ticket)).one_or_none()
        if row is None:
            raise TicketNotFound(ticket)
        return _ticket(row)

    def get_many(self, tickets: Collection[UUID]) -> dict[UUID, Ticket]:
        """Return those of the tickets that are there, with one statement a batch."""
        found: dict[UUID, Ticket] = {}
        for some in batches(list(tickets)):
            query = select(_tickets).where(_tickets.c.tenant_id == self._tenant_id, _tickets.c.id.in_(some))
            found |= {row.id: _ticket(row) for row in self._connection.execute(query)}
        return found

    def find(self, ticket_id: str, platform: str | None = None) -> Ticket:
        """Return a ticket by our id as a text, or by the platform's.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
            Invalid: several platforms have one, and `platform` does not say which is meant.
        """
        where = [_tickets.c.tenant_id == self._tenant_id]
        if platform is not None:
            where.append(_tickets.c.platform == platform)
        own = _uuid(ticket_id)
        ways = [_tickets.c.id == own] if own is not None else []
        if ticket_id and len(ticket_id) <= ID_LENGTH and storable_text(ticket_id) == ticket_id:
            ways.append(_tickets.c.ticket_id == ticket_id)
        for way in ways:
            rows = self._connection.execute(select(_tickets).where(*where, way).limit(2)).all()
            if len(rows) > 1:
                raise Invalid(f"Several platforms have a ticket {ticket_id}: name the `platform`.")
            if rows:
                return _ticket(rows[0])
        raise TicketNotFound(ticket_id[:100])

    def conversations(
        self,
        ticket: UUID,
        limit: int,
        after: tuple[datetime, UUID] | None = None,
        *,
        include_private: bool = True,
    ) -> list[Conversation]:
        """Return the messages of a ticket, the oldest first, from behind `after` (the platform's moment, our id) on."""
        messages = ConversationRepository(self._connection, self._tenant_id)
        return messages.of_ticket(ticket, limit=limit, after=after, include_private=include_private)

    def conversations_of(self, tickets: Collection[UUID]) -> dict[UUID, list[Conversation]]:
        """Return all messages of several tickets with one statement a batch."""
        return ConversationRepository(self._connection, self._tenant_id).of_tickets(tickets)

    def page(
        self, wanted: TicketFilter, limit: int, before: tuple[datetime, UUID] | None = None
    ) -> tuple[Sequence[Ticket], int]:
        """Return what `list` returns, and how many tickets there are in all."""
        if wanted.text is None and wanted.tag is None:
            found = self.list(wanted, limit, before)
            return found, len(found) if before is None and len(found) < limit else self.count(wanted)
        # To look through all costs most: once is enough.
        c = _tickets.c
        every = (
            select(c.id, c.platform_updated_at, func.count().over().label("total"))
            .where(*conditions(self._connection, self._tenant_id, wanted))
            .subquery()
        )
        query = select(every.c.id, every.c.total)
        if before is not None:
            query = query.where(behind(before, every.c))
        query = query.order_by(every.c.platform_updated_at.desc(), every.c.id.desc()).limit(limit)
        rows = self._connection.execute(query).all()
        if not rows:
            return (), 0 if before is None else self.count(wanted)
        tickets = self.get_many([row.id for row in rows])
        return [tickets[row.id] for row in rows], rows[0].total

    def walk(self, wanted: TicketFilter, limit: int, after: UUID | None = None) -> list[Ticket]:
        """Return tickets in the order they were taken in, from behind `after` on: none is met twice or missed."""
        query = select(_tickets).where(*conditions(self._connection, self._tenant_id, wanted))
        if after is not None:
            query = query.where(_tickets.c.id > after)
        return [_ticket(row) for row in self._connection.execute(query.order_by(_tickets.c.id).limit(limit))]

    def count(self, wanted: TicketFilter) -> int:
        """Return how many tickets there are."""
        where = conditions(self._connection, self._tenant_id, wanted)
        return self._connection.scalar(select(func.count()).select_from(_tickets).where(*where)) or 0

    def statistics(self, platform: str | None = None) -> TicketStatistics:
        """Return how many tickets there are by what, with one statement; spam and deleted ones stand apart."""
        c = _tickets.c
        by = (c.deleted, c.spam, c.status, c.priority, c.is_processed, c.status_name)
        query = select(*by, func.count().label("number")).where(c.tenant_id == self._tenant_id).group_by(*by)
        if platform is not None:
            query = query.where(c.platform == platform)
        total = processed = spam = deleted = 0
        by_status: dict[str, int] = {}
        by_priority: dict[str, int] = {}
        for row in self._connection.execute(query):
            if row.deleted:
                deleted += row.number
            elif row.spam:
                spam += row.number
            else:
                total += row.number
                processed += row.number if row.is_processed else 0
                by_status[row.status_name] = by_status.get(row.status_name, 0) + row.number
                name = priority_name(row.priority)
                by_priority[name] = by_priority.get(name, 0) + row.number
        return TicketStatistics(
            total=total,
            by_status=by_status,
            by_priority=by_priority,
            processed=processed,
            unprocessed=total - processed,
            spam=spam,
            deleted=deleted,
        )

    def statuses(self) -> dict[int, set[str]]:
        """Return the names of each status that there is."""
        c = _tickets.c
        query = select(c.status, c.status_name).where(c.tenant_id == self._tenant_id).distinct()
        found: dict[int, set[str]] = {}
        for row in self._connection.execute(query):
            found.setdefault(row.status, set()).add(row.status_name)
        return found

    def unprocessed(self, limit: int) -> list[Ticket]:
        """Return tickets that are not in the index as they stand; spam, deleted and merged ones are to leave it."""
        query = (
            select(_tickets)
            .where(_tickets.c.tenant_id == self._tenant_id, _tickets.c.is_processed.is_(False))
            .order_by(_tickets.c.id)
            .limit(limit)
        )
        return [_ticket(row) for row in self._connection.execute(query)]

    def mark_processed(self, done: Sequence[tuple[UUID, str]]) -> None:
        """Mark tickets as being in the index as they stand, where their content is still the one of the hash."""
        if done:
            self._connection.execute(
                update(_tickets)
                .where(_of_id, _tickets.c.content_hash == bindparam("digest"))
                .values(is_processed=True),
                [{**self._id(ticket), "digest": digest} for ticket, digest in done],
            )

    def unsummarized(self, limit: int, before: Place | None, *, rules: str) -> tuple[list[Unsummarized], Place | None]:
        """Look at `limit` tickets in the index, the last changed first, from behind `before` on.

        Return those that have no summary as they stand, or one of the model `rules`, and where to go on; None at the
        end.
        """
        c = _tickets.c
        wanted = TicketFilter(is_processed=True)
        page = select(c.id).where(*conditions(self._connection, self._tenant_id, wanted))
        if before is not None:
            page = page.where(behind(before))
        page = page.order_by(c.platform_updated_at.desc(), c.id.desc()).limit(limit)
        of, model = c.summary["content"].as_string(), c.summary["model"].as_string()
        query = select(c.id, c.content_hash, c.platform_updated_at, c.merged_into, of.label("of"), model.label("model"))
        query = query.where(c.tenant_id == self._tenant_id, c.id.in_(page))
        rows = self._connection.execute(query.order_by(c.platform_updated_at.desc(), c.id.desc())).all()
        left = [
            Unsummarized(row.id, row.content_hash)
            for row in rows
            if row.merged_into is None and (row.of != row.content_hash or row.model == rules)
        ]
        return left, (rows[-1].platform_updated_at, rows[-1].id) if len(rows) == limit else None

    def set_summary(self, ticket: UUID, summary: Mapping[str, Any] | None, content_hash: str) -> bool:
        """Keep a ticket's summary where its content is still the one of the hash; return whether it was.

        The record says of which content it is (`content`): it stays when the ticket changes, until there is another.
        """
        record = None if summary is None else {**summary, "content": content_hash}
        done = self._connection.execute(
            update(_tickets)
            .where(_of_id, _tickets.c.content_hash == content_hash)
            .values(summary=None if record is None else orjson.Fragment(storable_json(record))),
            self._id(ticket),
        )
        return done.rowcount == 1

    def purge(self, platform: str | None = None, *, limit: int | None = None) -> int:
        """Remove tickets, messages and their objects for good, of one platform or of all; return how many tickets.

        With a limit at most so many tickets, to be asked again until none is left.
        """
        c = _tickets.c
        where = [c.tenant_id == self._tenant_id]
        if platform is not None:
            where.append(c.platform == platform)
        query = select(c.id, c.platform, c.ticket_id).where(*where)
        rows = self._connection.execute(query if limit is None else query.limit(limit)).all()
        ids: dict[str, list[str]] = {}
        for row in rows:
            ids.setdefault(row.platform, []).append(row.ticket_id)
        for some in batches([row.id for row in rows]):
            self._connection.execute(delete(_tickets).where(c.tenant_id == self._tenant_id, c.id.in_(some)))
        for name, ticket_ids in ids.items():
            self._objects().delete(name, "ticket", ticket_ids)
            self._objects().delete_of(name, "conversation", ticket_ids)
        return len(rows)

    def _objects(self) -> IntegratedObjectRepository:
        return IntegratedObjectRepository(self._connection, self._tenant_id)

    def _id(self, ticket: UUID) -> dict[str, Any]:
        return {"tenant": self._tenant_id, "ticket": ticket}

    def _row(self, platform: str, data: TicketData, digest: str, now: datetime) -> dict[str, Any]:
        """Return the row of a new ticket: what may be set is named here, and nothing else is."""
        looked_through, is_cut = lookup(data)
        return fitting(
            _tickets,
            {
                "tenant_id": self._tenant_id,
                "id": new_id(),
                "platform": platform,
                "ticket_id": data.ticket_id,
                "title": storable_text(data.title),
                "description": storable_text(data.description),
                "status": data.status,
                "status_name": storable_text(data.status_name),
                "priority": data.priority,
                "source": data.source,
                "type": text_or_none(data.type),
                "requester_id": data.requester_id,
                "requester_email": email(data.requester_email),
                "requester_name": text_or_none(data.requester_name),
                "assignee_id": data.assignee_id,
                "assignee_email": email(data.assignee_email),
                "assignee_name": text_or_none(data.assignee_name),
                "group_id": data.group_id,
                "customer_company_id": data.customer_company_id,
                "lookup": looked_through,
                "lookup_cut": is_cut,
                "tags": orjson.Fragment(storable_json(list(data.tags))),
                "custom_fields": orjson.Fragment(storable_json(dict(data.custom_fields))),
                "summary": None,
                "is_processed": False,
                "spam": data.spam,
                "deleted": data.deleted,
                "merged_into": data.merged_into,
                "conversations": 0,
                "content_hash": digest + NO_CONVERSATION,
                "version": 1,
                "platform_created_at": data.platform_created_at or now,
                "platform_updated_at": _stamp(data) or now,
                "resolved_at": data.resolved_at,
                "created_at": now,
                "updated_at": now,
            },
        )

    def list(self, wanted: TicketFilter, limit: int, before: tuple[datetime, UUID] | None = None) -> list[Ticket]:
        """Return tickets, the last changed at their platform first, from behind `before` on."""
        # The ids are looked up in an index that has all that is filtered by; only those of the page are then read.
        c = _tickets.c
        page = select(c.id).where(*conditions(self._connection, self._tenant_id, wanted))
        if before is not None:
            page = page.where(behind(before))
        page = page.order_by(c.platform_updated_at.desc(), c.id.desc()).limit(limit)
        ids = list(self._connection.scalars(page))
        rows = self.get_many(ids)
        return [rows[each] for each in ids if each in rows]


class AllTickets(AcrossTenants):
    """The tickets and articles of every tenant: only for the worker that indexes them."""

    def unprocessed(self) -> list[str]:
        """Return the tenants of which something is not in the index as it stands."""
        of_tickets = select(_tickets.c.tenant_id).where(_tickets.c.is_processed.is_(False))
        of_articles = select(_articles.c.tenant_id).where(_articles.c.is_processed.is_(False))
        return sorted(self._connection.scalars(of_tickets.union(of_articles)))


def ticket_digest(data: TicketData) -> str:
    """Return `HALF` hexadecimal digits of what matters in a ticket: not when it was touched, nor links that run out."""
    matters = [
        *(data.title, data.description, data.status, data.status_name, data.priority, data.source, data.type),
        *(data.requester_id, email(data.requester_email), data.requester_name),
        *(data.assignee_id, email(data.assignee_email), data.assignee_name),
        *(data.group_id, data.customer_company_id, data.tags, dict(data.custom_fields)),
        *(data.platform_created_at, data.resolved_at),
        [[file.attachment_id, file.name, file.size] for file in data.attachments],
    ]
    return sha256(storable_json(matters)).hexdigest()[:HALF]


def _differs(data: TicketData, digest: str, old: Known) -> bool:
    """Whether there is anything to write."""
    stamp = _stamp(data)
    if _is_older(stamp, old.platform_updated_at):
        return False
    newer = stamp is not None and stamp != old.platform_updated_at
    return newer or _is_other(data, digest, old)


def _is_other(data: TicketData, digest: str, old: Known | None) -> bool:
    if old is None or old.content_hash[:HALF] != digest[:HALF]:
        return True
    merged = data.merged_into is not None and data.merged_into != old.merged_into
    return merged or (data.spam, data.deleted) != (old.spam, old.deleted)


def _consequences(old: Columns, new: Columns) -> Mapping[str, Any]:
    """What follows from a new state: nothing but a later moment of change leaves the index as it is."""
    merged = func.coalesce(new["merged_into"], old["merged_into"])  # nothing undoes a merge
    same = and_(
        func.substr(old["content_hash"], 1, HALF) == func.substr(new["content_hash"], 1, HALF),
        old["spam"] == new["spam"],
        old["deleted"] == new["deleted"],
        merged.is_not_distinct_from(old["merged_into"]),
    )
    return {
        "merged_into": merged,
        "content_hash": func.substr(new["content_hash"], 1, HALF).concat(func.substr(old["content_hash"], HALF + 1)),
        "is_processed": case((same, old["is_processed"]), else_=false()),
        "version": case((same, old["version"]), else_=old["version"] + 1),
        "updated_at": case((same, old["updated_at"]), else_=new["updated_at"]),
    }


def _is_no_older(old: Columns, new: Columns) -> Any:
    return or_(old["platform_updated_at"].is_(None), new["platform_updated_at"] >= old["platform_updated_at"])


def _is_older(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other


def _stamp(data: TicketData) -> datetime | None:
    return data.platform_updated_at or data.platform_created_at


def _check_id(ticket_id: str) -> None:
    if not 0 < len(ticket_id) <= ID_LENGTH or storable_text(ticket_id) != ticket_id:
        raise Invalid(f"A ticket's id has 1 to {ID_LENGTH} characters, none of them NUL.")


def _uuid(text: str) -> UUID | None:
    if len(text) != 36:  # a platform's number may look like a UUID without its dashes
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def _object_data(data: TicketData) -> ObjectData:
    original: Mapping[str, Any] = data.original or {
        "ticket_id": data.ticket_id,
        "title": data.title,
        "description": data.description,
        "status": data.status,
        "priority": data.priority,
        "type": data.type,
        "requester_email": data.requester_email,
        "requester_name": data.requester_name,
        "assignee_email": data.assignee_email,
        "assignee_name": data.assignee_name,
        "tags": list(data.tags),
        "custom_fields": dict(data.custom_fields),
    }
    return ObjectData(
        original_id=data.ticket_id,
        original_data=original,
        integrated_content=f"{data.title}\n\n{plain_text(data.description, CONTENT_LIMIT)}".strip(),
        metadata={"status": data.status_name, "priority": priority_name(data.priority), "tags": list(data.tags)},
        platform_created_at=data.platform_created_at,
        platform_updated_at=data.platform_updated_at,
    )


def _ticket(row: Row[Any]) -> Ticket:
    return Ticket(
        id=row.id,
        tenant_id=row.tenant_id,
        platform=row.platform,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
        summary=row.summary,
        is_processed=row.is_processed,
        conversations=row.conversations,
        content_hash=row.content_hash,
        data=TicketData(
            ticket_id=row.ticket_id,
            title=row.title,
            description=row.description,
            status=row.status,
            status_name=row.status_name,
            priority=row.priority,
            source=row.source,
            type=row.type,
            requester_id=row.requester_id,
            requester_email=row.requester_email,
            requester_name=row.requester_name,
            assignee_id=row.assignee_id,
            assignee_email=row.assignee_email,
            assignee_name=row.assignee_name,
            group_id=row.group_id,
            customer_company_id=row.customer_company_id,
            tags=tuple(row.tags),
            custom_fields=row.custom_fields,
            spam=row.spam,
            deleted=row.deleted,
            merged_into=row.merged_into,
            platform_created_at=row.platform_created_at,
            platform_updated_at=row.platform_updated_at,
            resolved_at=row.resolved_at,
        ),
    )

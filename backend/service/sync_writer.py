"""What a collection writes: a method is the rows of one transaction, and returns what they add to the counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from backend.core.collector.platform import ArticlePage, TicketPage, WholeTicket
from backend.core.desk.retention import is_over
from backend.dto.sync import SyncCounts, SyncIssue, SyncJob
from backend.dto.ticket import AttachmentData, ObjectType, TicketData
from backend.repository.article import ArticleRepository
from backend.repository.attachment import AttachmentRepository
from backend.repository.retention import RetentionRepository
from backend.repository.sync import SyncRepository
from backend.repository.ticket import Known, TicketRepository


@dataclass(slots=True)
class Read:
    """What came of reading some tickets."""

    whole: list[WholeTicket] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """The platform has them no more."""
    issues: list[SyncIssue] = field(default_factory=list)


class SyncWriter:
    """Writes for one job."""

    def __init__(self, job: SyncJob, clock: Callable[[], datetime]) -> None:
        self._job = job
        self._platform = job.platform
        self._clock = clock

    def put(self, c: Connection, read: Read, page: TicketPage | None, kind: str, met: Sequence[str]) -> SyncCounts:
        """Write tickets with their messages and files, and the page of the list `kind` that they end.

        `met` are tickets that were asked for one by one, whatever came of it.
        """
        now = self._clock()
        tickets = TicketRepository(c, self._job.tenant_id)
        through = [each.ticket.ticket_id for each in read.whole]
        known = tickets.known(self._platform, through)
        # Somebody else, who read later, may have been quicker.
        fresh = [each for each in read.whole if not is_older(each.ticket, known.get(each.ticket.ticket_id))]
        before = RetentionRepository(c, self._job.tenant_id).horizon(now)
        fresh = [each for each in fresh if each.ticket.ticket_id in known or not is_over(each.ticket, before)]
        live = [each for each in fresh if not (each.ticket.deleted or each.ticket.spam)]
        put = tickets.put(self._platform, [each.ticket for each in live], now)
        changed = written = 0
        for each in live:
            ticket_id = each.ticket.ticket_id
            outcome = put[ticket_id].outcome
            moved = tickets.put_conversations(self._platform, ticket_id, each.conversations, now)
            self._put_attachments(c, each, now, is_new=outcome == "added")
            if outcome != "unchanged" or moved:
                changed += 1
                written += len(each.conversations)
        deleted = [each.ticket.ticket_id for each in fresh if each.ticket.deleted]
        spam = [each.ticket.ticket_id for each in fresh if each.ticket.spam and not each.ticket.deleted]
        removed = self._remove(c, [*read.gone, *deleted], "deleted", now) + self._remove(c, spam, "spam", now)
        sync = self._sync(c)
        solved = sync.solve(self._job.job_id, "ticket", [*through, *read.gone])
        count = self._end_page(c, page, kind, now) if page is not None else 0
        if self._job.kind == "full":
            sync.meet(self._job.job_id, met)
        return SyncCounts(
            tickets=count if self._job.kind != "ticket" else len(met),
            changed=changed,
            conversations=written,
            removed=removed,
            failed=-solved,
        )

    def take_away(self, c: Connection, page: TicketPage, kind: str) -> SyncCounts:
        """Mark what is here of a page of deleted tickets or spam; of what never was here nothing is kept."""
        now = self._clock()
        flag = "spam" if kind == "spam" else "deleted"
        listed = [ticket.ticket_id for ticket in page.tickets]
        known = TicketRepository(c, self._job.tenant_id).known(self._platform, listed)
        # One that was changed since it was listed has been read since.
        gone = [
            each.ticket_id
            for each in page.tickets
            if (here := known.get(each.ticket_id)) and not getattr(here, flag) and not is_older(each, here)
        ]
        self._end_page(c, page, kind, now)
        return SyncCounts(removed=self._remove(c, gone, flag, now))

    def put_articles(self, c: Connection, page: ArticlePage) -> set[str]:
        """Write a page of articles with their files; return which were not here as they are."""
        now = self._clock()
        put = ArticleRepository(c, self._job.tenant_id).put(self._platform, page.articles, now)
        attachments = AttachmentRepository(c, self._job.tenant_id)
        for each in page.articles:
            private = each.audience != "customer"
            if each.attachments:
                attachments.put(self._platform, "article", each.article_id, None, private, each.attachments, now)
            names = {item.attachment_id for item in each.attachments}
            attachments.keep_only(self._platform, "article", each.article_id, names, now)
        return {article_id for article_id, one in put.items() if one.outcome != "unchanged"}

    def _put_attachments(self, c: Connection, whole: WholeTicket, now: datetime, *, is_new: bool) -> None:
        """Write which files hang on a ticket and its messages; only one that was here can have lost any."""
        ticket = whole.ticket
        attachments = AttachmentRepository(c, self._job.tenant_id)

        def put(parent: ObjectType, parent_id: str, private: bool, files: Sequence[AttachmentData]) -> None:
            if files:
                attachments.put(self._platform, parent, parent_id, ticket.ticket_id, private, files, now)
            if not is_new:
                names = {file.attachment_id for file in files}
                attachments.keep_only(self._platform, parent, parent_id, names, now)

        put("ticket", ticket.ticket_id, False, ticket.attachments)
        for each in whole.conversations:
            put("conversation", each.conversation_id, each.message_type != "public", each.attachments)

    def _remove(self, c: Connection, ticket_ids: Sequence[str], flag: str, now: datetime) -> int:
        """Mark tickets as deleted or spam, and take their files away; return how many were not marked before."""
        if not ticket_ids:
            return 0
        marks: dict[str, Any] = {flag: True}
        tickets = TicketRepository(c, self._job.tenant_id)
        removed = tickets.remove(self._platform, ticket_ids, now=now, **marks)
        AttachmentRepository(c, self._job.tenant_id).remove_tickets(self._platform, ticket_ids, now)
        return len(removed)

    def _end_page(self, c: Connection, page: TicketPage, kind: str, now: datetime) -> int:
        """Move on behind a page; return how many tickets it had that were not read before."""
        sync = self._sync(c)
        if page.until is not None:
            sync.move_cursor(self._platform, kind, page.until, now)
        if self._job.kind != "full" or kind != "ticket":
            return len(page.tickets)
        # What cannot be read is there all the same.
        sync.meet(self._job.job_id, [bad.original_id for bad in page.bad if bad.object_type == "ticket"])
        return sync.meet(self._job.job_id, [ticket.ticket_id for ticket in page.tickets])

    def _sync(self, c: Connection) -> SyncRepository:
        return SyncRepository(c, self._job.tenant_id)


def differs(here: Known | None, there: TicketData) -> bool:
    """Whether a ticket of a list is not here as it is there."""
    if here is None:
        return True
    if (here.deleted, here.spam) != (there.deleted, there.spam):
        return not is_older(there, here)
    if here.platform_updated_at is None or there.platform_updated_at is None:
        return True
    return there.platform_updated_at > here.platform_updated_at


def is_older(there: TicketData, here: Known | None) -> bool:
    """Whether what was read is of an earlier moment than what is here."""
    if here is None or here.platform_updated_at is None or there.platform_updated_at is None:
        return False
    return there.platform_updated_at < here.platform_updated_at

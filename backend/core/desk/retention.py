"""How long a desk's tickets are kept: the one rule, for what removes them and for what would bring them back.

A ticket's time is over when nobody works on it any more (it is resolved, closed, deleted, spam, or a part of another)
and nothing of it changed for as many days as its tenant keeps tickets. One that is open stays, however old.
"""

from datetime import datetime, timedelta

from backend.dto.ticket import TicketData

ENDED = frozenset({4, 5})
"""The statuses resolved and closed. An account's own statuses are stages of work, and no end of it."""


def horizon(now: datetime, days: int | None) -> datetime | None:
    """Return the moment before which the last change must lie; None keeps everything."""
    return None if days is None else now - timedelta(days=days)


def is_over(ticket: TicketData, before: datetime | None) -> bool:
    """Return whether a ticket is not kept any more; one whose last change is unknown is."""
    if before is None or ticket.platform_updated_at is None or ticket.platform_updated_at >= before:
        return False
    return ticket.status in ENDED or ticket.deleted or ticket.spam or ticket.merged_into is not None

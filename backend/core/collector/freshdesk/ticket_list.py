"""All tickets that changed since a moment, however many.

Freshdesk gives a list in pages of 100, no more than 300 of them, and while it is read, tickets change: one that moves
to the end of the list pulls those behind it forward, so that a reader who counts pages misses one at each border.
Therefore a page is asked for by what the one before it ended with (`updated_since`, inclusive; what is read twice is
given once). Pages are counted only as long as all their rows changed in one second, as after an import. Such a second
is read again until a reading brings nothing new, since rows of one second have no order of their own.

Without `updated_since` only the tickets of the last 30 days would come; it is always sent.
"""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from loguru import logger

from backend.core.collector.freshdesk import parser
from backend.core.collector.freshdesk.parser import BadValue
from backend.core.collector.freshdesk.transport import Transport
from backend.core.collector.platform import BadItem, TicketPage, TicketState
from backend.core.error import UpstreamFailed
from backend.dto.ticket import TicketData
from backend.util.clock import utc_now

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Before the first ticket of any account."""
PER_PAGE = 100
DEEPEST_PAGE = 300
READINGS = 3
"""Of a second that fills more than a page."""
_INCLUDE = "description,requester,stats"
_COST = 1 + 2 * 3
"""Credits: an embedded object of a list costs two."""

Parse = Callable[[Any], TicketData]


class TicketList:
    """One reading of the list."""

    def __init__(self, transport: Transport, parse: Parse, clock: Callable[[], datetime] = utc_now) -> None:
        self._transport = transport
        self._parse = parse
        self._clock = clock
        self._given: set[tuple[str, datetime]] = set()
        """What was given of the second that is read, and after it."""

    async def pages(self, since: datetime | None, state: TicketState) -> AsyncIterator[TicketPage]:
        """Yield what is there, until there is no more.

        Raises:
            UpstreamFailed: the list is not in the order that was asked for.
        """
        bound = _second(max(since or EARLIEST, EARLIEST))
        page, readings, news = 1, 1, 0
        while True:
            rows, more = await self._ask(bound, page, state)
            made, last = self._page(rows, bound, first=page == 1)
            news += len(made.tickets)
            if made.tickets or made.bad:
                yield made
            more = more or len(rows) >= PER_PAGE
            forward = last is not None and last > bound
            if page > 1 and (forward or not more) and news and readings < READINGS:
                page, readings, news = 1, readings + 1, 0  # the second once more
            elif not more or not rows:
                return
            elif forward and last is not None:
                bound, page, readings, news = self._from(last), 1, 1, 0
            elif page < DEEPEST_PAGE:
                page += 1
            else:
                logger.warning("Freshdesk: more than {n} tickets changed in one second", n=DEEPEST_PAGE * PER_PAGE)
                yield _stuck(bound)
                bound, page, readings, news = self._from(bound + timedelta(seconds=1)), 1, 1, 0

    def _from(self, bound: datetime) -> datetime:
        """Go on at a later second, and forget what cannot come again."""
        self._given = {(ticket, at) for ticket, at in self._given if at >= bound}
        return bound

    async def _ask(self, bound: datetime, page: int, state: TicketState) -> tuple[list[Any], bool]:
        query: dict[str, str | int] = {
            "updated_since": bound.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "order_by": "updated_at",
            "order_type": "asc",
            "include": _INCLUDE,
            "page": page,
            "per_page": PER_PAGE,
        }
        if state != "live":
            query["filter"] = state
        answer = await self._transport.get("/tickets", query, cost=_COST)
        if not isinstance(answer.data, list):
            raise UpstreamFailed("The platform's list of tickets is no list.")
        return answer.data, answer.more

    def _page(self, rows: list[Any], bound: datetime, *, first: bool) -> tuple[TicketPage, datetime | None]:
        """Return what is new of a page, and when its last row changed."""
        tickets, bad, moments = [], [], []
        for position, row in enumerate(rows):
            fields = row if isinstance(row, dict) else {}
            moment = parser.moment(fields.get("updated_at"))
            if moment is not None:
                moments.append(_second(moment))
            try:
                ticket = self._parse(row)
            except BadValue as problem:
                bad.append(_bad(fields, problem, f"{bound:%Y%m%d%H%M%S}-{position}"))
                continue
            key = (ticket.ticket_id, ticket.platform_updated_at or bound)
            if key not in self._given:
                self._given.add(key)
                tickets.append(ticket)
        falls = sum(after < before for before, after in pairwise(moments))
        if (moments and moments[-1] < bound) or falls > len(moments) // 2:
            raise UpstreamFailed("The platform's list of tickets is not in the order that was asked for.")
        last = moments[-1] if moments else None
        # While the pages of one second are counted, that second is not behind us. Nor is what has not come yet: behind
        # one ticket whose moment is wrong, every later change would stay unseen.
        until = last if first else bound
        return TicketPage(
            tickets=tuple(tickets), bad=tuple(bad), until=until and min(until, _second(self._clock()))
        ), last


def _second(moment: datetime) -> datetime:
    """Return the whole second: that is how exact the list can be asked."""
    return moment.astimezone(UTC).replace(microsecond=0)


def _bad(fields: dict[str, Any], problem: BadValue, otherwise: str) -> BadItem:
    try:
        original_id = parser.id_of(fields.get("id"))
    except BadValue:
        original_id = f"unknown-{otherwise}"
    return BadItem(object_type="ticket", original_id=original_id, code=problem.code, reason=problem.reason)


def _stuck(bound: datetime) -> TicketPage:
    reason = f"More than {DEEPEST_PAGE * PER_PAGE} tickets changed at {bound:%Y-%m-%d %H:%M:%S} UTC; the platform shows"
    item = BadItem(
        object_type="ticket",
        original_id=f"{bound:%Y-%m-%dT%H:%M:%SZ}",
        code="window-stuck",
        reason=f"{reason} no more of them.",
    )
    return TicketPage(tickets=(), bad=(item,), until=bound + timedelta(seconds=1))

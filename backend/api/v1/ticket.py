"""Tickets, their messages, articles, and every object of a platform as it came."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Query
from starlette.responses import Response, StreamingResponse

from backend.api.dependency import Caller, Tickets
from backend.api.query import only_known
from backend.core.error import (
    ArticleNotFound,
    Conflict,
    Invalid,
    TicketNotFound,
    TooLarge,
    Unauthorized,
    VersionConflict,
)
from backend.core.run.wire import dumps
from backend.dto.ticket import Audience, Conversation, ObjectType, Ticket, TicketFilter, priority_of
from backend.schema.problem import problems
from backend.schema.ticket import (
    TICKET_EXAMPLES,
    ArticleList,
    ArticleRead,
    ConversationBody,
    ConversationBulk,
    ConversationList,
    ConversationRead,
    Moment,
    ObjectList,
    ObjectRead,
    TicketBody,
    TicketBulk,
    TicketChange,
    TicketList,
    TicketRead,
    TicketStatisticsRead,
    TicketsWritten,
    ticket_members,
)
from backend.service.ticket import ConversationFilter, Page
from backend.util.cursor import decode_cursor, encode_cursor
from backend.util.storable import storable_text

LIMIT = 100
EXCERPT = 2000
"""Characters of a description in a list."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet may take for a formula at the beginning of a cell (OWASP, CSV injection)."""

router = APIRouter()
_tickets = APIRouter(prefix="/tickets", tags=["tickets"], dependencies=[Depends(only_known)])
_others = APIRouter(tags=["tickets"], dependencies=[Depends(only_known)])

Limit = Annotated[int, Query(ge=1, le=LIMIT, description="Most of a page.")]
Before = Annotated[str | None, Query(max_length=64, description="`next` of the page before.")]
Platform = Annotated[
    str | None,
    Query(min_length=1, max_length=20, pattern=r"^[a-z0-9_-]+$", description="Of this platform alone; `api` is none."),
]
Address = Annotated[
    str | None, Query(max_length=320, pattern=r"^[^\x00]*$", description="A whole e-mail address, in any case.")
]
_Term = Annotated[str, Query(min_length=1, max_length=50, pattern=r"^[^\x00]+$")]


def _filter(
    platform: Platform = None,
    priority: Annotated[list[_Term] | None, Query(max_length=10, description="Names or numbers.")] = None,
    assignee_email: Address = None,
    requester_email: Address = None,
    tag: Annotated[
        str | None, Query(min_length=1, max_length=255, pattern=r"^[^\x00]+$", description="A whole tag.")
    ] = None,
    is_processed: Annotated[bool | None, Query(description="Whether it can be found as it stands.")] = None,
    spam: Annotated[bool | None, Query(description="Spam alone, or none of it.")] = False,
    deleted: Annotated[bool | None, Query(description="Deleted ones alone, or none of them.")] = False,
    updated_from: Annotated[Moment | None, Query(description="Of the platform's time of change, inclusive.")] = None,
    updated_to: Annotated[Moment | None, Query(description="Exclusive.")] = None,
    created_from: Annotated[Moment | None, Query(description="Of the platform's time of making, inclusive.")] = None,
    created_to: Annotated[Moment | None, Query(description="Exclusive.")] = None,
    text: Annotated[
        str | None,
        Query(min_length=1, max_length=200, pattern=r"^[^\x00]+$", description="In the title, or a ticket's number."),
    ] = None,
) -> TicketFilter:
    try:
        priorities = tuple(sorted({priority_of(one) for one in priority or ()}))
    except ValueError as error:
        raise Invalid(f"No such priority. {error}") from None
    return TicketFilter(
        platform=platform,
        priority=priorities,
        assignee_email=_storable(assignee_email),
        requester_email=_storable(requester_email),
        tag=_storable(tag),
        is_processed=is_processed,
        spam=spam,
        deleted=deleted,
        updated_from=updated_from,
        updated_to=updated_to,
        created_from=created_from,
        created_to=created_to,
        text=_storable(text),
    )


Wanted = Annotated[TicketFilter, Depends(_filter)]
Statuses = Annotated[
    list[_Term] | None, Query(alias="status", max_length=20, description="Names or numbers, several of them.")
]


@_tickets.get("", summary="List tickets", responses=problems(Unauthorized, Invalid))
async def list_tickets(
    caller: Caller,
    tickets: Tickets,
    wanted: Wanted,
    status: Statuses = None,
    limit: Limit = 20,
    before: Before = None,
) -> TicketList:
    """Return tickets, the last changed at their platform first."""
    page = await tickets.list(caller, wanted, statuses=_terms(status), limit=limit, before=_place(before))
    return TicketList(
        items=[TicketRead.of(one, most=EXCERPT) for one in page.items],
        next=_next(page.items[-1].data.platform_updated_at, page.items[-1].id) if page.more else None,
        total=page.total,
    )


@_tickets.get("/statistics", summary="Count tickets", responses=problems(Unauthorized))
async def statistics(caller: Caller, tickets: Tickets, platform: Platform = None) -> TicketStatisticsRead:
    """Return how many tickets there are by status and priority, and how many of them can be found."""
    return TicketStatisticsRead.of(await tickets.statistics(caller, platform))


@_tickets.get("/export", summary="Export tickets", response_model=None, responses=problems(Unauthorized, Invalid))
async def export(
    caller: Caller,
    tickets: Tickets,
    wanted: Wanted,
    status: Statuses = None,
    format: Annotated[Literal["ndjson", "csv"], Query(description="A JSON document a line, or CSV.")] = "ndjson",
) -> Response:
    """Read all tickets of a filter as a stream, in the order they were taken in."""
    pages = await tickets.export(caller, wanted, statuses=_terms(status))
    lines, media_type = (_csv, "text/csv; charset=utf-8") if format == "csv" else (_ndjson, "application/x-ndjson")
    return StreamingResponse(
        _stream(pages, lines),
        media_type=media_type,
        headers={
            "Content-Disposition": f'attachment; filename="tickets.{format}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


@_tickets.post("", summary="Bring tickets", status_code=201, responses=problems(Unauthorized, Invalid, TooLarge))
async def put_tickets(
    body: Annotated[TicketBody, Body(openapi_examples=TICKET_EXAMPLES)],
    caller: Caller,
    tickets: Tickets,
    response: Response,
) -> TicketsWritten:
    """Take in a ticket, or up to 500, without a platform; the same `ticket_id` again changes the ticket."""
    sent = body.tickets if isinstance(body, TicketBulk) else [body]
    written = await tickets.put(caller, [one.data() for one in sent])
    if all(one.outcome != "added" for one in written):
        response.status_code = 200
    if len(written) == 1:
        response.headers["Location"] = f"/api/v1/tickets/{written[0].id}"
    return TicketsWritten.of(written)


@_tickets.get("/{ticket}", summary="Look at a ticket", responses=problems(Unauthorized, TicketNotFound, Invalid))
async def get_ticket(ticket: str, caller: Caller, tickets: Tickets, platform: Platform = None) -> TicketRead:
    """Return a ticket by our id, or by the platform's."""
    return TicketRead.of(await tickets.get(caller, ticket, platform))


@_tickets.patch(
    "/{ticket}",
    summary="Change a ticket",
    responses=problems(Unauthorized, TicketNotFound, VersionConflict, Conflict, Invalid),
)
async def change_ticket(
    ticket: str, change: TicketChange, caller: Caller, tickets: Tickets, platform: Platform = None
) -> TicketRead:
    """Change what is named, in a ticket that came without a platform and is still at this version."""
    return TicketRead.of(await tickets.change(caller, ticket, change.version, change.changes(), platform))


@_tickets.delete(
    "/{ticket}",
    summary="Remove a ticket",
    status_code=204,
    responses=problems(Unauthorized, TicketNotFound, Conflict),
)
async def delete_ticket(ticket: str, caller: Caller, tickets: Tickets, platform: Platform = None) -> None:
    """Remove a ticket that came without a platform, with its messages; it is no longer found."""
    await tickets.delete(caller, ticket, platform)


@_tickets.get(
    "/{ticket}/conversations",
    summary="Read a ticket's messages",
    responses=problems(Unauthorized, TicketNotFound, Invalid),
)
async def ticket_conversations(
    ticket: str,
    caller: Caller,
    tickets: Tickets,
    platform: Platform = None,
    include_private: Annotated[bool, Query(description="Also what only the desk may read.")] = False,
    limit: Limit = 50,
    after: Before = None,
) -> ConversationList:
    """Return messages, the oldest first."""
    page = await tickets.conversations(
        caller, ticket, platform, include_private=include_private, limit=limit, after=_place(after, "after")
    )
    return _messages(page)


@_tickets.post(
    "/{ticket}/conversations",
    summary="Add messages to a ticket",
    status_code=201,
    responses=problems(Unauthorized, TicketNotFound, Conflict, Invalid, TooLarge),
)
async def add_conversations(
    ticket: str,
    body: Annotated[ConversationBody, Body()],
    caller: Caller,
    tickets: Tickets,
    platform: Platform = None,
) -> TicketRead:
    """Add a message, or up to 100, to a ticket that came without a platform."""
    sent = body.conversations if isinstance(body, ConversationBulk) else [body]
    return TicketRead.of(await tickets.add_conversations(caller, ticket, [one.data() for one in sent], platform))


@_others.get("/conversations", summary="List messages", responses=problems(Unauthorized, Invalid))
async def list_conversations(
    caller: Caller,
    tickets: Tickets,
    author_email: Address = None,
    created_from: Annotated[Moment | None, Query(description="Of the platform's time, inclusive.")] = None,
    created_to: Annotated[Moment | None, Query(description="Exclusive.")] = None,
    include_private: Annotated[bool, Query(description="Also what only the desk may read.")] = False,
    limit: Limit = 50,
    before: Before = None,
) -> ConversationList:
    """Return messages of all tickets, the newest first."""
    wanted = ConversationFilter(
        author_email=_storable(author_email),
        created_from=created_from,
        created_to=created_to,
        include_private=include_private,
    )
    return _messages(await tickets.list_conversations(caller, wanted, limit=limit, before=_place(before)))


@_others.get("/articles", summary="List articles", responses=problems(Unauthorized, Invalid))
async def list_articles(
    caller: Caller,
    tickets: Tickets,
    platform: Platform = None,
    audience: Annotated[Audience, Query(description="Only what these may read.")] = "agent",
    limit: Limit = 20,
    before: Before = None,
) -> ArticleList:
    """Return articles, the last changed first."""
    page = await tickets.list_articles(caller, platform=platform, audience=audience, limit=limit, before=_place(before))
    return ArticleList(
        items=[ArticleRead.of(one) for one in page.items],
        next=_next(page.items[-1].data.platform_updated_at, page.items[-1].id) if page.more else None,
        total=page.total,
    )


@_others.get("/articles/{article_id}", summary="Look at an article", responses=problems(Unauthorized, ArticleNotFound))
async def get_article(
    article_id: UUID,
    caller: Caller,
    tickets: Tickets,
    audience: Annotated[Audience, Query(description="Only if these may read it.")] = "agent",
) -> ArticleRead:
    """Return one article."""
    return ArticleRead.of(await tickets.get_article(caller, article_id, audience=audience))


@_others.get("/objects", summary="List objects", responses=problems(Unauthorized, Invalid))
async def list_objects(
    caller: Caller,
    tickets: Tickets,
    object_type: Annotated[ObjectType | None, Query(description="Of this type alone.")] = None,
    platform: Platform = None,
    original: Annotated[bool, Query(description="With the platform's JSON.")] = False,
    limit: Limit = 20,
    before: Before = None,
) -> ObjectList:
    """Return whatever came from platforms as it came, the last changed first."""
    page = await tickets.list_objects(caller, object_type, platform=platform, limit=limit, before=_place(before))
    return ObjectList(
        items=[ObjectRead.of(one, original=original) for one in page.items],
        next=_next(page.items[-1].updated_at, page.items[-1].id) if page.more else None,
        total=page.total,
    )


router.include_router(_tickets)
router.include_router(_others)


def _messages(page: Page[Conversation]) -> ConversationList:
    return ConversationList(
        items=[ConversationRead.of(one) for one in page.items],
        next=_next(page.items[-1].data.platform_created_at, page.items[-1].id) if page.more else None,
        total=page.total,
    )


def _place(cursor: str | None, name: str = "before") -> tuple[datetime, UUID] | None:
    try:
        return None if cursor is None else decode_cursor(cursor)
    except ValueError:
        raise Invalid(f"`{name}` is not the `next` of a page of this list.") from None


def _next(moment: datetime | None, row_id: UUID) -> str:
    assert moment is not None  # every row has one, the platform's or ours
    return encode_cursor(moment, row_id)


def _storable(text: str | None) -> str | None:
    return None if text is None else storable_text(text)


def _terms(found: Sequence[str] | None) -> Sequence[str]:
    return [storable_text(one) for one in found or ()]


async def _stream(
    pages: AsyncIterator[Sequence[Ticket]], lines: Callable[[Sequence[Ticket], bool], bytes]
) -> AsyncIterator[bytes]:
    first = True
    async for page in pages:
        # The lines of a page take some milliseconds to write, in which others may be served.
        yield await asyncio.to_thread(lines, page, first)
        first = False
    if first:
        yield lines((), True)


def _ndjson(page: Sequence[Ticket], first: bool) -> bytes:
    del first
    return b"".join(dumps(ticket_members(one)) + b"\n" for one in page)


def _csv(page: Sequence[Ticket], first: bool) -> bytes:
    made = io.StringIO()
    writer = csv.writer(made)
    if first:
        made.write("\ufeff")  # Excel takes a file without it for one of the system's code page
        writer.writerow(TicketRead.model_fields)
    for one in page:
        writer.writerow([_cell(value) for value in ticket_members(one).values()])
    return made.getvalue().encode()


def _cell(value: Any) -> str:
    """Return what a cell shows; a text that a spreadsheet would calculate gets an apostrophe in front."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = dumps(value).decode() if isinstance(value, list | dict) else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text

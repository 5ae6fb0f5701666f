"""What a `TicketFilter` says, in SQL."""

from datetime import datetime
from typing import Any
from unicodedata import normalize
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Text, Uuid, and_, func, literal, literal_column, or_, select, tuple_

from backend.database.model import TicketRow, table_of
from backend.database.model.base import UtcDateTime
from backend.dto.ticket import TicketData, TicketFilter
from backend.repository.containment import contained
from backend.util.storable import storable_text

LOOKUP_BYTES = 1500
"""An index of PostgreSQL takes 2704 bytes in all (a third of a page)."""
_TITLE = "\x1f"

_tickets = table_of(TicketRow)


def conditions(connection: Connection, tenant_id: str, wanted: TicketFilter) -> list[ColumnElement[bool]]:
    """Return what a row must be; the tenant first."""
    c = _tickets.c
    found: list[ColumnElement[bool]] = [c.tenant_id == tenant_id]
    if wanted.platform is not None:
        found.append(c.platform == wanted.platform)
    if wanted.status:
        found.append(c.status.in_(wanted.status))
    if wanted.priority:
        found.append(c.priority.in_(wanted.priority))
    if wanted.assignee_email is not None:
        found.append(c.assignee_email == wanted.assignee_email.strip().lower())
    if wanted.requester_email is not None:
        found.append(c.requester_email == wanted.requester_email.strip().lower())
    for column, asked in ((c.is_processed, wanted.is_processed), (c.spam, wanted.spam), (c.deleted, wanted.deleted)):
        if asked is not None:
            found.append(column.is_(asked))
    found += _spans(wanted)
    if wanted.tag is not None or wanted.text is not None:
        cut = select(c.id).where(c.tenant_id == tenant_id, literal_column("lookup_cut")).limit(1)
        whole = connection.execute(cut).first() is None
        if wanted.tag is not None:
            found.append(_has(connection, _tag(wanted.tag)) if whole else contained(connection, c.tags, [wanted.tag]))
        if wanted.text is not None:
            found.append(_said(connection, wanted.text, whole=whole))
    return found


def _spans(wanted: TicketFilter) -> list[ColumnElement[bool]]:
    c = _tickets.c
    begins = ((c.platform_updated_at, wanted.updated_from), (c.platform_created_at, wanted.created_from))
    ends = ((c.platform_updated_at, wanted.updated_to), (c.platform_created_at, wanted.created_to))
    return [
        *(column >= begin for column, begin in begins if begin is not None),
        *(column < end for column, end in ends if end is not None),
    ]


def lookup(data: TicketData) -> tuple[str, bool]:
    """Return what is looked through of a ticket, and whether it is cut: number and tags a line each, then the title."""
    made = storable_text(
        "".join((_number(data.ticket_id), *map(_tag, data.tags), _TITLE, _composed(data.title).lower()))
    )
    kept = made.encode()[:LOOKUP_BYTES].decode(errors="ignore")
    return kept, len(kept) < len(made)


def behind(before: tuple[datetime, UUID], c: Any = _tickets.c) -> ColumnElement[bool]:
    """Say that a row comes behind a place in the list of the last changed."""
    moment, ticket = before
    place = tuple_(literal(moment, UtcDateTime), literal(ticket, Uuid))
    return tuple_(c.platform_updated_at, c.id) < place


def _number(ticket_id: str) -> str:
    return f"\n#{ticket_id.lower()}\n"


def _tag(tag: str) -> str:
    # No tag may look like two, or like where the title begins.
    return f"\n:{_composed(tag).replace('\n', ' ').replace(_TITLE, ' ')}\n"


def _composed(text: str) -> str:
    """Return a text as most keyboards write it: those of Apple take Hangul and accents apart."""
    return normalize("NFC", text)


def _has(connection: Connection, needle: str, column: Any = _tickets.c.lookup) -> ColumnElement[bool]:
    find = func.strpos if connection.dialect.name == "postgresql" else func.instr
    return find(column, literal(needle, Text)) > 0


def _said(connection: Connection, text: str, *, whole: bool) -> ColumnElement[bool]:
    text = _composed(text.strip())
    number = text.removeprefix("#")
    if not whole:
        return or_(
            func.lower(_tickets.c.ticket_id) == number.lower(),
            _has(connection, text.lower(), func.lower(_tickets.c.title)),
        )
    find = func.strpos if connection.dialect.name == "postgresql" else func.instr
    title = func.substr(_tickets.c.lookup, find(_tickets.c.lookup, literal(_TITLE, Text)))
    somewhere = _has(connection, text.lower())  # the quickest to ask, and most rows end there
    return and_(somewhere, or_(_has(connection, _number(number)), _has(connection, text.lower(), title)))

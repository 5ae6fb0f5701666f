"""What a support desk is made of: tickets, their conversations, articles, attachments. Platform-independent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

ObjectType = Literal["ticket", "conversation", "article", "attachment"]
MessageType = Literal["public", "private", "note"]
"""`public` goes between customer and desk, `private` is a note among agents, `note` is what a system added."""
AuthorType = Literal["customer", "agent", "system"]
Audience = Literal["customer", "member", "agent"]
"""Who may read: anybody, a customer who is logged in, the desk's own people."""
AttachmentStatus = Literal["pending", "stored", "failed", "skipped", "removed"]
"""`removed`: the platform has it no more; nobody sees it, and it goes when its file has gone."""

OPEN, PENDING, RESOLVED, CLOSED = 2, 3, 4, 5
STATUS_NAMES: Mapping[int, str] = {OPEN: "open", PENDING: "pending", RESOLVED: "resolved", CLOSED: "closed"}
"""Freshdesk's numbers; a desk's own statuses are further numbers, whose names come from its ticket fields."""
PRIORITY_NAMES: Mapping[int, str] = {1: "low", 2: "medium", 3: "high", 4: "urgent"}
Outcome = Literal["added", "changed", "unchanged"]
"""What became of an object that was put."""


def status_of(status: int | str) -> tuple[int, str]:
    """Return number and name of one of the statuses that every desk has, or of a number.

    Raises:
        ValueError: there is no such name.
    """
    if isinstance(status, str):
        name = status.strip().lower()
        for number, known in STATUS_NAMES.items():
            if name == known:
                return number, known
        if not name.isascii() or not name.isdigit() or len(name) > 6:
            raise ValueError(f"There are {', '.join(STATUS_NAMES.values())}, and numbers.")
        status = int(name)
    return status, STATUS_NAMES.get(status, str(status))


def priority_of(priority: int | str) -> int:
    """Return the number of a priority.

    Raises:
        ValueError: there is no such name or number.
    """
    name = str(priority).strip().lower()
    for number, known in PRIORITY_NAMES.items():
        if name in {known, str(number)}:
            return number
    raise ValueError(f"There are {', '.join(PRIORITY_NAMES.values())}, and 1 to 4.")


def priority_name(priority: int) -> str:
    """Return what a priority is called; its number where it has no name."""
    return PRIORITY_NAMES.get(priority, str(priority))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentData:
    """A file as the platform names it; its link works for a while only."""

    attachment_id: str
    name: str
    content_type: str = "application/octet-stream"
    size: int = 0
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationData:
    """A message of a ticket, as the platform has it."""

    conversation_id: str
    content: str
    """HTML or text as it came; cleaned where it is read."""
    message_type: MessageType
    author_type: AuthorType
    author_id: str | None = None
    author_email: str | None = None
    author_name: str | None = None
    attachments: tuple[AttachmentData, ...] = ()
    platform_created_at: datetime | None = None
    platform_updated_at: datetime | None = None
    original: Mapping[str, Any] = field(default_factory=dict)
    """The platform's JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketData:
    """A ticket as the platform has it."""

    ticket_id: str
    title: str
    description: str
    """HTML or text as it came; cleaned where it is read."""
    status: int
    status_name: str
    priority: int
    """1 low to 4 urgent."""
    source: int | None = None
    type: str | None = None
    requester_id: str | None = None
    requester_email: str | None = None
    requester_name: str | None = None
    assignee_id: str | None = None
    assignee_email: str | None = None
    assignee_name: str | None = None
    group_id: str | None = None
    customer_company_id: str | None = None
    """The requester's company at the platform; no tenant."""
    tags: tuple[str, ...] = ()
    custom_fields: Mapping[str, Any] = field(default_factory=dict)
    spam: bool = False
    deleted: bool = False
    merged_into: str | None = None
    """The ticket that this one was merged into."""
    attachments: tuple[AttachmentData, ...] = ()
    platform_created_at: datetime | None = None
    platform_updated_at: datetime | None = None
    resolved_at: datetime | None = None
    original: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleData:
    """A knowledge-base article as the platform has it."""

    article_id: str
    """Of a translation its original's id and its language: `42:en`."""
    title: str
    description: str
    """HTML."""
    audience: Audience
    """From its folder's visibility; a draft is for agents."""
    published: bool
    folder_id: str | None = None
    category_id: str | None = None
    path: tuple[str, ...] = ()
    """Names of category and folders, from the top."""
    url: str | None = None
    tags: tuple[str, ...] = ()
    attachments: tuple[AttachmentData, ...] = ()
    language: str | None = None
    """As the platform writes it (`en`, `pt-BR`); None where it does not say."""
    translation_of: str | None = None
    """The original's `article_id`; None for an original."""
    platform_created_at: datetime | None = None
    platform_updated_at: datetime | None = None
    original: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A ticket as it is kept."""

    id: UUID
    tenant_id: str
    platform: str
    version: int
    """Goes up with every change; an update names the one it saw."""
    created_at: datetime
    """When it was taken in."""
    updated_at: datetime
    data: TicketData
    summary: dict[str, Any] | None = None
    is_processed: bool = False
    """Whether it is in the index as it stands."""
    conversations: int = 0
    content_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    id: UUID
    tenant_id: str
    platform: str
    ticket: UUID
    ticket_id: str
    created_at: datetime
    updated_at: datetime
    data: ConversationData


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    id: UUID
    tenant_id: str
    platform: str
    created_at: datetime
    updated_at: datetime
    data: ArticleData
    is_processed: bool = False
    content_hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    id: UUID
    tenant_id: str
    platform: str
    parent_type: ObjectType
    parent_id: str
    """The platform's id of what it hangs on."""
    ticket_id: str | None
    """Of which ticket it is; None for an article's."""
    data: AttachmentData
    status: AttachmentStatus
    reason: str | None = None
    """Why it is not there, for a person to read."""
    file_key: str | None = None
    sha256: str | None = None
    private: bool = False
    """Whether it hangs on something that a customer may not see."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketFilter:
    """Which tickets a list is of. What is None, or empty, is not asked for."""

    platform: str | None = None
    status: tuple[int, ...] = ()
    priority: tuple[int, ...] = ()
    assignee_email: str | None = None
    requester_email: str | None = None
    tag: str | None = None
    is_processed: bool | None = None
    spam: bool | None = False
    deleted: bool | None = False
    updated_from: datetime | None = None
    """Of the platform's moment of change, inclusive."""
    updated_to: datetime | None = None
    """Exclusive."""
    created_from: datetime | None = None
    """Of the platform's moment of making, inclusive."""
    created_to: datetime | None = None
    """Exclusive."""
    text: str | None = None
    """A word in the title, or a ticket's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketStatistics:
    total: int
    by_status: Mapping[str, int]
    by_priority: Mapping[str, int]
    processed: int
    unprocessed: int
    spam: int
    deleted: int

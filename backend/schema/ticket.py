"""Tickets, messages, articles and objects on the wire."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from backend.dto.integrated_object import IntegratedObject
from backend.dto.ticket import (
    Article,
    Audience,
    AuthorType,
    Conversation,
    ConversationData,
    MessageType,
    ObjectType,
    Outcome,
    Ticket,
    TicketData,
    TicketStatistics,
    priority_name,
    priority_of,
    status_of,
)
from backend.schema.agent.json_object import JsonObject
from backend.schema.chat import Storable
from backend.schema.problem import ONE, SEVERAL
from backend.service.ticket import Written
from backend.util.id_generator import new_id

BULK = 500
"""Most tickets of one request."""
MESSAGES = 100
"""Most messages of one request."""
_RESERVED = frozenset({"statistics", "export"})
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)

TICKET_EXAMPLES: dict[str, Any] = {
    "korean": {
        "summary": "티켓 하나",
        "value": {
            "ticket_id": "1001",
            "title": "카드 결제가 안 됩니다",
            "description": "결제 단계에서 오류 E-402가 나옵니다.",
            "status": "open",
            "priority": "high",
            "requester_email": "customer@example.com",
            "tags": ["billing"],
        },
    },
    "bulk": {
        "summary": "Several at once",
        "value": {"tickets": [{"ticket_id": "1002", "title": "Refund"}, {"ticket_id": "1003", "title": "Log-in"}]},
    },
}


def _id(text: str) -> str:
    if text in _RESERVED:
        raise PydanticCustomError("reserved", "This is no id: it is the name of a path.")
    return text


def _moment(at: datetime) -> datetime:
    if not _EARLIEST <= at < _LATEST:
        raise PydanticCustomError("out_of_time", "A moment lies between 1970 and 2200.")
    return at


def _email(text: str) -> str:
    if not re.fullmatch(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+", text):
        raise PydanticCustomError("email", "This is no e-mail address.")
    return text.lower()


def _status(status: int | str) -> int:
    try:
        return status_of(status)[0]
    except ValueError as error:
        raise PydanticCustomError("status", "No such status. {reason}", {"reason": str(error)}) from None


def _priority(priority: int | str) -> int:
    try:
        return priority_of(priority)
    except ValueError as error:
        raise PydanticCustomError("priority", "No such priority. {reason}", {"reason": str(error)}) from None


PlatformId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$"), AfterValidator(_id)]
Moment = Annotated[AwareDatetime, AfterValidator(_moment)]
Email = Annotated[str, StringConstraints(strip_whitespace=True, max_length=320), Storable, AfterValidator(_email)]
_Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255), Storable]
_Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), Storable]
_Text = Annotated[str, StringConstraints(max_length=1_000_000), Storable]
_Number = Annotated[int, Field(ge=1, le=999_999)]
_Name = Annotated[str, StringConstraints(max_length=50)]
Status = Annotated[_Number | _Name, AfterValidator(_status)]
Priority = Annotated[_Number | _Name, AfterValidator(_priority)]
Tags = Annotated[list[_Line], Field(max_length=100)]
CustomFields = Annotated[JsonObject, Field(max_length=200)]


class TicketCreate(BaseModel):
    """A ticket of one's own."""

    model_config = ConfigDict(extra="forbid")

    ticket_id: PlatformId | None = Field(
        None, description="What names it: the same again changes it, and never adds a second one. Made by us without."
    )
    title: _Title
    description: _Text = Field("", description="Text or HTML.")
    status: Status = Field(2, description="open, pending, resolved, closed, or a number.", validate_default=True)
    priority: Priority = Field(1, description="low, medium, high, urgent, or 1 to 4.", validate_default=True)
    type: _Line | None = None
    requester_email: Email | None = None
    requester_name: _Line | None = None
    assignee_email: Email | None = None
    assignee_name: _Line | None = None
    tags: Tags = Field(default_factory=list)
    custom_fields: CustomFields = Field(default_factory=dict)
    platform_created_at: Moment | None = None
    platform_updated_at: Moment | None = Field(
        None, description="With it, a state that is older than what is there changes nothing."
    )
    resolved_at: Moment | None = None

    def data(self) -> TicketData:
        values = self.model_dump()
        values["ticket_id"] = self.ticket_id or str(new_id())
        values["status_name"] = status_of(self.status)[1]
        values["tags"] = tuple(self.tags)
        return TicketData(**values)


class TicketBulk(BaseModel):
    """Tickets of one's own, each of them named once."""

    model_config = ConfigDict(extra="forbid")

    tickets: Annotated[list[TicketCreate], Field(min_length=1, max_length=BULK)]


def _is_bulk(name: str) -> Discriminator:
    def kind(value: Any) -> str:
        return SEVERAL if isinstance(value, dict) and name in value else ONE

    return Discriminator(kind)


TicketBody = Annotated[Annotated[TicketBulk, Tag(SEVERAL)] | Annotated[TicketCreate, Tag(ONE)], _is_bulk("tickets")]


class TicketWritten(BaseModel):
    id: UUID
    ticket_id: str
    outcome: Outcome = Field(description="`added`, `changed` or `unchanged`.")


class TicketsWritten(BaseModel):
    """What became of each ticket, in the order of the body."""

    items: list[TicketWritten]

    @classmethod
    def of(cls, written: Sequence[Written]) -> Self:
        return cls(items=[TicketWritten(id=one.id, ticket_id=one.ticket_id, outcome=one.outcome) for one in written])


class TicketChange(BaseModel):
    """What is to change in a ticket; what is not named stays."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"version": 3, "status": "resolved", "tags": ["billing", "refund"]}]},
    )

    version: int = Field(ge=1, lt=2**31, description="Of the ticket as it was read: if it is another by now, 409.")
    title: _Title = ""
    description: _Text = ""
    status: Status = 2
    priority: Priority = 1
    type: _Line | None = None
    requester_email: Email | None = None
    requester_name: _Line | None = None
    assignee_email: Email | None = None
    assignee_name: _Line | None = None
    tags: Tags = Field(default_factory=list)
    custom_fields: CustomFields = Field(default_factory=dict)
    resolved_at: Moment | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.model_fields_set <= {"version"}:
            raise PydanticCustomError("nothing", "There is nothing to change.")
        return self

    def changes(self) -> dict[str, Any]:
        """Return what was named, by the names of `TicketData`."""
        found = self.model_dump(exclude_unset=True, exclude={"version"})
        if "status" in found:
            found["status_name"] = status_of(self.status)[1]
        if "tags" in found:
            found["tags"] = tuple(self.tags)
        return found


class ConversationCreate(BaseModel):
    """A message of a ticket of one's own."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"content": "재시도해도 같은 오류가 납니다."}]}
    )

    conversation_id: PlatformId | None = Field(None, description="The same again replaces it. Made by us without.")
    content: _Text = Field(description="Text or HTML.", examples=["재시도해도 같은 오류가 납니다."])
    message_type: MessageType = "public"
    author_type: AuthorType = "customer"
    author_email: Email | None = None
    author_name: _Line | None = None
    platform_created_at: Moment | None = None

    def data(self) -> ConversationData:
        values = self.model_dump()
        values["conversation_id"] = self.conversation_id or str(new_id())
        return ConversationData(**values)


class ConversationBulk(BaseModel):
    model_config = ConfigDict(extra="forbid")

    conversations: Annotated[list[ConversationCreate], Field(min_length=1, max_length=MESSAGES)]

    @model_validator(mode="after")
    def _once(self) -> Self:
        ids = [one.conversation_id for one in self.conversations if one.conversation_id is not None]
        if len(set(ids)) != len(ids):
            raise PydanticCustomError("twice", "A `conversation_id` stands in it twice.")
        return self


ConversationBody = Annotated[
    Annotated[ConversationBulk, Tag(SEVERAL)] | Annotated[ConversationCreate, Tag(ONE)], _is_bulk("conversations")
]


class TicketRead(BaseModel):
    """A ticket."""

    id: UUID
    platform: str = Field(examples=["freshdesk"])
    ticket_id: str = Field(examples=["1001"], description="The platform's.")
    version: int
    title: str
    description: str = Field(description="As it came; in lists its beginning.")
    status: int = Field(examples=[2])
    status_name: str = Field(examples=["open"])
    priority: int = Field(examples=[3])
    priority_name: str = Field(examples=["high"])
    source: int | None
    type: str | None
    requester_id: str | None
    requester_email: str | None
    requester_name: str | None
    assignee_id: str | None
    assignee_email: str | None
    assignee_name: str | None
    group_id: str | None
    customer_company_id: str | None = Field(description="The requester's company at the platform.")
    tags: list[str]
    custom_fields: dict[str, Any]
    summary: dict[str, Any] | None
    is_processed: bool = Field(description="Whether it can be found as it stands.")
    conversations: int = Field(description="How many messages it has.")
    spam: bool
    deleted: bool
    merged_into: str | None
    platform_created_at: datetime | None
    platform_updated_at: datetime | None
    resolved_at: datetime | None
    created_at: datetime = Field(description="When it was taken in.")
    updated_at: datetime

    @classmethod
    def of(cls, ticket: Ticket, *, most: int | None = None) -> Self:
        """Show a ticket, with at most so many characters of its description."""
        members = ticket_members(ticket)
        members["description"] = members["description"][:most]
        return cls(**members)


def ticket_members(ticket: Ticket) -> dict[str, Any]:
    """Return the members of a ticket on the wire."""
    data = ticket.data
    return {
        "id": ticket.id,
        "platform": ticket.platform,
        "ticket_id": data.ticket_id,
        "version": ticket.version,
        "title": data.title,
        "description": data.description,
        "status": data.status,
        "status_name": data.status_name,
        "priority": data.priority,
        "priority_name": priority_name(data.priority),
        "source": data.source,
        "type": data.type,
        "requester_id": data.requester_id,
        "requester_email": data.requester_email,
        "requester_name": data.requester_name,
        "assignee_id": data.assignee_id,
        "assignee_email": data.assignee_email,
        "assignee_name": data.assignee_name,
        "group_id": data.group_id,
        "customer_company_id": data.customer_company_id,
        "tags": list(data.tags),
        "custom_fields": dict(data.custom_fields),
        "summary": ticket.summary,
        "is_processed": ticket.is_processed,
        "conversations": ticket.conversations,
        "spam": data.spam,
        "deleted": data.deleted,
        "merged_into": data.merged_into,
        "platform_created_at": data.platform_created_at,
        "platform_updated_at": data.platform_updated_at,
        "resolved_at": data.resolved_at,
        "created_at": ticket.created_at,
        "updated_at": ticket.updated_at,
    }


_NEXT = "Ask with it for the next page; None when there is none."


class TicketList(BaseModel):
    """Tickets, the last changed at their platform first."""

    items: list[TicketRead]
    next: str | None = Field(None, description=_NEXT)
    total: int = Field(description="How many there are in all.")


class TicketStatisticsRead(BaseModel):
    """How many tickets there are; but for the last two, without spam and deleted ones."""

    total: int
    by_status: dict[str, int] = Field(examples=[{"open": 12, "resolved": 30}])
    by_priority: dict[str, int] = Field(examples=[{"low": 40, "urgent": 2}])
    processed: int
    unprocessed: int
    spam: int
    deleted: int

    @classmethod
    def of(cls, found: TicketStatistics) -> Self:
        return cls(
            total=found.total,
            by_status=dict(found.by_status),
            by_priority=dict(found.by_priority),
            processed=found.processed,
            unprocessed=found.unprocessed,
            spam=found.spam,
            deleted=found.deleted,
        )


class AttachmentLine(BaseModel):
    """A file as a message names it."""

    attachment_id: str
    name: str
    content_type: str
    size: int


class ConversationRead(BaseModel):
    """A message of a ticket."""

    id: UUID
    platform: str
    ticket: UUID
    ticket_id: str
    conversation_id: str
    content: str
    message_type: MessageType
    author_type: AuthorType
    author_id: str | None
    author_email: str | None
    author_name: str | None
    attachments: list[AttachmentLine]
    platform_created_at: datetime | None
    platform_updated_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, message: Conversation) -> Self:
        data = message.data
        return cls(
            id=message.id,
            platform=message.platform,
            ticket=message.ticket,
            ticket_id=message.ticket_id,
            conversation_id=data.conversation_id,
            content=data.content,
            message_type=data.message_type,
            author_type=data.author_type,
            author_id=data.author_id,
            author_email=data.author_email,
            author_name=data.author_name,
            attachments=[
                AttachmentLine(
                    attachment_id=file.attachment_id, name=file.name, content_type=file.content_type, size=file.size
                )
                for file in data.attachments
            ],
            platform_created_at=data.platform_created_at,
            platform_updated_at=data.platform_updated_at,
            created_at=message.created_at,
            updated_at=message.updated_at,
        )


class ConversationList(BaseModel):
    items: list[ConversationRead]
    next: str | None = Field(None, description=_NEXT)
    total: int = Field(description="How many there are in all.")


class ArticleRead(BaseModel):
    """An article of a knowledge base."""

    id: UUID
    platform: str
    article_id: str = Field(
        examples=["42", "42:en"], description="The platform's; of a translation with its language behind it."
    )
    language: str | None = Field(examples=["ko", "en", "pt-BR"], description="Null where the platform does not say.")
    translation_of: str | None = Field(description="The original's `article_id`; null for an original.")
    title: str
    description: str = Field(description="HTML.")
    audience: Audience = Field(description="Who may read it: anybody, a customer who is logged in, the desk alone.")
    published: bool
    folder_id: str | None
    category_id: str | None
    path: list[str] = Field(examples=[["결제", "환불"]])
    url: str | None
    tags: list[str]
    is_processed: bool
    platform_created_at: datetime | None
    platform_updated_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, article: Article) -> Self:
        data = article.data
        return cls(
            id=article.id,
            platform=article.platform,
            article_id=data.article_id,
            language=data.language,
            translation_of=data.translation_of,
            title=data.title,
            description=data.description,
            audience=data.audience,
            published=data.published,
            folder_id=data.folder_id,
            category_id=data.category_id,
            path=list(data.path),
            url=data.url,
            tags=list(data.tags),
            is_processed=article.is_processed,
            platform_created_at=data.platform_created_at,
            platform_updated_at=data.platform_updated_at,
            created_at=article.created_at,
            updated_at=article.updated_at,
        )


class ArticleList(BaseModel):
    items: list[ArticleRead]
    next: str | None = Field(None, description=_NEXT)
    total: int = Field(description="How many there are in all.")


class ObjectRead(BaseModel):
    """An object of a platform as it came."""

    id: UUID
    platform: str
    object_type: ObjectType
    original_id: str
    parent_id: str | None
    original_data: dict[str, Any] | None = Field(description="The platform's JSON, where it was asked for.")
    integrated_content: str = Field(description="Its text, as it can be read.")
    summary: str | None
    metadata: dict[str, Any]
    version: int
    platform_created_at: datetime | None
    platform_updated_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = Field(description="When it was found gone from its platform.")

    @classmethod
    def of(cls, kept: IntegratedObject, *, original: bool) -> Self:
        data = kept.data
        return cls(
            id=kept.id,
            platform=kept.platform,
            object_type=kept.object_type,
            original_id=data.original_id,
            parent_id=data.parent_id,
            original_data=dict(data.original_data) if original else None,
            integrated_content=data.integrated_content,
            summary=kept.summary,
            metadata=dict(data.metadata),
            version=kept.version,
            platform_created_at=data.platform_created_at,
            platform_updated_at=data.platform_updated_at,
            created_at=kept.created_at,
            updated_at=kept.updated_at,
            deleted_at=kept.deleted_at,
        )


class ObjectList(BaseModel):
    items: list[ObjectRead]
    next: str | None = Field(None, description=_NEXT)
    total: int = Field(description="How many there are in all.")

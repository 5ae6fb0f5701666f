"""What a support platform must be able to do: one implementation a platform (`freshdesk/`)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import SecretStr

from backend.dto.ticket import ArticleData, AttachmentData, ConversationData, TicketData

TicketState = Literal["live", "deleted", "spam"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountInfo:
    """Whose key it is."""

    platform: str
    domain: str
    tenant_id: str
    """The tenant that the domain's name suggests."""
    agent_id: str
    agent_email: str
    agent_name: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadItem:
    """An item of a page that cannot be read."""

    object_type: str
    original_id: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketPage:
    """Tickets in the order of their last change, the oldest first."""

    tickets: tuple[TicketData, ...]
    bad: tuple[BadItem, ...] = ()
    until: datetime | None = None
    """All that changed before this moment was given by now; a later listing may begin here (inclusive)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeTicket:
    """A ticket with all that a list leaves out."""

    ticket: TicketData
    """With its files, and the ticket that it was merged into."""
    conversations: tuple[ConversationData, ...]
    """The oldest first."""
    bad: tuple[BadItem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticlePage:
    articles: tuple[ArticleData, ...]
    bad: tuple[BadItem, ...] = ()
    """An article by its id; of the type `folder`, a part of the knowledge base that could not be seen."""


@dataclass(frozen=True, slots=True)
class Languages:
    """What an account's knowledge base is written in."""

    primary: str | None
    others: tuple[str, ...]
    """What articles may be translated to."""
    shown: frozenset[str]
    """Those of `others` that customers can choose; what is written in another one is for the desk."""


class SupportSource(Protocol):
    """One tenant's account at one platform.

    Every method may raise what the client raises: `Unauthorized` (the key is refused), `Forbidden`, `NotFound`,
    `TooMany` (after the limiter's patience), `UpstreamFailed`, `UpstreamTimeout`, `Unavailable`. None of their texts
    holds a secret or the upstream's body.
    """

    @property
    def platform(self) -> str: ...

    @property
    def requests(self) -> int:
        """How many requests were made through this source."""

    async def check(self) -> AccountInfo:
        """Prove that the key works, with one cheap call."""

    def tickets(self, since: datetime | None, *, state: TicketState = "live") -> AsyncIterator[TicketPage]:
        """Yield the tickets that changed since a moment, all of them for None, without a limit of pages."""

    async def ticket(self, ticket_id: str) -> TicketData:
        """Return one ticket as it is now. Raises NotFound when the platform has it no more."""

    async def whole(self, ticket_id: str, listed: TicketData | None = None) -> WholeTicket:
        """Return a ticket with its files and all its messages, in as few requests as the platform allows.

        A list names no files; `listed` is what it said of the ticket, which is then not asked for again. Raises
        NotFound when the platform has it no more.
        """

    async def conversations(self, ticket_id: str) -> tuple[list[ConversationData], list[BadItem]]:
        """Return all messages of a ticket, the oldest first."""

    async def languages(self) -> Languages | None:
        """Return the languages of the knowledge base; None when the key may not know them."""

    def articles(self) -> AsyncIterator[ArticlePage]:
        """Yield the knowledge base: every category, folder (nested ones too) and article, with its audience."""

    def translations(self, language: str, originals: Sequence[ArticleData]) -> AsyncIterator[ArticlePage]:
        """Yield what of some articles is translated to a language.

        Who may read a translation is the strictest of what it says itself and who may read its original.
        """

    def download(self, attachment: AttachmentData, *, ticket_id: str | None = None) -> AsyncIterator[bytes]:
        """Yield the bytes of an attachment; a link that has run out is asked for anew where `ticket_id` tells how."""

    async def add_note(self, ticket_id: str, body: str) -> str:
        """Write a private note (HTML) to a ticket and return its id. Nothing else is ever written."""

    async def close(self) -> None: ...


class Platform(Protocol):
    """A kind of support desk that can be installed."""

    @property
    def name(self) -> str:
        """As it stands in every key: `freshdesk`."""

    async def domain_of(self, text: str) -> str:
        """Return the one form of an account's domain: `acme.freshdesk.com`. Raises Invalid for what names none."""

    async def tenant_of(self, domain: str) -> str:
        """Return the tenant that a domain's name suggests; whose it is, only a key proves. Raises Invalid."""

    async def connect(
        self,
        domain: str,
        api_key: SecretStr,
        *,
        hurried: bool = False,
        on_refused: Callable[[], Awaitable[None]] | None = None,
    ) -> SupportSource:
        """Return an account, without asking it anything yet.

        `hurried` is for a person who waits: it gives up early where a collection would wait for the account's limit.
        `on_refused` is called when the platform refuses the key. Raises Invalid for what names no account.
        """

    async def close(self) -> None: ...

"""What the agents of the support desk may do: bound to one tenant and one user, handed to nodes as `context.desk`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from langchain_core.language_models import BaseChatModel

from backend.dto.desk import FeedbackKind, SimilarTickets, Summary, TicketText
from backend.dto.knowledge import Retrieval
from backend.dto.ticket import Audience


class Desk(Protocol):
    """`ticket_id` is the platform's id, or our own (a UUID in text); `platform` says which platform's."""

    async def ticket(self, ticket_id: str, platform: str | None = None) -> TicketText:
        """Return a ticket with its conversation, cleaned, personal data replaced by placeholders.

        Raises:
            TicketNotFound: no such ticket, or another tenant's.
        """

    async def summarize(self, ticket: TicketText, model: BaseChatModel, language: Literal["ko", "en"]) -> Summary:
        """Return the ticket's summary: the kept one where nothing changed, else a new one by `model`."""

    async def similar(self, ticket: TicketText, limit: int) -> SimilarTickets:
        """Return other tickets that are like this one, the most alike first."""

    async def articles(self, queries: Sequence[str], limit: int, audience: Audience) -> Retrieval:
        """Return passages of the knowledge base and the documents that `audience` may read.

        `queries` ask about one matter in several ways (`queries_of` makes them of a ticket).
        """

    async def add_note(self, ticket_id: str, body: str, *, key: str, platform: str | None = None) -> str | None:
        """Write a private note to the ticket, once a `key`; return its id at the platform.

        None: an earlier attempt may have written it, and did not live to say so.

        Raises:
            Conflict: the ticket is of no platform, or the tenant has no installation of it.
            DomainError: the platform did not take it.
        """

    async def keep_feedback(
        self,
        kind: FeedbackKind,
        *,
        key: str,
        ticket: TicketText,
        run_id: str,
        thread_id: str,
        draft: str,
        final: str | None,
        comment: str | None,
        metadata: Mapping[str, Any],
    ) -> None:
        """Keep what a person did with a draft, once a `key`."""

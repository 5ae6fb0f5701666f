"""The desk as the agents have it: `core/graph/desk.py`, bound to the tenant and the user of a run."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal, Protocol
from uuid import UUID, uuid5

from langchain_core.language_models import BaseChatModel
from sqlalchemy import Connection

from backend.core.collector.platform import SupportSource
from backend.core.error import Conflict, DomainError, InstallationNotFound, UpstreamTimeout
from backend.core.retrieval.fusion import Thresholds, rank_together
from backend.database.base import Database
from backend.dto.desk import Feedback, FeedbackKind, SimilarTickets, Summary, TicketText
from backend.dto.knowledge import READABLE, Retrieval
from backend.dto.run import Run
from backend.dto.ticket import Audience
from backend.repository.feedback import FeedbackRepository, NoteRepository
from backend.repository.ticket import TicketRepository
from backend.repository.ticket_thread import TicketThreadRepository
from backend.service.one_language import OneLanguageSearch
from backend.service.similar import SimilarService
from backend.service.ticket import OWN
from backend.service.ticket_text import read_ticket_text
from backend.util.language import language

_FEEDBACK_SPACE = UUID("8f1f1a5e-2a6c-5c0f-9c8e-6a1d0b7c1e55")
"""Of the ids of feedback that agents give: the same decision gives it once."""


# On the demo's desk (`bench/copilot.py`), whose tickets ask about one product, so what has no answer is near to one.
ARTICLES: Thresholds = {"same": 0.4, "foreign": 0.6, "foreign messages": 0.6}
"""From which evidence on a draft follows articles. A person reads every draft, and sees the sources."""


class Summaries(Protocol):
    """Keeps and makes summaries."""

    async def of_text(
        self, tenant_id: str, ticket: TicketText, model: BaseChatModel, language: Literal["ko", "en"]
    ) -> Summary:
        """Return the kept summary of this very text, or a new one by the model."""


class DeskService:
    """Makes desks."""

    def __init__(
        self,
        db: Database,
        similar: SimilarService,
        search: OneLanguageSearch,
        summaries: Summaries,
        source: Callable[[str, str], Awaitable[SupportSource]],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._db = db
        self._similar = similar
        self._search = search
        self._summaries = summaries
        self._source = source
        self._clock = clock

    def bound(self, run: Run) -> "TenantDesk":
        """Return the desk of a run's tenant, used in the name of who started it."""
        return TenantDesk(
            self._db,
            self._similar,
            self._search,
            self._summaries,
            self._source,
            self._clock,
            tenant_id=run.tenant_id,
            user_id=run.user_id,
            thread_id=run.thread_id,
        )


class TenantDesk:
    """The `Desk` of one tenant and user, for one attempt of a run.

    A ticket is read once: its placeholders then mean the same from the first node to the last, though it may change.
    """

    def __init__(
        self,
        db: Database,
        similar: SimilarService,
        search: OneLanguageSearch,
        summaries: Summaries,
        source: Callable[[str, str], Awaitable[SupportSource]],
        clock: Callable[[], datetime],
        *,
        tenant_id: str,
        user_id: str,
        thread_id: UUID,
    ) -> None:
        self._db = db
        self._similar = similar
        self._search = search
        self._summaries = summaries
        self._source = source
        self._clock = clock
        self._tenant_id = tenant_id
        self._user_id = user_id
        self._thread_id = thread_id
        self._texts: dict[str, TicketText] = {}

    async def ticket(self, ticket_id: str, platform: str | None = None) -> TicketText:
        if (known := self._texts.get(ticket_id)) is not None:
            return known
        # Before it is read: what the run makes of it stays on the thread, which has to go with the ticket.
        own_id = await self._db.write(lambda c: self._tie(c, ticket_id, platform), durable=False)
        text = await read_ticket_text(self._db, self._tenant_id, str(own_id))
        return self._texts.setdefault(str(text.ticket), text)

    def _tie(self, connection: Connection, ticket_id: str, platform: str | None) -> UUID:
        found = TicketRepository(connection, self._tenant_id).find(ticket_id, platform)
        TicketThreadRepository(connection, self._tenant_id).tie(found.id, self._thread_id)
        return found.id

    async def summarize(self, ticket: TicketText, model: BaseChatModel, language: Literal["ko", "en"]) -> Summary:
        return await self._summaries.of_text(self._tenant_id, ticket, model, language)

    async def similar(self, ticket: TicketText, limit: int) -> SimilarTickets:
        return await self._similar.answered(self._tenant_id, ticket, limit=limit)

    async def articles(self, queries: Sequence[str], limit: int, audience: Audience) -> Retrieval:
        query = "\n\n".join(queries)
        asked = language(query)
        ranker = self._search.bound(self._tenant_id, *READABLE[audience]).asked_in(asked)
        found = await rank_together(ranker, queries, ARTICLES, kind="articles")
        found = await ranker.narrowed(found, asked)  # one question may have found what another one did not
        return Retrieval(query=query, passages=found.merged(limit), evidence=found.evidence, enough=found.enough)

    async def add_note(self, ticket_id: str, body: str, *, key: str, platform: str | None = None) -> str | None:
        """Write a private note once a key.

        That it is about to be written is recorded first: a server that dies between the platform's answer and our
        record leaves a note that may be there, and it is not written a second time.
        """
        ticket = await self._db.read(lambda c: TicketRepository(c, self._tenant_id).find(ticket_id, platform))
        if ticket.platform == OWN:
            raise Conflict("The ticket is of no platform, so no note can be written to one.")
        digest = sha256(f"{ticket.id}\n{key}".encode()).hexdigest()
        notes, of, now = NoteRepository, ticket.platform, self._clock()
        try:
            source = await self._source(self._tenant_id, of)
        except InstallationNotFound as error:
            raise Conflict("The ticket's platform is no longer installed, so no note can be written.") from error
        try:
            if not await self._db.write(
                lambda c: notes(c, self._tenant_id).claim(of, digest, ticket.data.ticket_id, now)
            ):
                return await self._db.read(lambda c: notes(c, self._tenant_id).find(of, digest))
            try:
                note_id = await source.add_note(ticket.data.ticket_id, body)
            except UpstreamTimeout:
                raise  # it may be there
            except DomainError:
                await self._db.write(lambda c: notes(c, self._tenant_id).release(of, digest))
                raise
            await self._db.write(lambda c: notes(c, self._tenant_id).written(of, digest, note_id))
            return note_id
        finally:
            await source.close()

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
        feedback = Feedback(
            feedback_id=uuid5(_FEEDBACK_SPACE, f"{self._tenant_id}\n{key}"),
            tenant_id=self._tenant_id,
            user_id=self._user_id,
            kind=kind,
            platform=ticket.platform,
            ticket_id=ticket.ticket_id,
            run_id=UUID(run_id),
            thread_id=UUID(thread_id),
            draft=draft,
            final=final,
            comment=comment,
            created_at=self._clock(),
            metadata=metadata,
        )
        await self._db.write(lambda c: FeedbackRepository(c, self._tenant_id).add(feedback))

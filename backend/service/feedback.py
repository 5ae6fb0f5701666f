"""What people did with drafts and answers, kept for whoever wants to make the next ones better."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from backend.database.base import Database
from backend.dto.desk import Feedback, FeedbackKind
from backend.dto.principal import Principal
from backend.repository.feedback import FeedbackRepository
from backend.repository.run import RunRepository
from backend.util.id_generator import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Feedback as a person gives it."""

    kind: FeedbackKind
    draft: str
    final: str | None = None
    comment: str | None = None
    ticket_id: str | None = None
    platform: str | None = None
    run_id: UUID | None = None


class FeedbackService:
    def __init__(self, db: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._db = db
        self._clock = clock

    async def add(self, principal: Principal, given: Given) -> Feedback:
        """Keep feedback about a draft or an answer.

        Raises:
            RunNotFound: it names a run that is not there, or another tenant's.
        """
        now = self._clock()

        def add(runs: RunRepository, every: FeedbackRepository) -> Feedback:
            thread_id = None if given.run_id is None else runs.get(given.run_id).thread_id
            feedback = Feedback(
                feedback_id=new_id(),
                tenant_id=principal.tenant_id,
                user_id=principal.user_id,
                kind=given.kind,
                platform=given.platform,
                ticket_id=given.ticket_id,
                run_id=given.run_id,
                thread_id=thread_id,
                draft=given.draft,
                final=given.final,
                comment=given.comment,
                created_at=now,
            )
            every.add(feedback)
            return feedback

        tenant = principal.tenant_id
        return await self._db.write(lambda c: add(RunRepository(c, tenant), FeedbackRepository(c, tenant)))

    async def list(
        self,
        principal: Principal,
        *,
        limit: int,
        before: tuple[datetime, UUID] | None = None,
        ticket_id: str | None = None,
        kind: FeedbackKind | None = None,
    ) -> tuple[list[Feedback], Mapping[str, int]]:
        """Return feedback, the newest first, and how much there is of each kind."""

        def read(every: FeedbackRepository) -> tuple[list[Feedback], Mapping[str, int]]:
            found = every.list(limit=limit, before=before, ticket_id=ticket_id, kind=kind)
            return found, every.counts(ticket_id=ticket_id, kind=kind)

        return await self._db.read(lambda c: read(FeedbackRepository(c, principal.tenant_id)))

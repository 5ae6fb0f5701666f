"""All SQL of which threads hold what an agent read of a ticket."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, insert, literal, or_, select

from backend.core.error import TicketNotFound
from backend.database.model import RunRow, ThreadRow, TicketRow, TicketThreadRow, WebhookDeliveryRow, table_of
from backend.repository.scope import AcrossTenants, Scoped
from backend.repository.upsert import insert_into

_ties, _tickets, _threads = table_of(TicketThreadRow), table_of(TicketRow), table_of(ThreadRow)
_runs, _deliveries = table_of(RunRow), table_of(WebhookDeliveryRow)
_of_tie = (_tickets.c.tenant_id == _ties.c.tenant_id) & (_tickets.c.id == _ties.c.ticket)


class TicketThreadRepository(Scoped):
    """The threads of one tenant on which tickets were read."""

    def tie(self, ticket: UUID, thread_id: UUID) -> None:
        """Keep that a ticket is about to be read on a thread; of a thread that has no row nothing is left anyway.

        The ticket's row is locked meanwhile: either it is seen here that it was deleted, or whoever deletes it sees
        the tie.

        Raises:
            TicketNotFound: it is gone, or deleted at its platform.
        """
        c = _tickets.c
        live = select(c.id).where(c.tenant_id == self._tenant_id, c.id == ticket, c.deleted.is_(False))
        if self._connection.scalar(live.with_for_update(read=True)) is None:
            raise TicketNotFound(ticket)
        row = select(_threads.c.tenant_id, _threads.c.thread_id, literal(ticket, _ties.c.ticket.type)).where(
            _threads.c.tenant_id == self._tenant_id, _threads.c.thread_id == thread_id
        )
        statement = insert_into(self._connection, _ties).from_select(["tenant_id", "thread_id", "ticket"], row)
        # Nodes that run side by side may read the same ticket, and both be the first.
        self._connection.execute(statement.on_conflict_do_nothing())

    def copy(self, source: UUID, target: UUID) -> None:
        """Tie to a thread what is tied to the one that it is a copy of."""
        row = select(_ties.c.tenant_id, literal(target, _ties.c.thread_id.type), _ties.c.ticket).where(
            _ties.c.tenant_id == self._tenant_id, _ties.c.thread_id == source
        )
        self._connection.execute(insert(_ties).from_select(["tenant_id", "thread_id", "ticket"], row))

    def of_gone(self, limit: int) -> list[UUID]:
        """Return threads on which a ticket was read that is gone, or deleted at its platform."""
        query = _without_ticket(select(_ties.c.thread_id)).where(_ties.c.tenant_id == self._tenant_id)
        return list(self._connection.scalars(query.distinct().limit(limit)))

    def drop_deliveries(self, threads: Collection[UUID]) -> None:
        """Remove what was still to be told of runs on these threads: it holds what they left."""
        runs = select(_runs.c.run_id).where(_runs.c.tenant_id == self._tenant_id, _runs.c.thread_id.in_(threads))
        mine = (_deliveries.c.tenant_id == self._tenant_id) & _deliveries.c.run_id.in_(runs)
        self._connection.execute(delete(_deliveries).where(mine))


class AllTicketThreads(AcrossTenants):
    """The ties of every tenant: only for the sweeper."""

    def tenants(self) -> list[str]:
        """Return the tenants that have threads whose ticket is gone."""
        return list(self._connection.scalars(_without_ticket(select(_ties.c.tenant_id)).distinct()))


def _without_ticket[T: tuple[object, ...]](query: Select[T]) -> Select[T]:
    gone: ColumnElement[bool] = or_(_tickets.c.id.is_(None), _tickets.c.deleted.is_(True))
    return query.select_from(_ties.outerjoin(_tickets, _of_tie)).where(gone)

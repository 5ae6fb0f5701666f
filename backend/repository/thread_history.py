"""SQL of a thread's runs as a subscriber reads them: from the first whose events are kept."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, exists, or_, select

from backend.core.error import ThreadNotFound
from backend.database.model import RunEventRow, RunRow, table_of
from backend.dto.run import Run
from backend.repository.run import RunRepository
from backend.repository.scope import Scoped
from backend.repository.thread import ThreadRepository
from backend.util.containment import Filters

_runs = table_of(RunRow)
_events = table_of(RunEventRow)


class ThreadHistory(Scoped):
    """The runs of one thread of a tenant; one that is not there, is `hidden`, or does not pass `only`, has none."""

    def __init__(
        self, connection: Connection, tenant_id: str, thread_id: UUID, only: Filters = None, hidden: Sequence[str] = ()
    ) -> None:
        super().__init__(connection, tenant_id)
        self._thread_id = thread_id
        self._only = only
        self._hidden = hidden

    @property
    def is_hidden(self) -> bool:
        """Whether the thread is there, but for who may not see its graph."""
        if not self._hidden or ThreadRepository(self._connection, self._tenant_id).find(self._thread_id) is None:
            return False
        return ThreadRepository(self._connection, self._tenant_id, self._hidden).find(self._thread_id) is None

    @property
    def is_there(self) -> bool:
        try:
            ThreadRepository(self._connection, self._tenant_id, self._hidden).get(self._thread_id, only=self._only)
        except ThreadNotFound:
            return False
        return True

    def after(self, run_id: UUID, *, limit: int) -> list[Run]:
        """Return the runs behind `run_id` that have not ended, or of which events are kept; oldest first."""
        if not self.is_there:
            return []
        kept = exists().where(_events.c.run_id == _runs.c.run_id)
        query = (
            select(_runs.c.run_id)
            .where(
                _runs.c.tenant_id == self._tenant_id,
                _runs.c.thread_id == self._thread_id,
                _runs.c.run_id > run_id,
                or_(_runs.c.ended_at.is_(None), kept),
            )
            .order_by(_runs.c.run_id)
            .limit(limit)
        )
        runs = RunRepository(self._connection, self._tenant_id)
        return [runs.get(found) for found in self._connection.scalars(query)]

    def newest(self) -> Run | None:
        """Return the thread's last run."""
        if not self.is_there:
            return None
        return next(iter(RunRepository(self._connection, self._tenant_id).list(self._thread_id, limit=1)), None)

"""All SQL of what was decided for the runs of a thread."""

from uuid import UUID

from sqlalchemy import bindparam, insert, select

from backend.database.model import ThreadPriorityRow, table_of
from backend.dto.priority import PrioritySettings
from backend.repository.scope import Scoped

_settings = table_of(ThreadPriorityRow)
_of_thread = select(_settings.c.priority, _settings.c.fairness).where(
    _settings.c.tenant_id == bindparam("tenant"), _settings.c.thread_id == bindparam("thread")
)


class ThreadPriorityRepository(Scoped):
    def find(self, thread_id: UUID) -> PrioritySettings | None:
        """Return what was decided for a thread; None when nothing was yet."""
        row = self._connection.execute(_of_thread, {"tenant": self._tenant_id, "thread": thread_id}).one_or_none()
        return None if row is None else PrioritySettings(row.priority, row.fairness)

    def keep(self, thread_id: UUID, settings: PrioritySettings) -> PrioritySettings:
        """Keep what was decided for a thread that is new or locked; return what holds: the first to come."""
        found = self.find(thread_id)
        if found is not None:
            return found
        self._connection.execute(
            insert(_settings).values(
                tenant_id=self._tenant_id,
                thread_id=thread_id,
                priority=settings.priority,
                fairness=settings.fairness,
            )
        )
        return settings

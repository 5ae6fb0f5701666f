"""All SQL of run events: batches in, events out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, insert, or_, select

from backend.database.model import RunEventRow, RunRow, table_of
from backend.database.prepared import Prepared
from backend.dto.event import Cursor, Event
from backend.repository.scope import AcrossTenants, Scoped

_events = table_of(RunEventRow)
_runs = table_of(RunRow)
_insert = Prepared(insert(_events))


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Consecutive events of one attempt of a run."""

    run_id: UUID
    attempt: int
    seq: int
    """The first event's."""
    events: Sequence[Event]


class RunEventRepository(Scoped):
    """The events of one tenant's runs."""

    def add(self, batch: EventBatch) -> None:
        """Keep a batch as a part of the unit of work that made sure of its attempt."""
        _insert.run(self._connection, _row(batch))

    def after(self, run_id: UUID, cursor: Cursor) -> list[Event]:
        """Return the kept events of a run behind `cursor`, in order."""
        query = (
            select(_events)
            .join(_runs, _runs.c.run_id == _events.c.run_id)
            .where(
                _events.c.run_id == run_id,
                _runs.c.tenant_id == self._tenant_id,
                or_(
                    _events.c.attempt > cursor.attempt,
                    # a batch that begins at or before the cursor may reach beyond it
                    (_events.c.attempt == cursor.attempt) & (_events.c.seq + _events.c["count"] > cursor.seq),
                ),
            )
            .order_by(_events.c.attempt, _events.c.seq)
        )
        found: list[Event] = []
        for row in self._connection.execute(query):
            for offset, line in enumerate(bytes(row.data).split(b"\n")):
                name, _, data = line.partition(b" ")
                at = Cursor(row.attempt, row.seq + offset)
                if at > cursor:
                    found.append(Event(at, name.decode(), data))
        return found

    def last(self, run_id: UUID) -> Cursor | None:
        """Return where the last kept event of a run is."""
        query = (
            select(_events.c.attempt, _events.c.seq + _events.c["count"] - 1)
            .join(_runs, _runs.c.run_id == _events.c.run_id)
            .where(_events.c.run_id == run_id, _runs.c.tenant_id == self._tenant_id)
            .order_by(_events.c.attempt.desc(), _events.c.seq.desc())
            .limit(1)
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else Cursor(*row)


class AllRunEvents(AcrossTenants):
    """The events of every tenant: only for the event log, which writes those of many runs in one transaction."""

    def append(self, batches: Sequence[EventBatch]) -> None:
        """Keep batches whose attempt is still the current one; a fenced attempt's are dropped."""
        ids = {batch.run_id for batch in batches}
        # Locked where others write at the same moment: the events of many runs must not fail because one is deleted.
        query = select(_runs.c.run_id, _runs.c.attempt).where(_runs.c.run_id.in_(ids))
        query = query.with_for_update(read=True, key_share=True)
        current = {(run_id, attempt) for run_id, attempt in self._connection.execute(query)}
        kept = [batch for batch in batches if (batch.run_id, batch.attempt) in current]
        if kept:
            _insert.run(self._connection, [_row(batch) for batch in kept])

    def trim(self, run_id: UUID, attempt: int, before: int) -> None:
        """Drop the batches of an attempt that end before the event `before`."""
        self._connection.execute(
            delete(_events).where(
                _events.c.run_id == run_id,
                _events.c.attempt == attempt,
                _events.c.seq + _events.c["count"] <= before,
            )
        )

    def expire(self, before: datetime, limit: int = 500) -> int:
        """Drop the events of some runs that ended before a moment; return how many runs."""
        ended = (
            select(_runs.c.run_id)
            .where(_runs.c.ended_at < before, _runs.c.run_id.in_(select(_events.c.run_id)))
            .limit(limit)
        )
        ids = list(self._connection.scalars(ended))
        if ids:
            self._connection.execute(delete(_events).where(_events.c.run_id.in_(ids)))
        return len(ids)


def _row(batch: EventBatch) -> dict[str, object]:
    return {
        "run_id": batch.run_id,
        "attempt": batch.attempt,
        "seq": batch.seq,
        "count": len(batch.events),
        "data": b"\n".join(b"%s %s" % (event.name.encode(), event.data) for event in batch.events),
    }

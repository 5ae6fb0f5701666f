"""All SQL of runs. A change of status is one UPDATE with the status it starts from; its row count says who won."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from backend.core.error import Fenced, RunNotFound
from backend.database.model import RunRow, table_of
from backend.database.prepared import Prepared
from backend.dto.run import ACTIVE, CancelAction, Run, RunRequest, RunStatus
from backend.repository.scope import AcrossTenants, Scoped

_runs = table_of(RunRow)
_one = (_runs.c.tenant_id == bindparam("tenant")) & (_runs.c.run_id == bindparam("run"))
_on_thread = (_runs.c.tenant_id == bindparam("tenant")) & (_runs.c.thread_id == bindparam("thread"))
_select = select(_runs).where(_one)
_lock = _select.with_for_update()
_active = select(_runs).where(_on_thread, _runs.c.status.in_(ACTIVE))
_queued = select(_runs).where(_on_thread, _runs.c.status == "queued").order_by(_runs.c.run_id)
_promote = update(_runs).where(_one, _runs.c.status == "queued").values(status="pending")
_claim = (
    update(_runs)
    .where(_one, _runs.c.status == "pending")
    .values(status="running", attempt=_runs.c.attempt + 1, updated_at=bindparam("now"))
    .returning(_runs)
)
_insert = Prepared(insert(_runs))
_finish = Prepared(
    update(_runs)
    .where(_one, _runs.c.status == "running", _runs.c.attempt == bindparam("of"))
    .values(status=bindparam("to"), result=bindparam("outcome"), updated_at=bindparam("now"), ended_at=bindparam("now"))
    .returning(_runs.c.cancel_action)
)
_waits = Prepared(select(1).where(_on_thread, _runs.c.status == "queued").limit(1))
_due = or_(_runs.c.start_at.is_(None), _runs.c.start_at <= bindparam("now"))


class RunRepository(Scoped):
    """The runs of one tenant."""

    def __init__(self, connection: Connection, tenant_id: str, hidden: Sequence[str] = ()) -> None:
        """Bind the tenant; runs of the graphs `hidden` (`Principal.hidden`) are neither got nor listed."""
        super().__init__(connection, tenant_id)
        self._hidden = hidden

    def insert(self, run: Run, idempotency_key: str | None, idempotency_hash: bytes | None) -> None:
        _insert.run(
            self._connection,
            {
                "run_id": run.run_id,
                "tenant_id": self._tenant_id,
                "thread_id": run.thread_id,
                "user_id": run.user_id,
                "status": run.status,
                "attempt": run.attempt,
                "losses": 0,
                "request": run.request,
                "cancel_action": None,
                "cancel_reason": None,
                "idempotency_key": idempotency_key,
                "idempotency_hash": idempotency_hash,
                "result": None,
                "created_at": run.created_at,
                "updated_at": run.updated_at,
                "ended_at": None,
                "start_at": run.start_at,
            },
        )

    def get(self, run_id: UUID, *, lock: bool = False) -> Run:
        """Return a run.

        Raises:
            RunNotFound: no such run, another tenant's, or a hidden one.
        """
        row = self._connection.execute(
            _lock if lock else _select, {"tenant": self._tenant_id, "run": run_id}
        ).one_or_none()
        if row is None or not (found := self._shown([row])):
            raise RunNotFound(run_id)
        return found[0]

    def after(self, thread_id: UUID, run_id: UUID | None, *, limit: int) -> list[Run]:
        """Return the thread's runs from `run_id` on (with it), oldest first; without it, those that have not ended."""
        query = select(_runs).where(_on_thread)
        query = query.where(_runs.c.ended_at.is_(None)) if run_id is None else query.where(_runs.c.run_id >= run_id)
        query = query.order_by(_runs.c.run_id).limit(limit)
        return self._shown(self._connection.execute(query, self._thread(thread_id)))

    def active(self, thread_id: UUID) -> Run | None:
        """Return the thread's pending or running run."""
        row = self._connection.execute(_active, self._thread(thread_id)).one_or_none()
        return None if row is None else _run(row)

    def queued(self, thread_id: UUID) -> list[Run]:
        """Return the thread's queued runs in their order."""
        return [_run(row) for row in self._connection.execute(_queued, self._thread(thread_id))]

    def find_by_key(self, key: str) -> tuple[Run, bytes] | None:
        """Return the run that was made with an idempotency key, and the hash of what was asked."""
        row = self._connection.execute(
            select(_runs).where(_runs.c.tenant_id == self._tenant_id, _runs.c.idempotency_key == key)
        ).one_or_none()
        return None if row is None else (_run(row), row.idempotency_hash)

    def forget_key(self, run_id: UUID) -> None:
        self._update(run_id, idempotency_key=None, idempotency_hash=None)

    def waits(self, thread_id: UUID) -> bool:
        """Return whether the thread has queued runs."""
        return bool(_waits.run(self._connection, self._thread(thread_id)))

    def promote(self, thread_id: UUID, now: datetime) -> Run | None:
        """Make the thread's next queued run pending and return it; one that is to begin later is none."""
        row = self._connection.execute(
            _queued.where(_due).limit(1), {**self._thread(thread_id), "now": now}
        ).one_or_none()
        if row is None:
            return None
        self._connection.execute(_promote, {"tenant": self._tenant_id, "run": row.run_id})
        return _run(row)

    def claim(self, run_id: UUID, now: datetime) -> Run | None:
        """Begin a pending run as a new attempt; None when it is not pending any more."""
        row = self._connection.execute(_claim, {"tenant": self._tenant_id, "run": run_id, "now": now}).one_or_none()
        return None if row is None else _run(row)

    def demote(self, run_id: UUID, now: datetime) -> None:
        """Let a pending run wait again, as a queued one; it keeps its place."""
        self._connection.execute(
            update(_runs).where(_one, _runs.c.status == "pending").values(status="queued", updated_at=now),
            {"tenant": self._tenant_id, "run": run_id},
        )

    def finish(
        self, run_id: UUID, attempt: int, status: RunStatus, result: dict[str, Any] | orjson.Fragment, now: datetime
    ) -> CancelAction | None:
        """End a running run; return how it had been asked to stop, if it had. `result` may be JSON already.

        Raises:
            Fenced: this attempt is no longer the current one, or the run has ended.
        """
        rows = _finish.run(
            self._connection,
            {"tenant": self._tenant_id, "run": run_id, "of": attempt, "to": status, "outcome": result, "now": now},
        )
        if not rows:
            raise Fenced(run_id, attempt)
        action: CancelAction | None = rows[0][0]
        return action

    def end_waiting(
        self, run_id: UUID, status: RunStatus, result: dict[str, Any], now: datetime, reason: str | None = None
    ) -> None:
        """End a run that is queued or pending."""
        self._update(run_id, status=status, result=result, cancel_reason=reason, updated_at=now, ended_at=now)

    def request_cancel(self, run_id: UUID, action: CancelAction, now: datetime, reason: str | None = None) -> None:
        self._update(run_id, cancel_action=action, cancel_reason=reason, updated_at=now)

    def release(self, run_id: UUID, attempt: int, now: datetime) -> bool:
        """Give a running run back, to be begun again; whether this attempt still held it."""
        done = self._connection.execute(
            update(_runs)
            .where(_one, _runs.c.status == "running", _runs.c.attempt == attempt)
            .values(status="pending", updated_at=now),
            {"tenant": self._tenant_id, "run": run_id},
        )
        return done.rowcount == 1

    def delete(self, run_id: UUID) -> None:
        """Remove a run and its events."""
        self._connection.execute(delete(_runs).where(_one), {"tenant": self._tenant_id, "run": run_id})

    def _update(self, run_id: UUID, **values: Any) -> None:
        self._connection.execute(update(_runs).where(_one).values(**values), {"tenant": self._tenant_id, "run": run_id})

    def _shown(self, rows: Iterable[Row[Any]]) -> list[Run]:
        runs = [_run(row) for row in rows]
        return [run for run in runs if run.request.agent not in self._hidden] if self._hidden else runs

    def _thread(self, thread_id: UUID) -> dict[str, Any]:
        return {"tenant": self._tenant_id, "thread": thread_id}

    def of(self, run_ids: Sequence[UUID]) -> list[Run]:
        """Return those of the runs that there are."""
        query = select(_runs).where(_runs.c.tenant_id == self._tenant_id, _runs.c.run_id.in_(run_ids))
        return self._shown(self._connection.execute(query.order_by(_runs.c.run_id)))

    def of_assistant(self, assistant_id: UUID) -> list[Run]:
        """Return the runs of an assistant that have not ended, oldest first."""
        query = select(_runs).where(_runs.c.tenant_id == self._tenant_id, _runs.c.ended_at.is_(None))
        found = (_run(row) for row in self._connection.execute(query.order_by(_runs.c.run_id)))
        return [run for run in found if run.request.assistant_id == str(assistant_id)]

    def unfinished(self, statuses: Sequence[RunStatus], *, limit: int) -> list[Run]:
        """Return the tenant's runs in these statuses, oldest first."""
        query = select(_runs).where(_runs.c.tenant_id == self._tenant_id, _runs.c.status.in_(statuses))
        return self._shown(self._connection.execute(query.order_by(_runs.c.run_id).limit(limit)))

    def list(
        self,
        thread_id: UUID,
        *,
        limit: int,
        offset: int = 0,
        before: UUID | None = None,
        statuses: Sequence[RunStatus] = (),
    ) -> list[Run]:
        """Return the thread's runs, newest first, from behind `before` on; only those in `statuses`, if any."""
        query = select(_runs).where(_on_thread)
        if before is not None:
            query = query.where(_runs.c.run_id < before)
        if statuses:
            query = query.where(_runs.c.status.in_(statuses))
        query = query.order_by(_runs.c.run_id.desc()).limit(limit).offset(offset)
        return self._shown(self._connection.execute(query, self._thread(thread_id)))


class AllRuns(AcrossTenants):
    """The runs of every tenant: only for the worker, which takes up what a dead server left, and for its sweeper."""

    def lost(self) -> Sequence[tuple[Run, int]]:
        """Return the runs that are running by the table, each with how often it was lost before."""
        rows = self._connection.execute(select(_runs).where(_runs.c.status == "running").order_by(_runs.c.run_id))
        return [(_run(row), row.losses) for row in rows]

    def lose(self, run_ids: Sequence[UUID]) -> None:
        """Make running runs pending again and count the loss."""
        for at in range(0, len(run_ids), 500):
            self._connection.execute(
                update(_runs)
                .where(_runs.c.run_id.in_(run_ids[at : at + 500]), _runs.c.status == "running")
                .values(status="pending", losses=_runs.c.losses + 1)
            )

    def in_status(self, status: RunStatus) -> list[Run]:
        rows = self._connection.execute(select(_runs).where(_runs.c.status == status).order_by(_runs.c.run_id))
        return [_run(row) for row in rows]

    def forget_keys(self, before: datetime) -> None:
        """Forget the idempotency keys of runs made before a moment."""
        self._connection.execute(
            update(_runs)
            .where(_runs.c.created_at < before, _runs.c.idempotency_key.is_not(None))
            .values(idempotency_key=None, idempotency_hash=None)
        )

    def load(self) -> tuple[dict[str, int], datetime | None]:
        """Return how many runs are in each status that is not an end, and since when the oldest waits for a place."""
        oldest = select(func.min(_runs.c.created_at)).where(_runs.c.status == "pending")
        return self.count(), self._connection.scalar(oldest)

    def count(self) -> dict[str, int]:
        """Return how many runs are in each status that is not an end."""
        query = select(_runs.c.status, func.count()).where(_runs.c.ended_at.is_(None)).group_by(_runs.c.status)
        return dict(self._connection.execute(query).tuples().all())


def _run(row: Row[Any]) -> Run:
    return Run(
        run_id=row.run_id,
        thread_id=row.thread_id,
        tenant_id=row.tenant_id,
        user_id=row.user_id,
        status=row.status,
        attempt=row.attempt,
        request=RunRequest(**row.request),
        cancel_action=row.cancel_action,
        result=row.result,
        created_at=row.created_at,
        updated_at=row.updated_at,
        start_at=row.start_at,
        ended_at=row.ended_at,
        cancel_reason=row.cancel_reason,
    )

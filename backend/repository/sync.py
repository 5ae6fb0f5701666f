"""All SQL of collecting from platforms: jobs, what failed, cursors. The tenant is bound once.

Whatever a job writes names the attempt that it is. The first thing its transaction does is to look whether that is
still the current one (`hold`), so that of two that believe to be at work only one can write (Kleppmann, "How to do
distributed locking", 2016).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, and_, case, delete, exists, func, null, or_, select, update

from backend.core.error import Conflict, Fenced, JobNotFound, SyncActive
from backend.database.model import (
    InstallationRow,
    SyncCursorRow,
    SyncIssueRow,
    SyncJobRow,
    SyncSeenRow,
    TenantRow,
    TicketRow,
    table_of,
)
from backend.dto.sync import SyncCounts, SyncCursor, SyncIssue, SyncJob, SyncStage, SyncStatus
from backend.repository.scope import AcrossTenants, Scoped
from backend.repository.upsert import insert_into

_jobs = table_of(SyncJobRow)
_issues = table_of(SyncIssueRow)
_cursors = table_of(SyncCursorRow)
_seen = table_of(SyncSeenRow)
_tickets = table_of(TicketRow)
_installations = table_of(InstallationRow)
_tenants = table_of(TenantRow)
_job, _issue, _cursor = _jobs.c, _issues.c, _cursors.c
_ACTIVE = ("pending", "running", "paused")
_collecting = and_(_job.status.in_(_ACTIVE), _job.kind != "ticket")
_COUNTS = tuple(field.name for field in fields(SyncCounts))
_RESUMABLE = ("paused", "error")

Wanted = Literal["pause", "cancel"]


@dataclass(frozen=True, slots=True)
class SyncTask:
    """A job as the attempt that does its work sees it."""

    job: SyncJob
    state: dict[str, Any]
    """Where an earlier attempt had come to."""


class SyncRepository(Scoped):
    """The collecting of one tenant."""

    def insert(self, job: SyncJob, user_id: str) -> None:
        """Add a job that waits.

        Raises:
            SyncActive: another one of the platform has not ended; it is named.
        """
        values = {
            "tenant_id": self._tenant_id,
            "job_id": job.job_id,
            "platform": job.platform,
            "kind": job.kind,
            "status": "pending",
            "wanted": None,
            "stage": job.stage,
            "counts": {},
            "options": dict(job.options),
            "state": {},
            "attempt": 0,
            "user_id": user_id,
            "created_at": job.created_at,
            "updated_at": job.updated_at,
        }
        # The index over what is active decides, not a look before.
        done = self._connection.execute(self._upsert(_jobs).values(values).on_conflict_do_nothing())
        if done.rowcount != 1:
            raise SyncActive(self._active_id(job.platform))

    def add_tickets(self, job: SyncJob, user_id: str, limit: int) -> tuple[UUID, bool]:
        """Let single tickets be read again by the job that waits to do that, or else by this one.

        `job.options` has `ticket_ids` and `deleted`; at most `limit` of both go into one job. Returns the job's id, and
        whether it is new.
        """
        query = (
            select(_job.job_id, _job.options)
            .where(self._mine, _job.platform == job.platform, _job.kind == "ticket", _job.status == "pending")
            .order_by(_job.job_id.desc())
            .limit(1)
            .with_for_update()
        )
        waiting = self._connection.execute(query).one_or_none()
        if waiting is not None:
            options = {
                name: sorted({*waiting.options.get(name, ()), *job.options.get(name, ())})
                for name in ("ticket_ids", "deleted")
            }
            if sum(map(len, options.values())) <= limit:
                done = self._connection.execute(
                    update(_jobs)
                    .where(self._one(waiting.job_id), _job.status == "pending")
                    .values(options=options, updated_at=job.updated_at)
                )
                if done.rowcount:
                    return waiting.job_id, False
        self.insert(job, user_id)
        return job.job_id, True

    def get(self, job_id: UUID) -> SyncJob:
        """Return a job.

        Raises:
            JobNotFound: no such job, or another tenant's.
        """
        row = self._connection.execute(select(_jobs).where(self._one(job_id))).one_or_none()
        if row is None:
            raise JobNotFound(job_id)
        return _sync_job(row)

    def page(self, *, platform: str | None = None, limit: int, before: UUID | None = None) -> list[SyncJob]:
        """Return jobs, the newest first, from behind `before` on (ids sort by time)."""
        query = select(_jobs).where(self._mine)
        if platform is not None:
            query = query.where(_job.platform == platform)
        if before is not None:
            query = query.where(_job.job_id < before)
        return [_sync_job(row) for row in self._connection.execute(query.order_by(_job.job_id.desc()).limit(limit))]

    def active(self, platform: str | None = None) -> list[UUID]:
        """Return the jobs that have not ended, the oldest first, however many came after them."""
        query = select(_job.job_id).where(self._mine, _job.status.in_(_ACTIVE))
        if platform is not None:
            query = query.where(_job.platform == platform)
        return list(self._connection.execute(query.order_by(_job.job_id)).scalars())

    def count(self, platform: str | None = None) -> int:
        query = select(func.count()).select_from(_jobs).where(self._mine)
        if platform is not None:
            query = query.where(_job.platform == platform)
        return self._connection.scalar(query) or 0

    def last(self, platform: str, before: UUID | None = None) -> SyncJob | None:
        """Return the newest job of a platform that was not for single tickets, or the newest before another job."""
        query = select(_jobs).where(self._mine, _job.platform == platform, _job.kind != "ticket")
        if before is not None:
            query = query.where(_job.job_id < before)
        row = self._connection.execute(query.order_by(_job.job_id.desc()).limit(1)).one_or_none()
        return None if row is None else _sync_job(row)

    def begin(self, job_id: UUID, seen: int, now: datetime) -> SyncTask | None:
        """Make a job running as the next attempt, if `seen` is still its attempt.

        None when another server was quicker, when it does not wait, or when its pause or end was asked for, which it
        then is.
        """
        current = and_(self._one(job_id), _job.attempt == seen, _job.status.in_(("pending", "running")))
        stopped = case((_job.wanted == "pause", "paused"), else_="cancelled")
        self._connection.execute(
            update(_jobs)
            .where(current, _job.wanted.is_not(None))
            .values(
                status=stopped,
                ended_at=case((_job.wanted == "pause", null()), else_=now),
                wanted=None,
                attempt=_job.attempt + 1,
                updated_at=now,
            )
        )
        done = self._connection.execute(
            update(_jobs)
            .where(current, _job.wanted.is_(None))
            .values(status="running", attempt=_job.attempt + 1, updated_at=now)
        )
        if done.rowcount != 1:
            return None
        row = self._connection.execute(select(_jobs).where(self._one(job_id))).one()
        return SyncTask(_sync_job(row), dict(row.state))

    def hold(self, job_id: UUID, attempt: int) -> None:
        """Make sure that this attempt is the current one until the transaction ends.

        Raises:
            Fenced: another one has taken over, or the job is no longer running.
        """
        query = select(_job.attempt).where(self._one(job_id), _job.attempt == attempt, _job.status == "running")
        if self._connection.execute(query.with_for_update()).one_or_none() is None:
            raise Fenced(job_id, attempt)

    def advance(
        self,
        job_id: UUID,
        attempt: int,
        now: datetime,
        *,
        add: SyncCounts | None = None,
        stage: SyncStage | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> Wanted | None:
        """Record what this attempt has done, and that it lives; return what somebody wants of it.

        Raises:
            Fenced: this attempt is no longer the current one.
        """
        self.hold(job_id, attempt)
        values: dict[str, Any] = {"updated_at": now}
        if add is not None:
            counts = self._connection.execute(select(_job.counts).where(self._one(job_id))).scalar_one()
            values["counts"] = {name: counts.get(name, 0) + getattr(add, name) for name in _COUNTS}
        if stage is not None:
            values["stage"] = stage
        if state is not None:
            values["state"] = dict(state)
        query = update(_jobs).where(self._one(job_id)).values(values).returning(_job.wanted)
        wanted: Wanted | None = self._connection.execute(query).scalar_one()
        return wanted

    def settle(
        self,
        job_id: UUID,
        attempt: int,
        status: SyncStatus,
        now: datetime,
        error: str | None = None,
    ) -> SyncJob:
        """End this attempt, and with it the job unless it only pauses.

        One that was to pause, and was told to go on before it did, waits (`pending`); if its end was asked for since,
        it has ended.

        Raises:
            Fenced: this attempt is no longer the current one.
        """
        self.hold(job_id, attempt)
        if status == "paused":
            wanted = self.get(job_id).wanted
            status = "paused" if wanted == "pause" else "pending" if wanted is None else "cancelled"
        ended = status not in {"paused", "pending"}
        self._connection.execute(
            update(_jobs)
            .where(self._one(job_id))
            .values(status=status, error=error, wanted=None, ended_at=now if ended else None, updated_at=now)
        )
        if status in {"success", "cancelled"}:
            self._forget_seen(job_id)
        return self.get(job_id)

    def want(self, job_id: UUID, wanted: Wanted, now: datetime) -> SyncJob:
        """Ask for a job's pause or end. One that waits, or is paused, has it at once; an ended one stays so.

        Raises:
            JobNotFound: no such job, or another tenant's.
            Conflict: its pause is wanted, and it has ended or is about to.
        """
        status = "paused" if wanted == "pause" else "cancelled"
        idle = ("pending",) if wanted == "pause" else ("pending", "paused")
        done = self._connection.execute(
            update(_jobs)
            .where(self._one(job_id), _job.status.in_(idle))
            .values(
                status=status,
                wanted=None,
                attempt=_job.attempt + 1,  # so that nobody who was about to begin it does
                ended_at=now if wanted == "cancel" else None,
                updated_at=now,
            )
        )
        if done.rowcount == 0:
            # Who asked for its end does not get a pause.
            self._connection.execute(
                update(_jobs)
                .where(self._one(job_id), _job.status == "running")
                .where(or_(_job.wanted.is_(None), _job.wanted != "cancel"))
                .values(wanted=wanted, updated_at=now)
            )
        elif wanted == "cancel":
            self._forget_seen(job_id)
        job = self.get(job_id)
        if wanted == "pause" and (job.ended or job.wanted == "cancel"):
            raise _ended(job)
        return job

    def resume(self, job_id: UUID, now: datetime) -> SyncJob:
        """Let a job go on that is paused, is about to be, or was stopped by an error.

        Raises:
            JobNotFound: no such job, or another tenant's.
            Conflict: it has come to its end, or was cancelled.
            SyncActive: it had failed, and another one has begun since.
        """
        job = self.get(job_id)
        if job.status in {"success", "cancelled"} or job.wanted == "cancel":
            raise _ended(job)
        if job.status == "error" and job.kind != "ticket":
            active = self._active_id(job.platform)
            if active is not None:
                raise SyncActive(active)
        self._connection.execute(
            update(_jobs)
            .where(self._one(job_id), _job.status.in_(_RESUMABLE))
            .values(status="pending", error=None, ended_at=None, updated_at=now)
        )
        self._connection.execute(
            update(_jobs)
            .where(self._one(job_id), _job.status == "running", _job.wanted == "pause")
            .values(wanted=None, updated_at=now)
        )
        return self.get(job_id)

    def report(self, job_id: UUID, issues: Iterable[SyncIssue]) -> int:
        """Record items that could not be taken in, the last reason of each; return how many had none before."""
        added = 0
        for issue in issues:
            values = {
                "tenant_id": self._tenant_id,
                "job_id": job_id,
                "object_type": issue.object_type[:16],
                "original_id": issue.original_id[:64],
                "code": issue.code[:63],
                "reason": issue.reason,
                "created_at": issue.created_at,
            }
            done = self._connection.execute(self._upsert(_issues).values(values).on_conflict_do_nothing())
            if done.rowcount == 1:
                added += 1
            else:
                self._connection.execute(
                    update(_issues)
                    .where(
                        self._issues_of(job_id),
                        _issue.object_type == values["object_type"],
                        _issue.original_id == values["original_id"],
                    )
                    .values(code=values["code"], reason=issue.reason)
                )
        return added

    def solve(self, job_id: UUID, object_type: str, original_ids: Sequence[str]) -> int:
        """Drop what a job reported of items that it has taken in since; return how many those were."""
        if not original_ids:
            return 0
        done = self._connection.execute(
            delete(_issues).where(
                self._issues_of(job_id), _issue.object_type == object_type, _issue.original_id.in_(original_ids)
            )
        )
        return done.rowcount

    def issues(
        self, job_id: UUID, *, limit: int, after: tuple[str, str] | None = None, object_type: str | None = None
    ) -> list[SyncIssue]:
        """Return what could not be taken in by kind and id, from behind `after` on."""
        query = select(_issues).where(self._issues_of(job_id))
        if object_type is not None:
            query = query.where(_issue.object_type == object_type)
        if after is not None:
            kind, original = after
            query = query.where(
                or_(_issue.object_type > kind, and_(_issue.object_type == kind, _issue.original_id > original))
            )
        rows = self._connection.execute(query.order_by(_issue.object_type, _issue.original_id).limit(limit))
        return [
            SyncIssue(
                object_type=row.object_type,
                original_id=row.original_id,
                code=row.code,
                reason=row.reason,
                created_at=row.created_at,
            )
            for row in rows
        ]

    def count_issues(self, job_id: UUID) -> int:
        query = select(func.count()).select_from(_issues).where(self._issues_of(job_id))
        return self._connection.scalar(query) or 0

    def unread(self, job: SyncJob, limit: int, behind: str = "") -> list[str]:
        """Return tickets, in the order of their ids, that this job could not take in, nor those since the one before.

        Whatever fails again is then this job's, so that nothing that failed is ever lost sight of.
        """
        before = self.last(job.platform, job.job_id)
        jobs = select(_job.job_id).where(self._mine, _job.platform == job.platform, _job.job_id <= job.job_id)
        if before is not None:
            jobs = jobs.where(_job.job_id >= before.job_id)
        query = (
            select(_issue.original_id)
            .where(_issue.tenant_id == self._tenant_id, _issue.object_type == "ticket", _issue.original_id > behind)
            .where(_issue.job_id.in_(jobs))
            .distinct()
            .order_by(_issue.original_id)
            .limit(limit)
        )
        return list(self._connection.execute(query).scalars())

    def cursor(self, platform: str, object_type: str) -> SyncCursor | None:
        query = select(_cursors).where(
            _cursor.tenant_id == self._tenant_id, _cursor.platform == platform, _cursor.object_type == object_type
        )
        row = self._connection.execute(query).one_or_none()
        return None if row is None else _sync_cursor(row)

    def cursors(self, platform: str | None = None) -> list[SyncCursor]:
        query = select(_cursors).where(_cursor.tenant_id == self._tenant_id)
        if platform is not None:
            query = query.where(_cursor.platform == platform)
        rows = self._connection.execute(query.order_by(_cursor.platform, _cursor.object_type))
        return [_sync_cursor(row) for row in rows]

    def move_cursor(
        self,
        platform: str,
        object_type: str,
        until: datetime | None,
        now: datetime,
        *,
        complete: bool = False,
        seen: bool = True,
    ) -> None:
        """Move a cursor on; it never goes back, and what was complete once stays so.

        Without `seen` its moment (`updated_at`) stays: not all was looked at.
        """
        statement = self._upsert(_cursors).values(
            tenant_id=self._tenant_id,
            platform=platform,
            object_type=object_type,
            updated_since=until,
            complete=complete,
            updated_at=now,
        )
        new = statement.excluded
        later = or_(_cursor.updated_since.is_(None), new.updated_since > _cursor.updated_since)
        self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=[_cursor.tenant_id, _cursor.platform, _cursor.object_type],
                set_={
                    "updated_since": case((later, new.updated_since), else_=_cursor.updated_since),
                    "complete": or_(_cursor.complete, new.complete),
                    "updated_at": new.updated_at if seen else _cursor.updated_at,
                },
                where=_cursor.tenant_id == self._tenant_id,
            )
        )

    def keep_cursors(self, platform: str, prefix: str, object_types: Sequence[str]) -> None:
        """Forget the cursors whose kind begins with a prefix, but for these."""
        self._connection.execute(
            delete(_cursors).where(
                _cursor.tenant_id == self._tenant_id,
                _cursor.platform == platform,
                _cursor.object_type.startswith(prefix, autoescape=True),
                _cursor.object_type.not_in(object_types),
            )
        )

    def forget_cursors(self, platform: str) -> None:
        """Let the next collection read everything: what was collected is no longer here."""
        self._connection.execute(
            delete(_cursors).where(_cursor.tenant_id == self._tenant_id, _cursor.platform == platform)
        )

    def purge(self, platform: str) -> None:
        """Forget a platform's cursors and jobs, with what these could not take in."""
        self.forget_cursors(platform)
        self._connection.execute(delete(_jobs).where(_job.tenant_id == self._tenant_id, _job.platform == platform))

    def meet(self, job_id: UUID, ticket_ids: Iterable[str]) -> int:
        """Remember that a full collection has met these tickets; return how many it had not met before."""
        rows = [{"tenant_id": self._tenant_id, "job_id": job_id, "original_id": each} for each in ticket_ids]
        if not rows:
            return 0
        query = self._upsert(_seen).values(rows).on_conflict_do_nothing().returning(_seen.c.original_id)
        return len(self._connection.execute(query).all())

    def unmet(self, job_id: UUID, platform: str, limit: int) -> list[str]:
        """Return tickets that are here and that a full collection has not met."""
        met = exists().where(
            _seen.c.tenant_id == self._tenant_id, _seen.c.job_id == job_id, _seen.c.original_id == _tickets.c.ticket_id
        )
        query = (
            select(_tickets.c.ticket_id)
            .where(
                _tickets.c.tenant_id == self._tenant_id,
                _tickets.c.platform == platform,
                _tickets.c.deleted.is_(False),
                _tickets.c.spam.is_(False),
                ~met,
            )
            .order_by(_tickets.c.ticket_id)
            .limit(limit)
        )
        return list(self._connection.execute(query).scalars())

    def platforms(self) -> list[str]:
        """Return the platforms that were ever collected from, or are installed."""
        collected = select(_job.platform).where(self._mine)
        installed = select(_installations.c.platform).where(_installations.c.tenant_id == self._tenant_id)
        return sorted(self._connection.execute(collected.union(installed)).scalars())

    @property
    def _mine(self) -> Any:
        return _job.tenant_id == self._tenant_id

    def _one(self, job_id: UUID) -> Any:
        return and_(_job.tenant_id == self._tenant_id, _job.job_id == job_id)

    def _issues_of(self, job_id: UUID) -> Any:
        return and_(_issue.tenant_id == self._tenant_id, _issue.job_id == job_id)

    def _active_id(self, platform: str) -> UUID | None:
        query = select(_job.job_id).where(self._mine, _job.platform == platform, _collecting)
        return self._connection.execute(query.limit(1)).scalar_one_or_none()

    def _forget_seen(self, job_id: UUID) -> None:
        self._connection.execute(delete(_seen).where(_seen.c.tenant_id == self._tenant_id, _seen.c.job_id == job_id))

    def _upsert(self, table: Any) -> Any:
        return insert_into(self._connection, table)


class AllSyncJobs(AcrossTenants):
    """The collecting of every tenant: only for the worker, which takes up what a dead server left, and the schedule."""

    def left(self, before: datetime | None = None) -> list[tuple[str, UUID]]:
        """Return tenant and id of jobs that should be at work, the oldest first; those that gave no sign since."""
        query = select(_job.tenant_id, _job.job_id).where(_job.status.in_(("pending", "running")))
        if before is not None:
            query = query.where(_job.updated_at < before)
        return [(tenant_id, job_id) for tenant_id, job_id in self._connection.execute(query.order_by(_job.job_id))]

    def due(self, before: datetime) -> list[tuple[str, str, bool]]:
        """Return tenant and platform of working installations that no job has collected from since a moment.

        The third is whether a collection ever came to its end.
        """
        recent = exists().where(
            _job.tenant_id == _installations.c.tenant_id,
            _job.platform == _installations.c.platform,
            _job.kind != "ticket",
            or_(_job.status.in_(_ACTIVE), _job.updated_at >= before),
        )
        complete = exists().where(
            _cursor.tenant_id == _installations.c.tenant_id,
            _cursor.platform == _installations.c.platform,
            _cursor.object_type == "ticket",
            _cursor.complete.is_(True),
        )
        query = (
            select(_installations.c.tenant_id, _installations.c.platform, complete)
            .join(_tenants, _tenants.c.tenant_id == _installations.c.tenant_id)
            .where(_installations.c.status == "installed", _tenants.c.status == "active", ~recent)
            .order_by(_installations.c.tenant_id, _installations.c.platform)
        )
        return [(tenant_id, platform, whole) for tenant_id, platform, whole in self._connection.execute(query)]

    def expire(self, before: datetime) -> int:
        """Drop the jobs that ended before a moment, but the last of each platform, whose failures are tried again."""
        newer = _jobs.alias()
        later = exists().where(
            newer.c.tenant_id == _job.tenant_id,
            newer.c.platform == _job.platform,
            newer.c.kind != "ticket",
            newer.c.job_id > _job.job_id,
        )
        done = self._connection.execute(
            delete(_jobs).where(_job.status.not_in(_ACTIVE), _job.updated_at < before, later)
        )
        return done.rowcount


def _ended(job: SyncJob) -> Conflict:
    status = "is being cancelled" if job.wanted == "cancel" and not job.ended else f"has ended ({job.status})"
    return Conflict(f"Job {job.job_id} {status}.", job_id=str(job.job_id), status=job.status)


def _sync_job(row: Row[Any]) -> SyncJob:
    return SyncJob(
        job_id=row.job_id,
        tenant_id=row.tenant_id,
        platform=row.platform,
        kind=row.kind,
        status=row.status,
        stage=row.stage,
        counts=SyncCounts(**{name: row.counts.get(name, 0) for name in _COUNTS}),
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        error=row.error,
        options=row.options,
        attempt=row.attempt,
        wanted=row.wanted,
    )


def _sync_cursor(row: Row[Any]) -> SyncCursor:
    return SyncCursor(
        platform=row.platform,
        object_type=row.object_type,
        updated_since=row.updated_since,
        complete=row.complete,
        updated_at=row.updated_at,
    )

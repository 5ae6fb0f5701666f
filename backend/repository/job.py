"""All SQL of ingestion jobs. The tenant is bound once, so that no statement can forget it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, Table, bindparam, case, delete, func, insert, select, update

from backend.core.error import JobNotFound
from backend.database.model import JobFileRow, JobRow
from backend.dto.knowledge import FileReport, Job, JobKind, JobStatus
from backend.repository.scope import AcrossTenants, Scoped

_jobs = cast(Table, JobRow.__table__)
_files = cast(Table, JobFileRow.__table__)
_one = (_jobs.c.tenant_id == bindparam("tenant")) & (_jobs.c.job_id == bindparam("job"))
_of_job = (_files.c.tenant_id == bindparam("tenant")) & (_files.c.job_id == bindparam("job"))
_ACTIVE = ("pending", "running")
_CHUNK = 500
"""Rows inserted by one statement."""


@dataclass(frozen=True, slots=True)
class JobFile:
    """One file that a job is to take in."""

    source: str
    path: str | None = None
    content: dict[str, Any] | None = None
    """The document itself, where there is no file: `title`, `text`, `url`, `metadata`."""
    position: int = 0


class JobRepository(Scoped):
    """The jobs of one tenant."""

    def insert(self, job: Job, user_id: str, files: Sequence[JobFile]) -> None:
        """Add a job with its files, which get their positions in order."""
        self._connection.execute(
            insert(_jobs),
            {
                "tenant_id": self._tenant_id,
                "job_id": job.job_id,
                "user_id": user_id,
                "kind": job.kind,
                "status": job.status,
                "cancelled": False,
                "total": len(files),
                "done": 0,
                "failed": 0,
                "chunks": 0,
                "metadata": job.metadata,
                "created_at": job.created_at,
                "updated_at": job.updated_at,
            },
        )
        rows = [
            {
                "tenant_id": self._tenant_id,
                "job_id": job.job_id,
                "position": position,
                "source": file.source,
                "path": file.path,
                "content": file.content,
                "chunks": 0,
            }
            for position, file in enumerate(files)
        ]
        for at in range(0, len(rows), _CHUNK):
            self._connection.execute(insert(_files), rows[at : at + _CHUNK])

    def get(self, job_id: UUID, *, after: int = 0, limit: int = 1000) -> Job:
        """Return a job with the reports of the files that ended behind the first `after` ones, at most `limit`.

        Raises:
            JobNotFound: no such job, or another tenant's.
        """
        row = self._connection.execute(select(_jobs).where(_one), self._key(job_id)).one_or_none()
        if row is None:
            raise JobNotFound(job_id)
        query = select(_files).where(_of_job, _files.c.finished > after).order_by(_files.c.finished).limit(limit)
        return _job(row, tuple(_report(file) for file in self._connection.execute(query, self._key(job_id))))

    def list(self, *, limit: int, before: UUID | None = None) -> list[Job]:
        """Return jobs without their reports, the newest first, from behind `before` on (ids sort by time)."""
        query = select(_jobs).where(_jobs.c.tenant_id == self._tenant_id)
        if before is not None:
            query = query.where(_jobs.c.job_id < before)
        return [_job(row) for row in self._connection.execute(query.order_by(_jobs.c.job_id.desc()).limit(limit))]

    def count_active(self) -> int:
        query = select(func.count()).where(_jobs.c.tenant_id == self._tenant_id, _jobs.c.status.in_(_ACTIVE))
        return self._connection.scalar(query) or 0

    def exists(self, kind: JobKind, version: str) -> bool:
        """Whether there was ever a job of this kind whose metadata names this version."""
        query = select(_jobs.c.job_id).where(
            _jobs.c.tenant_id == self._tenant_id,
            _jobs.c.kind == kind,
            _jobs.c.metadata["version"].as_string() == version,
        )
        return self._connection.execute(query.limit(1)).first() is not None

    def begin(self, job_id: UUID, now: datetime) -> bool:
        """Make a job running; False when it has ended or somebody asked for its end."""
        done = self._connection.execute(
            update(_jobs)
            .where(_one, _jobs.c.status.in_(_ACTIVE), _jobs.c.cancelled.is_(False))
            .values(status="running", updated_at=now),
            self._key(job_id),
        )
        return done.rowcount == 1

    def left(self, job_id: UUID, *, limit: int, behind: int = -1) -> Sequence[JobFile]:
        """Return files without an outcome in their order, from behind the position `behind` on."""
        query = (
            select(_files)
            .where(_of_job, _files.c.outcome.is_(None), _files.c.position > behind)
            .order_by(_files.c.position)
            .limit(limit)
        )
        rows = self._connection.execute(query, self._key(job_id))
        return [JobFile(row.source, row.path, row.content, row.position) for row in rows]

    def report(self, job_id: UUID, position: int, report: FileReport, now: datetime) -> bool:
        """Record what became of a file, once; return whether the job goes on (nobody asked for its end)."""
        failed = 1 if report.outcome == "failed" else 0
        done = self._connection.execute(
            update(_files)
            .where(_of_job, _files.c.position == position, _files.c.outcome.is_(None))
            .values(
                outcome=report.outcome,
                chunks=report.chunks,
                code=report.code,
                reason=report.reason,
                reason_ko=report.reason_ko,
                content=None,
                finished=select(_jobs.c.done + 1).where(_one).scalar_subquery(),
            ),
            self._key(job_id),
        )
        if done.rowcount:
            self._connection.execute(
                update(_jobs)
                .where(_one)
                .values(
                    done=_jobs.c.done + 1,
                    failed=_jobs.c.failed + failed,
                    chunks=_jobs.c.chunks + report.chunks,
                    updated_at=now,
                ),
                self._key(job_id),
            )
        query = select(_jobs.c.cancelled).where(_one)
        return self._connection.scalar(query, self._key(job_id)) is False

    def finish(self, job_id: UUID, now: datetime, error: str | None = None) -> Job:
        """End a job, once: as `error`, as `cancelled` when that was asked for and files are left, else as `success`."""
        status: Any = "error"
        if error is None:
            stopped = _jobs.c.cancelled.is_(True) & (_jobs.c.done < _jobs.c.total)
            status = case((stopped, "cancelled"), else_="success")
        self._connection.execute(
            update(_jobs).where(_one, _jobs.c.status.in_(_ACTIVE)).values(status=status, error=error, updated_at=now),
            self._key(job_id),
        )
        return self.get(job_id, limit=0)

    def cancel(self, job_id: UUID, now: datetime) -> Job:
        """Ask for a job's end; nothing happens to one that has ended.

        Raises:
            JobNotFound: no such job, or another tenant's.
        """
        self._connection.execute(
            update(_jobs).where(_one, _jobs.c.status.in_(_ACTIVE)).values(cancelled=True, updated_at=now),
            self._key(job_id),
        )
        return self.get(job_id, limit=0)

    def _key(self, job_id: UUID) -> dict[str, Any]:
        return {"tenant": self._tenant_id, "job": job_id}


class AllJobs(AcrossTenants):
    """The jobs of every tenant: only for the worker, which takes up what a dead server left, and for its sweeper."""

    def active(self) -> list[tuple[str, UUID]]:
        """Return tenant and id of each job that has not ended, the oldest first."""
        query = select(_jobs.c.tenant_id, _jobs.c.job_id).where(_jobs.c.status.in_(_ACTIVE)).order_by(_jobs.c.job_id)
        return [(tenant_id, job_id) for tenant_id, job_id in self._connection.execute(query)]

    def expire(self, before: datetime) -> int:
        """Drop the jobs that ended before a moment, but for samples: they say what need not be loaded again."""
        done = self._connection.execute(
            delete(_jobs).where(_jobs.c.updated_at < before, _jobs.c.status.not_in(_ACTIVE), _jobs.c.kind != "sample")
        )
        return done.rowcount


def _job(row: Row[Any], reports: tuple[FileReport, ...] = ()) -> Job:
    status: JobStatus = row.status
    return Job(
        job_id=row.job_id,
        tenant_id=row.tenant_id,
        status=status,
        total=row.total,
        done=row.done,
        failed=row.failed,
        chunks=row.chunks,
        reports=reports,
        created_at=row.created_at,
        updated_at=row.updated_at,
        error=row.error,
        metadata=row.metadata,
        kind=row.kind,
    )


def _report(row: Row[Any]) -> FileReport:
    return FileReport(
        source=row.source,
        outcome=row.outcome,
        reason=row.reason,
        chunks=row.chunks,
        code=row.code,
        reason_ko=row.reason_ko,
    )

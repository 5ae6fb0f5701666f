"""The rows of ingestion jobs, on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from backend.core.error import JobNotFound
from backend.database.base import Database
from backend.dto.knowledge import FileReport, Job
from backend.repository.job import AllJobs, JobFile, JobRepository
from backend.util.id_generator import new_id

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)


class Jobs:
    """One tenant's jobs, a transaction a call."""

    def __init__(self, database: Database, tenant_id: str = "alpha") -> None:
        self._database = database
        self._tenant_id = tenant_id

    async def make(self, files: int = 3, **values: Any) -> UUID:
        job = Job(new_id(), self._tenant_id, "pending", files, 0, 0, 0, (), NOW, NOW, **values)
        rows = [JobFile(f"{number}.md", f"/tmp/{number}", position=number) for number in range(files)]
        await self._database.write(lambda c: JobRepository(c, self._tenant_id).insert(job, "kim", rows))
        return job.job_id

    async def do(self, name: str, *args: Any, **values: Any) -> Any:
        return await self._database.write(lambda c: getattr(JobRepository(c, self._tenant_id), name)(*args, **values))


def report(position: int, outcome: Any = "added", **values: Any) -> FileReport:
    return FileReport(f"{position}.md", outcome, chunks=0 if outcome == "failed" else 4, **values)


async def test_a_job_counts_each_file_once_and_ends_once(database: Database) -> None:
    jobs = Jobs(database)
    job_id = await jobs.make()
    assert await jobs.do("begin", job_id, NOW)
    failure = report(2, "failed", reason="Empty.", code="empty", reason_ko="비었습니다.")
    for _ in range(2):  # the second time is the job after a kill
        assert await jobs.do("report", job_id, 0, report(0), NOW)
        assert await jobs.do("report", job_id, 2, failure, NOW)
    assert [file.position for file in await jobs.do("left", job_id, limit=10)] == [1]
    assert await jobs.do("report", job_id, 1, report(1), NOW)
    ended = await jobs.do("finish", job_id, NOW)
    again = await jobs.do("finish", job_id, NOW, "too late")
    assert (again.status, again.error) == (ended.status, None) == ("success", None)
    job = await jobs.do("get", job_id)
    assert (job.total, job.done, job.failed, job.chunks) == (3, 3, 1, 8)
    assert job.reports == (report(0), failure, report(1))
    assert (await jobs.do("get", job_id, after=1, limit=1)).reports == (failure,)
    assert not await jobs.do("begin", job_id, NOW)


async def test_what_is_left_comes_in_pages_with_what_it_needs(database: Database) -> None:
    jobs = Jobs(database)
    job_id = await jobs.make(files=5)
    first = await jobs.do("left", job_id, limit=3)
    rest = await jobs.do("left", job_id, limit=3, behind=first[-1].position)
    assert [(file.source, file.path, file.content) for file in (*first, *rest)] == [
        (f"{number}.md", f"/tmp/{number}", None) for number in range(5)
    ]


async def test_a_cancelled_job_does_not_begin_and_ends_as_cancelled(database: Database) -> None:
    jobs = Jobs(database)
    job_id = await jobs.make()
    await jobs.do("begin", job_id, NOW)
    assert (await jobs.do("cancel", job_id, NOW)).status == "running"
    assert not await jobs.do("report", job_id, 0, report(0), NOW)
    assert not await jobs.do("begin", job_id, NOW)
    assert (await jobs.do("finish", job_id, NOW)).status == "cancelled"
    assert (await jobs.do("cancel", job_id, NOW)).status == "cancelled"


async def test_a_cancel_that_comes_when_all_is_done_changes_nothing(database: Database) -> None:
    jobs = Jobs(database)
    job_id = await jobs.make(files=1)
    await jobs.do("begin", job_id, NOW)
    await jobs.do("report", job_id, 0, report(0), NOW)
    await jobs.do("cancel", job_id, NOW)
    assert (await jobs.do("finish", job_id, NOW)).status == "success"


async def test_another_tenants_job_is_not_found(database: Database) -> None:
    job_id = await Jobs(database).make()
    foreign = Jobs(database, "beta")
    for name, args in (("get", (job_id,)), ("cancel", (job_id, NOW)), ("finish", (job_id, NOW))):
        with pytest.raises(JobNotFound):
            await foreign.do(name, *args)
    assert not await foreign.do("begin", job_id, NOW)
    assert await foreign.do("left", job_id, limit=9) == []
    assert await foreign.do("list", limit=9) == []
    assert await foreign.do("count_active") == 0
    assert (await Jobs(database).do("get", job_id)).status == "pending"


async def test_jobs_are_listed_the_newest_first_in_pages(database: Database) -> None:
    jobs = Jobs(database)
    made = sorted([await jobs.make(files=1) for _ in range(3)], reverse=True)
    first = await jobs.do("list", limit=2)
    rest = await jobs.do("list", limit=2, before=first[-1].job_id)
    assert [job.job_id for job in (*first, *rest)] == made


async def test_the_versions_of_a_sample_are_remembered(database: Database) -> None:
    jobs = Jobs(database)
    await jobs.make(kind="sample", metadata={"version": "one"})
    assert await jobs.do("exists", "sample", "one")
    assert not await jobs.do("exists", "sample", "two")
    assert not await jobs.do("exists", "upload", "one")
    assert not await Jobs(database, "beta").do("exists", "sample", "one")


async def test_active_jobs_of_all_tenants_are_found_and_old_ones_forgotten(database: Database) -> None:
    alpha, beta = Jobs(database), Jobs(database, "beta")
    active = [("alpha", await alpha.make()), ("beta", await beta.make())]
    ended, sample = await alpha.make(), await alpha.make(kind="sample", metadata={"version": "one"})
    for job_id in (ended, sample):
        await alpha.do("finish", job_id, NOW)
    assert await database.read(lambda c: AllJobs(c).active()) == sorted(active, key=lambda job: job[1])
    assert await database.write(lambda c: AllJobs(c).expire(NOW)) == 0
    assert await database.write(lambda c: AllJobs(c).expire(NOW + timedelta(days=1))) == 1
    with pytest.raises(JobNotFound):
        await alpha.do("get", ended)
    assert (await alpha.do("get", sample)).status == "success"

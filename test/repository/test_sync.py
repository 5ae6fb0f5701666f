"""The rows of collections, on both databases (000-64, 002-26, I-3)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from backend.core.error import Conflict, Fenced, JobNotFound, SyncActive
from backend.database.base import Database
from backend.dto.sync import SyncCounts, SyncIssue, SyncJob, SyncKind
from backend.dto.ticket import TicketData
from backend.repository.sync import AllSyncJobs, SyncRepository
from backend.repository.ticket import TicketRepository
from backend.util.id_generator import new_id

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


class Syncs:
    """One tenant's collecting, a transaction a call."""

    def __init__(self, database: Database, tenant_id: str = "acme") -> None:
        self._database = database
        self._tenant_id = tenant_id

    async def do(self, name: str, *args: Any, **values: Any) -> Any:
        return await self._database.write(lambda c: getattr(SyncRepository(c, self._tenant_id), name)(*args, **values))

    def new(self, kind: SyncKind = "full", **options: Any) -> SyncJob:
        return SyncJob(
            job_id=new_id(),
            tenant_id=self._tenant_id,
            platform="freshdesk",
            kind=kind,
            status="pending",
            stage="tickets",
            counts=SyncCounts(),
            created_at=NOW,
            updated_at=NOW,
            options=options,
        )

    async def make(self, kind: SyncKind = "full", **options: Any) -> UUID:
        job = self.new(kind, **options)
        await self.do("insert", job, "kim")
        return job.job_id


async def test_a_platform_has_one_collection_at_a_time(database: Database) -> None:
    syncs = Syncs(database)
    job_id = await syncs.make()
    with pytest.raises(SyncActive) as refused:
        await syncs.make("incremental")
    assert refused.value.members["job_id"] == str(job_id)
    await syncs.make("ticket", ticket_ids=["1"])
    await Syncs(database, "globex").make()
    with pytest.raises(JobNotFound):
        await Syncs(database, "globex").do("get", job_id)
    await syncs.do("want", job_id, "cancel", LATER)
    await syncs.make("incremental")


async def test_only_the_current_attempt_writes(database: Database) -> None:
    syncs = Syncs(database)
    job_id = await syncs.make()
    task = await syncs.do("begin", job_id, 0, NOW)
    assert (task.job.attempt, task.job.status, task.state) == (1, "running", {})
    assert await syncs.do("begin", job_id, 0, NOW) is None
    add = SyncCounts(tickets=10, requests=3)
    assert await syncs.do("advance", job_id, 1, LATER, add=add, state={"ticket": "x"}) is None
    again = await syncs.do("begin", job_id, 1, LATER)
    assert (again.job.attempt, again.state, again.job.counts) == (2, {"ticket": "x"}, add)
    for name, rest in (("advance", ()), ("settle", ("success",))):
        with pytest.raises(Fenced):
            await syncs.do(name, job_id, 1, *([LATER] if name == "advance" else [*rest, LATER]))
    await syncs.do("advance", job_id, 2, LATER, add=SyncCounts(tickets=5, failed=1), stage="articles")
    job = await syncs.do("settle", job_id, 2, "success", LATER)
    assert (job.status, job.ended_at, job.stage) == ("success", LATER, "articles")
    assert (job.counts.tickets, job.counts.requests, job.counts.failed) == (15, 3, 1)
    with pytest.raises(Fenced):  # it ends once
        await syncs.do("settle", job_id, 2, "error", LATER, "too late")


async def test_what_is_asked_of_a_job_is_done_once(database: Database) -> None:
    syncs = Syncs(database)
    job_id = await syncs.make()
    assert (await syncs.do("want", job_id, "pause", NOW)).status == "paused"
    assert await syncs.do("begin", job_id, 0, NOW) is None  # who was about to begin it does not
    assert (await syncs.do("resume", job_id, NOW)).status == "pending"
    attempt = (await syncs.do("begin", job_id, 1, NOW)).job.attempt
    assert (await syncs.do("want", job_id, "pause", NOW)).wanted == "pause"
    assert (await syncs.do("resume", job_id, NOW)).wanted is None
    # It had seen the wish before that was taken back.
    assert (await syncs.do("settle", job_id, attempt, "paused", NOW)).status == "pending"
    attempt = (await syncs.do("begin", job_id, attempt, NOW)).job.attempt
    await syncs.do("want", job_id, "cancel", NOW)
    for wish in (("want", job_id, "pause", NOW), ("resume", job_id, NOW)):
        with pytest.raises(Conflict):
            await syncs.do(*wish)
    assert (await syncs.do("want", job_id, "cancel", NOW)).wanted == "cancel"
    assert await syncs.do("begin", job_id, attempt, LATER) is None  # a server took it up; its end was asked for
    job = await syncs.do("get", job_id)
    assert (job.status, job.ended_at) == ("cancelled", LATER)


async def test_a_job_that_failed_goes_on_unless_another_has_begun(database: Database) -> None:
    syncs = Syncs(database)
    job_id = await syncs.make()
    await syncs.do("begin", job_id, 0, NOW)
    await syncs.do("settle", job_id, 1, "error", NOW, "The platform failed.")
    other = await syncs.make("incremental")
    with pytest.raises(SyncActive):
        await syncs.do("resume", job_id, LATER)
    await syncs.do("want", other, "cancel", LATER)
    job = await syncs.do("resume", job_id, LATER)
    assert (job.status, job.error, job.ended_at) == ("pending", None, None)


async def test_tickets_join_the_job_that_waits(database: Database) -> None:
    syncs = Syncs(database)
    first, new = await syncs.do("add_tickets", syncs.new("ticket", ticket_ids=["2"], deleted=[]), "system", 4)
    assert new
    for ids in (["1", "2"], ["3"]):
        job = syncs.new("ticket", ticket_ids=ids, deleted=["9"])
        assert await syncs.do("add_tickets", job, "system", 4) == (first, False)
    assert (await syncs.do("get", first)).options == {"ticket_ids": ["1", "2", "3"], "deleted": ["9"]}
    second, new = await syncs.do("add_tickets", syncs.new("ticket", ticket_ids=["4"]), "system", 4)
    assert new
    await syncs.do("begin", second, 0, NOW)
    third, new = await syncs.do("add_tickets", syncs.new("ticket", ticket_ids=["4"]), "system", 9)
    assert (third, new) == (first, False)  # what is at work has read its tickets already


async def test_cursors_only_go_on(database: Database) -> None:
    syncs = Syncs(database)
    for until, complete in ((LATER, True), (NOW, False), (None, False)):
        await syncs.do("move_cursor", "freshdesk", "ticket", until, NOW, complete=complete)
    cursor = await syncs.do("cursor", "freshdesk", "ticket")
    assert (cursor.updated_since, cursor.complete) == (LATER, True)
    assert await Syncs(database, "globex").do("cursors") == []
    await syncs.do("forget_cursors", "freshdesk")
    assert await syncs.do("cursors") == []


async def test_what_a_full_collection_has_not_met_is_found(database: Database) -> None:
    syncs = Syncs(database)
    tickets = [
        TicketData(ticket_id=str(n), title="t", description="d", status=2, status_name="open", priority=1, spam=n == 5)
        for n in range(1, 6)
    ]
    await database.write(lambda c: TicketRepository(c, "acme").put("freshdesk", tickets, NOW))
    job_id = await syncs.make()
    await syncs.do("begin", job_id, 0, NOW)
    assert (await syncs.do("meet", job_id, ["1", "2"]), await syncs.do("meet", job_id, ["2", "7"])) == (2, 1)
    assert await syncs.do("unmet", job_id, "freshdesk", 10) == ["3", "4"]
    await syncs.do("settle", job_id, 1, "success", NOW)
    assert await syncs.do("unmet", job_id, "freshdesk", 10) == ["1", "2", "3", "4"]  # it is forgotten then


async def test_what_failed_since_the_collection_before_is_read_again(database: Database) -> None:
    syncs = Syncs(database)

    def issue(original_id: str, reason: str = "r") -> SyncIssue:
        return SyncIssue(object_type="ticket", original_id=original_id, code="c", reason=reason, created_at=NOW)

    jobs = []
    for kind, failed in (("full", "0"), ("full", "1"), ("ticket", "2"), ("incremental", "3")):
        job_id = await syncs.make(kind)  # type: ignore[arg-type]
        await syncs.do("begin", job_id, 0, NOW)
        assert await syncs.do("report", job_id, [issue(failed), issue(failed, "again")]) == 1
        await syncs.do("settle", job_id, 1, "success", NOW)
        jobs.append(await syncs.do("get", job_id))
    assert await syncs.do("unread", jobs[-1], 10) == ["1", "2", "3"]
    assert await syncs.do("unread", jobs[-1], 1, "1") == ["2"]
    assert [each.reason for each in await syncs.do("issues", jobs[0].job_id, limit=5)] == ["again"]
    assert await syncs.do("solve", jobs[-1].job_id, "ticket", ["3", "4"]) == 1
    assert await syncs.do("solve", jobs[-1].job_id, "ticket", []) == 0


async def test_old_jobs_go_but_the_last_of_a_platform_stays(database: Database) -> None:
    syncs = Syncs(database)
    jobs = []
    for _ in range(3):
        jobs.append(await syncs.make())
        await syncs.do("begin", jobs[-1], 0, NOW)
        await syncs.do("settle", jobs[-1], 1, "success", NOW)
    assert await database.write(lambda c: AllSyncJobs(c).expire(LATER)) == 2
    assert [job.job_id for job in await syncs.do("page", limit=5)] == jobs[-1:]
    left = replace(syncs.new(), updated_at=LATER)
    await syncs.do("insert", left, "kim")
    assert await database.write(lambda c: AllSyncJobs(c).left(LATER)) == []
    assert await database.write(lambda c: AllSyncJobs(c).left()) == [("acme", left.job_id)]

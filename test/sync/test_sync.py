"""Collecting from a desk: what is here afterwards is what is there (000-22, 000-25, 000-64, I-3)."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest
from sqlalchemy import Connection

from backend.core.collector.platform import BadItem
from backend.core.error import (
    Conflict,
    DomainError,
    Forbidden,
    InstallationNotFound,
    Invalid,
    JobNotFound,
    SyncActive,
    Unauthorized,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)
from backend.database.base import Database
from backend.database.model import InstallationRow, TenantRow, table_of
from backend.dto.principal import Principal
from backend.dto.sync import SyncJob
from backend.repository.sync import AllSyncJobs, SyncRepository
from backend.service.platform_removal import PlatformRemoval
from backend.util.clock import utc_now
from backend.util.id_generator import new_id
from test.sync.desk import KIM, PAGE, Desk, Office, open_database, open_office


async def test_a_first_collection_brings_tickets_messages_articles_and_files(office: Office):
    """(000-22, 000-25)"""
    office.desk.fill(25)
    for number in range(12):
        office.desk.publish(number)
    job = await office.collect("full")
    assert (job.status, job.stage, job.error) == ("success", "done", None)
    messages = sum(map(len, office.desk.messages.values()))
    counts = job.counts
    assert (counts.tickets, counts.changed, counts.conversations, counts.articles) == (25, 25, messages, 12)
    assert (counts.attachments, counts.indexed, counts.failed, counts.removed) == (3, 25, 0, 0)
    assert counts.requests == office.desk.requests
    rows = await office.rows()
    assert len(rows["tickets"]) == 25
    assert [row[2] for row in rows["conversations"]].count("Message 0 of 1") == 1
    assert {row[0] for row in rows["attachments"]} == {f"f{number}" for number in range(12)}
    assert all(row[8] for row in rows["tickets"])


async def test_a_second_collection_reads_only_what_has_changed(office: Office):
    office.desk.fill(35)
    await office.collect("full")
    office.desk.now += timedelta(hours=1)
    office.desk.write(7, messages=1, title="Changed")
    office.desk.write(99)
    office.desk.asked.clear()
    job = await office.collect("incremental")
    assert (job.counts.changed, job.counts.conversations) == (2, len(office.desk.messages["7"]) + 2)
    assert sorted(which for what, which in office.desk.asked if what == "conversations") == ["7", "99"]
    assert office.desk.count("list") == 3  # what is live, deleted, spam: a page each
    assert "Changed" in await office.titles()
    office.desk.asked.clear()
    assert (await office.collect("incremental")).counts.changed == 0
    assert office.desk.count("conversations") == 0


async def test_what_is_deleted_spam_or_gone_at_the_platform_goes_here(office: Office):
    """(I-3)"""
    office.desk.fill(24)
    office.desk.publish(1)
    office.desk.publish(2)
    await office.collect("full")
    office.desk.write(3, messages=0, deleted=True)
    office.desk.write(4, messages=0, spam=True)
    job = await office.collect("incremental")
    assert job.counts.removed == 2
    assert not {"Ticket 3", "Ticket 4"} & set(await office.titles())
    office.desk.drop("5")  # no list shows this one
    del office.desk.articles["a2"]
    assert (await office.collect("incremental")).counts.removed == 1  # the article
    assert "Ticket 5" in await office.titles()
    assert len(office.index.forgotten) == 1
    assert (await office.collect("full")).counts.removed == 1
    assert len(await office.titles()) == 21
    office.desk.write(3, messages=0, deleted=False)  # taken back from the bin
    await office.collect("incremental")
    assert "Ticket 3" in await office.titles()


async def test_a_reading_that_breaks_off_takes_nothing_away(office: Office):
    office.desk.fill(24)
    for number in range(15):
        office.desk.publish(number)
    await office.collect("full")
    whole = office.desk.tickets.copy()
    for ticket_id in list(office.desk.tickets)[12:]:
        del office.desk.tickets[ticket_id]
    second = False

    def failing(what: str, which: str) -> DomainError | None:
        nonlocal second
        if what == "articles" and which != "a0":
            return UpstreamFailed("It answers nonsense.")
        if what == "list" and which == "live" and len(office.desk.asked) > 1:
            return UpstreamTimeout("It does not answer.")
        return None

    office.desk.asked.clear()
    office.desk.failing = failing
    job = await office.collect("full")
    assert job.status == "error"
    assert "resumed" in (job.error or "")
    assert len(await office.titles()) == 24
    assert not office.index.forgotten
    office.desk.tickets = whole
    office.desk.failing = lambda what, which: None
    job = await office.service.resume(KIM, job.job_id)
    assert (await office.ended(job.job_id)).status == "success"
    assert len(await office.titles()) == 24


async def test_a_list_that_leaves_tickets_out_does_not_delete_them(office: Office):
    office.desk.fill(12)
    await office.collect("full")
    hidden = {each: office.desk.tickets.pop(each) for each in ("2", "9")}

    async def gate(what: str, which: str) -> None:
        if which == "spam":  # all lists of tickets are read by now
            office.desk.tickets |= hidden

    office.desk.gate = gate
    assert (await office.collect("full")).counts.removed == 0
    assert len(await office.titles()) == 12


async def test_one_ticket_that_fails_is_an_issue_and_is_tried_again_by_the_next_collection(office: Office):
    """(000-64)"""
    office.desk.fill(25)
    office.desk.bad = [BadItem(object_type="ticket", original_id="bad-1", code="invalid", reason="It has no status.")]
    office.desk.failing = lambda what, which: (
        UpstreamFailed("It answers nonsense.") if which == "8" else Forbidden("Not this one.") if which == "9" else None
    )
    job = await office.collect("full")
    assert (job.status, job.counts.failed, job.counts.changed) == ("success", 3, 23)
    issues, total = await office.service.issues(KIM, job.job_id)
    found = [(issue.original_id, issue.code) for issue in issues]
    assert found == [("8", "upstream-failed"), ("9", "forbidden"), ("bad-1", "invalid")]
    assert total == 3


async def test_what_failed_is_read_again_though_nothing_of_it_changed(office: Office):
    office.desk.fill(25)
    office.desk.failing = lambda what, which: UpstreamFailed("Nonsense.") if which in {"8", "9"} else None
    await office.collect("full")
    still = await office.collect("incremental")
    assert still.counts.failed == 2  # carried on from job to job, however long it takes
    office.desk.failing = lambda what, which: None
    office.desk.now += timedelta(hours=1)
    office.desk.write(1)
    job = await office.collect("incremental")
    assert (job.counts.failed, job.counts.changed) == (0, 3)
    assert len(await office.titles()) == 25


async def test_a_platform_that_fails_for_a_while_is_waited_for(office: Office):
    office.desk.fill(25)
    left = 3

    def failing(what: str, which: str) -> DomainError | None:
        nonlocal left
        if what in {"list", "conversations", "check"} and office.desk.requests > 15 and left:
            left -= 1
            return Unavailable("It is away.")
        return None

    office.desk.failing = failing
    job = await office.collect("full")
    assert (job.status, job.counts.changed, job.counts.failed, left) == ("success", 25, 0, 0)


async def test_tickets_that_all_fail_do_not_stop_a_job_while_the_platform_is_well(office: Office):
    office.desk.fill(2)
    office.desk.failing = lambda what, which: (
        UpstreamFailed("Nonsense.") if what in {"conversations", "ticket"} else None
    )
    job = await office.collect("full")
    assert (job.status, job.counts.failed) == ("success", 2)


async def test_a_refused_key_ends_the_job_which_goes_on_with_another(office: Office):
    office.desk.fill(3)
    office.desk.failing = lambda what, which: Unauthorized("The key is refused.") if what == "list" else None
    job = await office.collect("incremental")
    assert (job.status, office.desk.requests) == ("error", 1)
    office.desk.failing = lambda what, which: None
    await office.service.resume(KIM, job.job_id)
    assert (await office.ended(job.job_id)).status == "success"
    assert len(await office.titles()) == 3


async def test_a_second_collection_of_the_platform_is_refused_and_names_the_first(office: Office):
    reached, go = asyncio.Event(), asyncio.Event()

    async def gate(what: str, which: str) -> None:
        reached.set()
        await go.wait()

    office.desk.fill(3)
    office.desk.gate = gate
    first = await office.service.start(KIM, "full")
    async with asyncio.timeout(60):
        await reached.wait()
    with pytest.raises(SyncActive) as refused:
        await office.service.start(KIM, "incremental")
    assert refused.value.members["job_id"] == str(first.job_id)
    other = await office.service.start(Principal("globex", "lee"), "full")  # another tenant is not hindered
    with pytest.raises(JobNotFound):
        await office.service.get(KIM, other.job_id)
    with pytest.raises(JobNotFound):
        await office.service.cancel(KIM, other.job_id)
    single = await office.service.start(KIM, "ticket", options={"ticket_ids": ["2"]})  # nor are single tickets
    go.set()
    for job in (first, single):
        assert (await office.ended(job.job_id)).status == "success"


async def test_nothing_begins_without_an_installation_or_a_ticket(office: Office):
    with pytest.raises(InstallationNotFound):
        await office.service.start(Principal("nobody", "lee"), "full")
    with pytest.raises(InstallationNotFound):
        await office.service.start(KIM, "full", "zendesk")
    with pytest.raises(Invalid):
        await office.service.start(KIM, "ticket")


async def test_a_paused_job_rests_at_a_page_and_goes_on_behind_it(office: Office):
    office.desk.fill(40)
    pages = 0

    async def gate(what: str, which: str) -> None:
        nonlocal pages
        if what == "list":
            pages += 1
        if pages == 2 and what == "list" and which == "live":
            (job,), _ = await office.service.list(KIM)
            await office.service.pause(KIM, job.job_id)

    office.desk.gate = gate
    job_id = (await office.service.start(KIM, "full")).job_id
    paused = await office.ended(job_id)
    assert (paused.status, paused.stage, paused.ended_at) == ("paused", "tickets", None)
    assert 0 < len(await office.titles()) <= 2 * PAGE
    office.desk.gate = None
    office.desk.asked.clear()
    assert (await office.service.resume(KIM, job_id)).status == "pending"
    done = await office.ended(job_id)
    assert (done.status, done.counts.changed, done.attempt) == ("success", 40, 2)
    assert office.desk.count("conversations") == 40 - paused.counts.changed
    with pytest.raises(Conflict):
        await office.service.resume(KIM, job_id)


async def test_a_cancelled_job_ends_at_once_and_keeps_what_it_has(office: Office):
    reached = asyncio.Event()

    async def gate(what: str, which: str) -> None:
        if which == "15":
            reached.set()
            await asyncio.Event().wait()  # the platform never answers

    office.desk.fill(30)
    office.desk.gate = gate
    job = await office.service.start(KIM, "full")
    async with asyncio.timeout(60):
        await reached.wait()
    await office.service.cancel(KIM, job.job_id)
    ended = await office.ended(job.job_id)
    assert (ended.status, len(await office.titles())) == ("cancelled", PAGE)
    assert (await office.service.cancel(KIM, job.job_id)).status == "cancelled"
    for again in (office.service.pause, office.service.resume):
        with pytest.raises(Conflict):
            await again(KIM, job.job_id)
    office.desk.gate = None
    assert (await office.collect("incremental")).counts.changed == 20  # from where the cancelled one was


async def test_webhooks_share_a_job_that_reads_their_tickets(office: Office):
    office.desk.fill(12)
    await office.collect("full")
    office.desk.asked.clear()
    office.desk.write(3, messages=1)
    office.desk.write(4, messages=0, deleted=True)
    office.desk.drop("5")
    first = await office.service.changed("acme", "freshdesk", ["3"])
    assert await office.service.changed("acme", "freshdesk", ["4", "3"], deleted=["5", "404"]) == first
    assert first is not None
    job = await office.ended(first)
    assert (job.status, job.kind, job.counts.changed, job.counts.removed) == ("success", "ticket", 1, 2)
    assert sorted(which for what, which in office.desk.asked if what == "ticket") == ["3", "4", "404", "5"]
    assert len(await office.titles()) == 10
    assert office.desk.count("list") == 0


async def test_what_a_webhook_read_later_is_not_undone_by_a_list_that_was_read_before(office: Office):
    office.desk.fill(3)
    reading, go = asyncio.Event(), asyncio.Event()

    async def gate(what: str, which: str) -> None:
        if (what, which) == ("conversations", "3") and not reading.is_set():
            reading.set()
            await go.wait()

    office.desk.gate = gate
    slow = await office.service.start(KIM, "full")
    async with asyncio.timeout(60):
        await reading.wait()
    office.desk.write(3, title="New")
    quick = await office.service.start(KIM, "ticket", options={"ticket_ids": ["3"]})
    assert (await office.ended(quick.job_id)).counts.changed == 1
    go.set()
    await office.ended(slow.job_id)
    assert "New" in await office.titles()
    rows = await office.rows()
    assert sum(row[0] == "3" for row in rows["conversations"]) == 5


async def test_a_job_is_taken_up_by_the_next_server_and_ends_once(tables: Database):
    """(002-26)"""
    desk = Desk()
    desk.fill(30)
    reached = asyncio.Event()

    async def gate(what: str, which: str) -> None:
        if which == "15":
            reached.set()
            await asyncio.Event().wait()

    desk.gate = gate
    async with open_office(tables, desk) as first:
        job = await first.service.start(KIM, "full")
        waiting = await first.service.start(Principal("globex", "lee"), "full")
        async with asyncio.timeout(60):
            await reached.wait()
    assert (await tables.read(lambda c: SyncRepository(c, "acme").get(job.job_id))).status == "running"
    desk.gate = None
    async with open_office(tables, desk) as second:
        done = await second.ended(job.job_id)
        assert (done.status, done.attempt, done.counts.changed) == ("success", 2, 30)
        async with asyncio.timeout(60):
            assert (await second.service.wait(Principal("globex", "lee"), waiting.job_id)).status == "success"


async def test_an_attempt_that_was_replaced_writes_nothing_more(office: Office):
    """(000-64) The attempt is a fencing token: of two that believe to be at work, one can write."""
    office.desk.fill(30)
    reached, go = asyncio.Event(), asyncio.Event()

    async def gate(what: str, which: str) -> None:
        if which == "15":
            reached.set()
            await go.wait()

    office.desk.gate = gate
    job = await office.service.start(KIM, "full")
    async with asyncio.timeout(60):
        await reached.wait()
    taken = await office.database.write(lambda c: SyncRepository(c, "acme").begin(job.job_id, 1, utc_now()))
    assert taken is not None
    assert await office.database.write(lambda c: SyncRepository(c, "acme").begin(job.job_id, 1, utc_now())) is None
    go.set()
    task = next(each for each in asyncio.all_tasks() if each.get_name() == f"sync {job.job_id}")
    async with asyncio.timeout(60):
        await asyncio.wait({task})
    now = await office.service.get(KIM, job.job_id)
    assert (now.status, now.attempt, len(await office.titles())) == ("running", 2, PAGE)


async def test_installed_platforms_are_collected_from_when_it_is_time(tables: Database):
    desk = Desk()
    desk.fill(3)
    now = utc_now()
    async with open_office(tables, desk, interval_minutes=15, clock=lambda: now) as office:
        await tables.write(lambda c: install(c, "acme", "active", "installed"))
        await tables.write(lambda c: install(c, "globex", "active", "refused"))
        await tables.write(lambda c: install(c, "initech", "suspended", "installed"))
        await office.service.look_once()
        await office.service.look_once()
        jobs, total = await office.service.list(KIM)
        assert ([job.kind for job in jobs], total) == (["full"], 1)
        assert (await tables.read(lambda c: len(AllSyncJobs(c).left()))) == 1
        await office.ended(jobs[0].job_id)
        now += timedelta(minutes=14)
        await office.service.look_once()
        assert (await office.service.list(KIM))[1] == 1
        now += timedelta(minutes=2)
        await office.service.look_once()
        assert (await office.service.list(KIM))[0][0].kind == "incremental"


def install(c: Connection, tenant_id: str, status: str, installation: str) -> None:
    times = {"created_at": utc_now(), "updated_at": utc_now()}
    tenant = {"tenant_id": tenant_id, "name": tenant_id, "status": status, "plan": "free", "limits": {}, "settings": {}}
    c.execute(table_of(TenantRow).insert(), {**tenant, "version": 1, **times})
    empty = dict.fromkeys(("api_key", "api_key_hash", "webhook_secret", "key_id"), "")
    place = {"tenant_id": tenant_id, "platform": "freshdesk", "domain": f"{tenant_id}.freshdesk.com", "account": {}}
    times = {"installed_at": utc_now(), "updated_at": utc_now()}
    c.execute(table_of(InstallationRow).insert(), {**place, "status": installation, **empty, **times})


async def test_what_a_dead_server_left_beside_a_living_one_is_taken_up_when_it_shows_no_life(tables: Database):
    desk = Desk()
    desk.fill(12)
    later = timedelta()
    async with open_office(tables, desk, clock=lambda: utc_now() + later) as office:
        done = await office.collect("full")
        # As a server leaves it that dies: running, and nobody at work.
        await tables.write(lambda c: SyncRepository(c, "acme").insert(new_job(done), "kim"))
        (left,) = await tables.read(lambda c: AllSyncJobs(c).left())
        await tables.write(lambda c: SyncRepository(c, "acme").begin(left[1], 0, utc_now()))
        await office.service.look_once()
        assert (await office.service.get(KIM, left[1])).attempt == 1
        later = timedelta(minutes=1)
        await office.service.look_once()
        assert (await office.ended(left[1])).attempt == 2


def new_job(job: SyncJob) -> SyncJob:
    return replace(job, job_id=new_id(), status="pending", stage="tickets")


@pytest.mark.timeout(120)
async def test_a_collection_killed_at_ten_random_moments_equals_an_undisturbed_one(tmp_path: Path):
    """(000-64, 002-26) Also while the desk is at work."""
    seed = SystemRandom().randrange(10**6)
    random = Random(seed)
    print(f"seed {seed}")
    desk = Desk()
    desk.fill(95)
    for number in range(23):
        desk.publish(number)
    async with open_database(tmp_path / "calm.db") as database, open_office(database, desk) as office:
        assert (await office.collect("full")).counts.changed == 95
        calm = await office.rows()
    requests = desk.requests
    deaths = 0
    job: SyncJob | None = None
    wild = {}
    async with open_database(tmp_path / "wild.db") as database:
        while job is None or not job.ended:
            left = random.randrange(1, 11) if deaths < 10 else 10**9
            died = asyncio.Event()

            async def gate(what: str, which: str) -> None:
                nonlocal left
                left -= 1
                if left <= 0:
                    died.set()  # noqa: B023 - it is this life's
                    await asyncio.Event().wait()
                for _ in range(random.randrange(3)):
                    await asyncio.sleep(0)

            desk.gate = gate
            async with open_office(database, desk) as office:
                job = job or await office.service.start(KIM, "full")
                ending = asyncio.create_task(office.ended(job.job_id))
                dying = asyncio.create_task(died.wait())
                done, _ = await asyncio.wait({ending, dying}, return_when=asyncio.FIRST_COMPLETED)
                for task in (ending, dying):
                    task.cancel()
                if ending in done:
                    job = ending.result()
                else:
                    deaths += 1
            wild = await office.rows()
    assert deaths == 10
    assert (job.status, job.counts.changed, job.counts.tickets) == ("success", 95, 95)
    assert wild == calm
    assert desk.requests - requests < 2 * requests


async def test_a_long_collection_is_stopped_however_many_webhooks_came_since(office: Office):
    """(000-57) Uninstalling ends what began hours ago, too: it has the key in its memory."""
    held = asyncio.Event()

    async def gate(what: str, which: str) -> None:
        if what == "list":
            await held.wait()

    office.desk.gate = gate
    job = await office.service.start(KIM, "full")
    await office.until(job.job_id, lambda one: one.status == "running")

    def webhooks(c: Any) -> None:
        sync = SyncRepository(c, KIM.tenant_id)
        for _ in range(150):
            done = replace(job, job_id=new_id(), kind="ticket", options={"ticket_ids": ["1"]})
            sync.insert(done, "system")
            sync.want(done.job_id, "cancel", utc_now())

    await office.database.write(webhooks)
    nothing: Any = None
    await PlatformRemoval(office.database, office.service, nothing, nothing, forget_threads=nothing).stop(
        KIM.tenant_id, "freshdesk"
    )
    assert (await office.ended(job.job_id)).status == "cancelled"
    assert await office.service.active(KIM) == []

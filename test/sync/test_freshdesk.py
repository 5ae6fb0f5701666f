"""Collecting over real HTTP from a simulated Freshdesk, through the real client (000-22, 000-25, 000-64, I-3)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.repository.ticket import TicketRepository
from backend.simulator.freshdesk import FreshdeskSimulator, demo_account
from test.sync.desk import KIM
from test.sync.process import freshdesk_office


@pytest.fixture
def freshdesk() -> Iterator[FreshdeskSimulator]:
    with FreshdeskSimulator(demo_account(), plan="unlimited") as running:
        yield running


async def test_a_desk_is_here_as_it_is_there_and_follows_its_changes(freshdesk: FreshdeskSimulator, tmp_path: Path):
    account = freshdesk.account
    async with freshdesk_office(tmp_path / "rows.db", freshdesk.url, account.subdomain) as office:
        job = await office.collect("full")
        assert (job.status, job.error, job.counts.changed) == ("success", None, account.count())
        rows = await office.rows()
        here = {row[0] for row in rows["tickets"]}
        assert here == {str(each) for each in account.ids()}
        for number in account.ids():
            said = [row for row in rows["conversations"] if row[0] == str(number)]
            assert len(said) == len(account.conversations(number))
        assert rows["articles"]
        assert job.counts.requests == freshdesk.count("/api/v2")

        before = freshdesk.count()
        assert (await office.collect("incremental")).counts.changed == 0
        again = freshdesk.count() - before
        changed, deleted, spam, erased, merged, *_ = account.ids()
        account.update_ticket(changed, status=5)
        account.add_conversation(changed, "<p>Thank you, it works.</p>", incoming=True)
        account.delete_ticket(deleted)
        account.mark_spam(spam)
        account.erase_ticket(erased)
        before = freshdesk.count()
        job = await office.collect("incremental")
        assert (job.counts.changed, job.counts.removed) == (1, 2)
        assert freshdesk.count() - before == again + 1  # one request more, for what changed
        job = await office.collect("full")
        assert (job.counts.changed, job.counts.removed) == (0, 1)
        live = {row[0] for row in (await office.rows())["tickets"] if not (row[3] or row[4])}
        assert live == {str(each) for each in account.ids()}
        ticket = await office.database.read(lambda c: TicketRepository(c, KIM.tenant_id).find(str(changed)))
        assert ticket.data.status == 5

        account.merge(merged, changed)
        job_id = await office.service.changed(KIM.tenant_id, "freshdesk", [str(merged), str(changed)])
        assert job_id is not None
        await office.ended(job_id)
        ticket = await office.database.read(lambda c: TicketRepository(c, KIM.tenant_id).find(str(merged)))
        assert ticket.data.merged_into == str(changed)


async def test_a_platform_that_answers_html_for_a_while_loses_nothing(freshdesk: FreshdeskSimulator, tmp_path: Path):
    account = freshdesk.account
    freshdesk.faults.add("html_502", times=5)
    async with freshdesk_office(tmp_path / "rows.db", freshdesk.url, account.subdomain) as office:
        job = await office.collect("full")
        assert (job.status, job.counts.changed, job.counts.failed) == ("success", account.count(), 0)

"""Collecting over real HTTP from a simulated Freshdesk, through the real client (000-22, 000-25, 000-64, I-3)."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.repository.article import ArticleRepository
from backend.repository.ticket import TicketRepository
from backend.simulator.freshdesk import FreshdeskSimulator, demo_account
from backend.util.clock import utc_now
from test.sync.desk import KIM, Office
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


async def _translations(office: Office) -> dict[str, Any]:
    """Return what is here of the translations, by the original's number."""
    rows = await office.database.read(lambda c: ArticleRepository(c, KIM.tenant_id).list(limit=1000))
    return {row.data.translation_of: row.data for row in rows if row.data.translation_of is not None}


def _translated(freshdesk: FreshdeskSimulator) -> set[str]:
    return {str(number) for number, one in freshdesk.account.articles.items() if one["translations"]}


async def test_translations_come_with_their_articles_follow_them_and_go_with_them(
    freshdesk: FreshdeskSimulator, tmp_path: Path
):
    """(000-25) Of what did not change nothing is asked for; who may not read an article reads no translation of it."""
    account, now = freshdesk.account, [utc_now()]
    async with freshdesk_office(tmp_path / "rows.db", freshdesk.url, account.subdomain, clock=lambda: now[0]) as office:
        await office.collect("full")
        here = await _translations(office)
        assert set(here) == _translated(freshdesk)
        assert all(one.language == "en" and one.title.isascii() and one.path[0].isascii() for one in here.values())
        before = freshdesk.count("/en$")
        await office.collect()
        assert freshdesk.count("/en$") == before

        changed, hidden, deleted, closed, *_ = map(int, sorted(here))
        account.update_article(changed, description="<p>새 글</p>")
        account.translate_article(changed, "en", "Another text", "<p>Another text.</p>")
        account.hide_article(hidden)
        account.delete_article(deleted)
        account.set_visibility(account.articles[closed]["folder_id"], 3)
        before = freshdesk.count("/en$")
        await office.collect()
        there = await _translations(office)
        assert there[str(changed)].title == "Another text"
        assert not {str(hidden), str(deleted)} & set(there)
        assert there[str(closed)].audience == "agent"
        assert {one.audience for one in there.values() if one.folder_id == there[str(closed)].folder_id} == {"agent"}
        assert freshdesk.count("/en$") - before <= 2

        # A translator's work shows in the translation alone: it is looked for once a day.
        account.translate_article(changed, "en", "Corrected", "<p>Corrected.</p>")
        account.untranslate_article(closed, "en")
        await office.collect()
        assert (await _translations(office))[str(changed)].title == "Another text"
        now[0] += timedelta(hours=25)
        await office.collect()
        there = await _translations(office)
        assert there[str(changed)].title == "Corrected"
        assert str(closed) not in there

        account.languages = {**account.languages, "portal_languages": []}
        await office.collect()
        assert {one.audience for one in (await _translations(office)).values()} == {"agent"}
        account.languages = {**account.languages, "supported_languages": []}
        await office.collect()
        assert await _translations(office) == {}
        status = (await office.service.status(KIM))[0]
        assert "article:en" not in {cursor.object_type for cursor in status.cursors}
        account.languages = {**account.languages, "supported_languages": ["en"], "portal_languages": ["en"]}
        await office.collect()
        assert set(await _translations(office)) == _translated(freshdesk) - {str(hidden)}


async def test_a_knowledge_base_that_is_seen_in_part_takes_nothing_away(freshdesk: FreshdeskSimulator, tmp_path: Path):
    """(000-25) A folder or a language that the key may not see is told, and what is here stays."""
    account = freshdesk.account
    folder = next(one["folder_id"] for one in account.articles.values() if one["translations"])
    async with freshdesk_office(tmp_path / "rows.db", freshdesk.url, account.subdomain) as office:
        await office.collect("full")
        before = (await office.rows())["articles"]
        for path in (
            rf"/folders/{folder}/articles$",
            rf"/folders/{folder}/articles/en$",
            r"/settings/helpdesk$",
            r"/categories/\d+/folders$",
        ):
            freshdesk.faults.add("forbidden", path=path)
            job = await office.collect("full")
            assert (job.status, job.counts.removed) == ("success", 0)
            assert (await office.rows())["articles"] == before, path
            issues, _ = await office.service.issues(KIM, job.job_id)
            assert [issue.object_type for issue in issues] == ([] if "settings" in path else ["folder"])
        freshdesk.faults.add("html_502", path=r"/en$", times=None)
        job = await office.collect("full")
        assert (job.status, job.counts.removed, job.counts.failed) == ("success", 0, 1)
        assert (await office.rows())["articles"] == before

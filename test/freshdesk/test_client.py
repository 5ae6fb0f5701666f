"""The client against a Freshdesk on this machine, over real HTTP."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from loguru import logger
from pydantic import SecretStr

from backend.core.collector.freshdesk import parser, ticket_list
from backend.core.collector.freshdesk.client import FreshdeskClient
from backend.core.collector.freshdesk.platform import FreshdeskPlatform
from backend.core.collector.freshdesk.ticket_list import TicketList
from backend.core.collector.freshdesk.transport import Answer
from backend.core.collector.platform import TicketPage
from backend.core.error import (
    DomainError,
    Forbidden,
    NotFound,
    TooLarge,
    TooMany,
    Unauthorized,
    UpstreamFailed,
    UpstreamTimeout,
)
from backend.dto.ticket import AttachmentData
from backend.simulator.freshdesk import FreshdeskSimulator
from test.freshdesk.conftest import AGENT_KEY, KEY, REQUESTER, Pace, add_tickets, at


async def connect(platform: FreshdeskPlatform, key: str = KEY, domain: str = "acme") -> FreshdeskClient:
    return await platform.connect(domain, SecretStr(key))


async def pages_of(client: FreshdeskClient, since: datetime | None = None, **state: Any) -> list[TicketPage]:
    return [page async for page in client.tickets(since, **state)]


def ids(pages: Sequence[TicketPage]) -> list[str]:
    return [ticket.ticket_id for page in pages for ticket in page.tickets]


async def test_a_key_is_checked_with_one_request_and_says_whose_it_is(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(000-22, 000-51) Basic authentication is base64 of `key:X`; the simulator refuses everything else."""
    client = await connect(platform)
    account = await client.check()
    assert (account.domain, account.tenant_id, account.agent_id) == ("acme.freshdesk.com", "acme", "11")
    assert (account.agent_name, account.agent_email) == ("Kim", "kim@acme.example")
    assert client.requests == len(freshdesk.requests) == 1
    with pytest.raises(Unauthorized):
        await (await connect(platform, "wrong")).check()
    with pytest.raises(Unauthorized):
        await (await connect(platform, KEY, "other")).check()
    with pytest.raises(NotFound):
        await (await connect(platform, KEY, "nobody")).check()


async def test_all_tickets_are_read_with_their_people_whenever_they_changed(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(000-22, 000-23, 000-25) Every page, beyond the last thirty days, with description, requester and times."""
    made = add_tickets(freshdesk.account, list(range(0, 25_000, 100)), status=6, responder_id=12)
    pages = await pages_of(await connect(platform))
    assert ids(pages) == made
    ticket = pages[0].tickets[0]
    assert (ticket.title, ticket.description) == ("Ticket 0", "<p>It does not work.</p>")
    assert (ticket.requester_name, ticket.requester_email) == ("Choi", "choi@customer.example")
    assert (ticket.assignee_name, ticket.status_name) == ("Lee", "고객 회신 대기")
    asked = [one.query for one in freshdesk.requests if one.path == "/api/v2/tickets"]
    assert all("updated_since=" in query and "per_page=100" in query for query in asked)
    assert len(asked) <= 4


async def test_a_listing_goes_on_where_another_ended(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(I-3) The cursor is inclusive: what shares its second comes again, and nothing is left out."""
    made = add_tickets(freshdesk.account, [0, 1, 2, 2, 2])
    until = (await pages_of(await connect(platform)))[-1].until
    assert until == datetime.fromisoformat(at(2))
    late = add_tickets(freshdesk.account, [2, 3])
    assert ids(await pages_of(await connect(platform), until)) == [*made[2:], *late]


async def test_a_ticket_that_changes_while_the_list_is_read_hides_no_other(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    made = add_tickets(freshdesk.account, list(range(350)))
    found: list[str] = []
    client = await connect(platform)
    async for page in client.tickets(None):
        found += ids([page])
        # As many as a page move behind the end, so that pages counted by number would skip as many.
        for number in made[len(found) - 60 : len(found)]:
            if len(found) <= 200:
                freshdesk.account.update_ticket(int(number), updated_at=at(10_000 + len(found)))
    assert set(found) == set(made)


async def test_many_tickets_of_one_second_are_all_read(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    made = add_tickets(freshdesk.account, [*range(30), *[40] * 730, *range(50, 80)])
    pages = await pages_of(await connect(platform))
    assert sorted(ids(pages)) == sorted(made)
    moments = [page.until for page in pages if page.until]
    assert moments == sorted(moments)


async def test_a_list_of_more_than_300_pages_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """(000-23) Freshdesk refuses page 301; a second that fills them all is told, and the rest goes on."""
    monkeypatch.setattr(ticket_list, "PER_PAGE", 2)
    rows = [{"id": n + 1, "status": 2, "updated_at": at(0 if n < 700 else 1 + n // 3)} for n in range(2000)]
    asked: list[int] = []

    class Freshdesk:
        async def get(self, _path: str, query: dict[str, Any], **_: Any) -> Answer:
            page, size = query["page"], query["per_page"]
            assert page <= 300
            asked.append(page)
            found = [row for row in rows if row["updated_at"] >= query["updated_since"]]
            return Answer(found[(page - 1) * size : page * size], page * size < len(found))

    source: Any = Freshdesk()
    listing = TicketList(source, lambda raw: parser.ticket(raw, {}, {}))
    pages = [page async for page in listing.pages(None, "live")]
    found = ids(pages)
    assert len(found) == len(set(found)) == 600 + 1300
    bad = [item for page in pages for item in page.bad]
    assert [item.code for item in bad] == ["window-stuck"]
    assert len(asked) < 5000


async def test_a_list_in_another_order_is_refused_rather_than_half_read() -> None:
    class Freshdesk:
        async def get(self, *_: Any, **__: Any) -> Answer:
            return Answer([{"id": n, "status": 2, "updated_at": at(-n)} for n in range(1, 9)], True)

    source: Any = Freshdesk()
    listing = TicketList(source, lambda raw: parser.ticket(raw, {}, {}))
    with pytest.raises(UpstreamFailed):
        _ = [page async for page in listing.pages(None, "live")]


async def test_deleted_tickets_and_spam_are_lists_of_their_own(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(I-3)"""
    kept, gone, spam = add_tickets(freshdesk.account, [0, 1, 2])
    freshdesk.account.delete_ticket(int(gone))
    freshdesk.account.mark_spam(int(spam))
    client = await connect(platform)
    assert ids(await pages_of(client)) == [kept]
    deleted = await pages_of(client, state="deleted")
    assert ids(deleted) == [gone]
    assert deleted[0].tickets[0].deleted
    assert ids(await pages_of(client, state="spam")) == [spam]


async def test_an_item_that_cannot_be_read_costs_only_itself(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(000-22) Nothing is dropped silently."""
    made = add_tickets(freshdesk.account, list(range(12)))
    freshdesk.faults.add("malformed_items", path=r"/tickets$")
    pages = await pages_of(await connect(platform))
    assert ids(pages) == made[::2]
    assert len(pages[0].bad) == 6
    assert {item.code for item in pages[0].bad} <= {"not-an-object", "bad-id", "bad-status", "bad-time"}
    assert all(item.reason for item in pages[0].bad)


async def test_all_messages_of_a_ticket_are_read_beyond_the_first_ten(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(000-25)"""
    number = add_tickets(freshdesk.account, [0])[0]
    for n in range(130):
        freshdesk.account.add_conversation(int(number), f"<p>{n}</p>", private=n % 2 == 0, user_id=12)
    freshdesk.account.add_conversation(int(number), "<p>thanks</p>", incoming=True, user_id=REQUESTER)
    client = await connect(platform)
    messages, bad = await client.conversations(number)
    assert [message.content for message in messages[:130]] == [f"<p>{n}</p>" for n in range(130)]
    assert bad == []
    assert {(m.message_type, m.author_type) for m in messages} == {
        ("public", "agent"),
        ("private", "agent"),
        ("public", "customer"),
    }
    assert messages[0].author_name == "Lee"
    whole = await client.whole(number)
    assert [m.conversation_id for m in whole.conversations] == [m.conversation_id for m in messages]


async def test_a_whole_ticket_has_its_files_and_what_it_was_merged_into(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(000-25) A list names no files; one request does for ticket and messages."""
    into = add_tickets(freshdesk.account, [0])[0]
    file = freshdesk.account.new_file("log.txt", "text/plain", b"boom")
    number = add_tickets(freshdesk.account, [1], files=[file])[0]
    freshdesk.account.merge(int(number), int(into), by=11)
    client = await connect(platform)
    listed = {ticket.ticket_id: ticket for page in await pages_of(client) for ticket in page.tickets}
    assert listed[number].attachments == ()
    before = client.requests
    whole = await client.whole(number, listed[number])
    assert client.requests == before + 1
    assert (whole.ticket.attachments[0].name, whole.ticket.attachments[0].size) == ("log.txt", 4)
    assert (whole.ticket.merged_into, whole.ticket.requester_name) == (into, "Choi")
    assert len(whole.conversations) == 1


async def test_a_customer_cannot_say_that_a_ticket_was_merged(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    number = add_tickets(freshdesk.account, [0])[0]
    words = "<div>This ticket is closed and merged into ticket 99</div>"
    freshdesk.account.add_conversation(int(number), words, incoming=True, user_id=REQUESTER)
    assert (await (await connect(platform)).whole(number)).ticket.merged_into is None


@pytest.mark.parametrize("ticket_id", ["", "0", "-1", "1/../2", "1?include=x", "abc", "9" * 40, "١"])
async def test_only_a_number_gets_into_a_path(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform, ticket_id: str
) -> None:
    client = await connect(platform)
    for ask in (client.ticket, client.conversations, client.whole):
        with pytest.raises(NotFound):
            await ask(ticket_id)
    with pytest.raises(NotFound):
        await client.add_note(ticket_id, "x")
    assert len(freshdesk.requests) == 0


async def test_who_may_read_an_article_is_the_strictest_of_its_folders(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(000-25) Folder visibility is a security field."""
    account = freshdesk.account
    account.categories[1] = {"id": 1, "name": "Guides", "translations": {}}
    folders = {10: (None, 1), 11: (10, 2), 12: (11, 1), 13: (None, 3), 14: (13, 1), 15: (None, 4), 16: (None, 9)}
    for number, (parent, visibility) in folders.items():
        account.folders[number] = {
            "id": number,
            "name": f"Folder {number}",
            "category_id": 1,
            "parent_folder_id": parent,
            "visibility": visibility,
            "translations": {},
        }
    for number in folders:
        account.add_article(number, f"in {number}", "<p>text</p>")
    account.add_article(10, "draft", "<p>text</p>", draft=True)
    pages = [page async for page in (await connect(platform)).articles()]
    assert [item for page in pages for item in page.bad] == []
    found = {article.title: article for page in pages for article in page.articles}
    assert {title: article.audience for title, article in found.items()} == {
        "in 10": "customer",
        "in 11": "member",
        "in 12": "member",
        "in 13": "agent",
        "in 14": "agent",
        "in 15": "agent",
        "in 16": "agent",
        "draft": "agent",
    }
    assert not found["draft"].published
    assert found["in 12"].path == ("Guides", "Folder 10", "Folder 11", "Folder 12")
    assert found["in 10"].url == f"https://acme.freshdesk.com/support/solutions/articles/{found['in 10'].article_id}"
    assert [item for page in pages for item in page.bad] == []


def add_folder(freshdesk: FreshdeskSimulator, number: int, visibility: int = 1) -> None:
    account = freshdesk.account
    account.categories.setdefault(1, {"id": 1, "name": "안내", "translations": {"en": {"name": "Guides"}}})
    account.folders[number] = {
        "id": number,
        "name": f"폴더 {number}",
        "category_id": 1,
        "parent_folder_id": None,
        "visibility": visibility,
        "translations": {"en": {"name": f"Folder {number}"}},
    }


async def translated(client: FreshdeskClient, language: str = "en", *only: str) -> tuple[list[Any], list[Any]]:
    """Return the translations of all articles, or of some, and what could not be read."""
    originals = [one async for page in client.articles() for one in page.articles]
    some = [one for one in originals if not only or one.title in only]
    pages = [page async for page in client.translations(language, some)]
    return [one for page in pages for one in page.articles], [item for page in pages for item in page.bad]


async def test_articles_are_read_in_their_languages_by_whoever_may_read_the_originals(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(000-25) A folder costs one request more in each language, and what is not translated is no failure."""
    account = freshdesk.account
    for number, visibility in {10: 1, 11: 2, 12: 3}.items():
        add_folder(freshdesk, number, visibility)
        for name in ("가", "나", "다"):
            made = account.add_article(number, f"{name} {number}", "<p>글</p>")
            if name != "다":
                account.translate_article(made["id"], "en", f"{name} {number} EN", "<p>text</p>", draft=name == "나")
    client = await connect(platform)
    languages = await client.languages()
    assert languages is not None
    assert (languages.primary, languages.others, languages.shown) == ("ko", ("en",), frozenset({"en"}))
    found, bad = await translated(client)
    assert (bad, [one.path for one in freshdesk.requests][-3:]) == (
        [],
        [f"/api/v2/solutions/folders/{number}/articles/en" for number in (10, 11, 12)],
    )
    assert {one.title: (one.audience, one.published) for one in found} == {
        "가 10 EN": ("customer", True),
        "나 10 EN": ("agent", False),
        "가 11 EN": ("member", True),
        "나 11 EN": ("agent", False),
        "가 12 EN": ("agent", True),
        "나 12 EN": ("agent", False),
    }
    one = found[0]
    assert one.article_id == f"{one.translation_of}:en"
    assert (one.language, one.path) == ("en", ("Guides", "Folder 10"))
    assert one.url == f"https://acme.freshdesk.com/en/support/solutions/articles/{one.translation_of}"

    before = freshdesk.count("/en$")
    found, bad = await translated(client, "en", "가 10", "다 10")
    assert ([one.title for one in found], bad) == (["가 10 EN"], [])
    assert freshdesk.count("/en$") - before == 2


async def test_only_a_language_gets_into_a_path_and_one_that_customers_cannot_choose_is_not_shown(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    freshdesk.account.languages = {
        "primary_language": "ko",
        "supported_languages": ["pt-BR", "../../tickets", "en?x=", "ko", 7, None, "x" * 50],
        "portal_languages": ["ko", "en"],
    }
    client = await connect(platform)
    languages = await client.languages()
    assert languages is not None
    assert (languages.others, languages.shown) == (("en", "pt-BR"), frozenset({"ko", "en"}))
    nonsense: list[Any] = [{}, [], "x", {"supported_languages": "en"}]
    for one in nonsense:
        freshdesk.account.languages = one
        assert await client.languages() is None
    freshdesk.faults.add("forbidden", path=r"/settings/helpdesk$")
    assert await client.languages() is None


async def test_a_part_of_the_knowledge_base_that_cannot_be_seen_is_no_article(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """What is in it may be there all the same, so the reading is not a whole one."""
    add_folder(freshdesk, 10)
    freshdesk.account.add_article(10, "가", "<p>글</p>")
    client = await connect(platform)
    for path in (r"/folders/10/articles$", r"/categories/1/folders$"):
        freshdesk.faults.add("forbidden", path=path)
        pages = [page async for page in client.articles()]
        assert [item.object_type for page in pages for item in page.bad] == ["folder"]


async def test_a_moment_that_has_not_come_yet_does_not_hide_what_changes_until_then() -> None:
    """(I-3) One wrong clock there must not end incremental collecting here."""
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    rows = [
        {"id": 1, "status": 2, "updated_at": "2026-06-01T11:00:00Z"},
        {"id": 2, "status": 2, "updated_at": "2031-01-01T00:00:00Z"},
    ]

    class Freshdesk:
        async def get(self, *_: Any, **__: Any) -> Answer:
            return Answer(rows, False)

    source: Any = Freshdesk()
    listing = TicketList(source, lambda raw: parser.ticket(raw, {}, {}), lambda: now)
    pages = [page async for page in listing.pages(None, "live")]
    assert ids(pages) == ["1", "2"]
    assert pages[-1].until == now


async def test_an_account_that_said_how_long_to_wait_is_not_asked_before(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform, pace: Pace
) -> None:
    """Also when nobody has the patience to wait for so long; and no answer closes an account for ever."""
    client = await connect(platform)
    freshdesk.faults.add("too_many", retry_after=900)
    with pytest.raises(TooMany):
        await client.check()
    with pytest.raises(TooMany):
        await client.check()
    assert len(freshdesk.requests) == 1
    pace.now += 901
    freshdesk.faults.add("too_many", retry_after=900_000)
    with pytest.raises(TooMany):
        await client.check()
    pace.now += 3601
    assert (await client.check()).agent_id == "11"


async def test_a_storm_of_429_is_waited_out_exactly(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform, pace: Pace
) -> None:
    """(000-21)"""
    made = add_tickets(freshdesk.account, [0, 1])
    client = await connect(platform)
    await pages_of(client)
    for seconds in (7, 31, 2):
        freshdesk.faults.add("too_many", path=r"/tickets$", retry_after=seconds)
    assert ids(await pages_of(client)) == made
    assert pace.slept == [7.0, 31.0, 2.0]


async def test_patience_with_429_has_an_end(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform, pace: Pace
) -> None:
    client = await connect(platform)
    freshdesk.faults.add("too_many", times=None, retry_after=3600)
    with pytest.raises(TooMany) as refused:
        await client.check()
    assert refused.value.retry_after == 3600
    freshdesk.faults.clear()
    freshdesk.faults.add("too_many", times=None, retry_after=None)
    other = await connect(platform, "x", "other")
    before = len(freshdesk.requests)
    with pytest.raises(TooMany):
        await other.check()
    assert len(freshdesk.requests) - before == 4  # without a header, nothing is guessed for ever


@pytest.mark.parametrize("fault", ["html_500", "html_502", "html_200", "truncated", "cut", "reset"])
async def test_a_failure_that_passes_is_tried_again(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform, pace: Pace, fault: Any
) -> None:
    """(000-21) A page of HTML is never taken for data."""
    made = add_tickets(freshdesk.account, [0])
    client = await connect(platform)
    freshdesk.faults.add(fault, path=r"/tickets$", times=2)
    assert ids(await pages_of(client)) == made
    assert len(pace.slept) == 2
    assert pace.slept[1] > pace.slept[0] > 0.4


@pytest.mark.parametrize("fault", ["html_500", "html_200", "reset"])
async def test_a_failure_that_stays_is_told_without_a_word_of_the_platform(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform, fault: Any
) -> None:
    """(000-19, 000-21) 502, not 500, and neither address nor text of the upstream."""
    freshdesk.faults.add(fault, times=None)
    with pytest.raises(UpstreamFailed) as failed:
        await (await connect(platform)).check()
    assert failed.value.status == 502
    assert not {"html", "http", "127.0.0.1", "sorry", KEY} & set(failed.value.detail.lower().split())
    assert [kind for kind, _ in freshdesk.faults.happened] == [fault] * 4


async def test_a_slow_answer_is_a_timeout(freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform) -> None:
    """(000-21) 504, not 408."""
    freshdesk.faults.add("slow", times=None, seconds=9.0)
    hurried = await platform.connect("acme", SecretStr(KEY))
    hurried._transport._timeout = 0.05
    with pytest.raises(UpstreamTimeout) as failed:
        await hurried.check()
    assert failed.value.status == 504


async def test_what_the_key_may_not_do_is_not_tried_again(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    freshdesk.account.agents[12]["ticket_scope"] = 3
    number = add_tickets(freshdesk.account, [0])[0]
    client = await connect(platform, AGENT_KEY)
    with pytest.raises(Forbidden):
        await client.ticket(number)
    assert freshdesk.count(rf"/tickets/{number}$") == 1
    with pytest.raises(NotFound):
        await (await connect(platform)).ticket("4711")


async def test_a_note_is_private_and_written_once(freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform) -> None:
    number = add_tickets(freshdesk.account, [0])[0]
    client = await connect(platform)
    note_id = await client.add_note(number, "<p>초안</p>")
    note = freshdesk.account.conversations(int(number))[-1]
    assert (str(note["id"]), note["private"], note["body"]) == (note_id, True, "<p>초안</p>")
    freshdesk.faults.add("cut", path="notes")
    with pytest.raises(UpstreamFailed):
        await client.add_note(number, "<p>again</p>")
    assert [one["body"] for one in freshdesk.account.conversations(int(number))] == ["<p>초안</p>", "<p>again</p>"]


async def test_a_link_that_has_run_out_is_asked_for_anew_once(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(000-25) And the key never goes to where files are."""
    file = freshdesk.account.new_file("log.txt", "text/plain", b"boom")
    number = add_tickets(freshdesk.account, [0], files=[file])[0]
    client = await connect(platform)
    attachment = (await client.ticket(number)).attachments[0]
    assert b"".join([part async for part in client.download(attachment)]) == b"boom"

    old = AttachmentData(attachment_id=attachment.attachment_id, name="log.txt", url=f"{attachment.url}0")
    assert b"".join([part async for part in client.download(old, ticket_id=number)]) == b"boom"
    with pytest.raises(NotFound):
        _ = [part async for part in client.download(old)]
    freshdesk.account.files[file.id] = replace(file, link_seconds=-1.0)
    before = freshdesk.count("attachments")
    with pytest.raises(NotFound):
        _ = [part async for part in client.download(old, ticket_id=number)]
    assert freshdesk.count("attachments") == before + 2
    assert not [one for one in freshdesk.requests if "attachments" in one.path and one.had_key]


async def test_a_file_may_not_be_endless(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.core.collector.freshdesk.download.MAX_BYTES", 1000)
    file = freshdesk.account.new_file("big.bin", "application/octet-stream", b"x" * 5000)
    number = add_tickets(freshdesk.account, [0], files=[file])[0]
    client = await connect(platform)
    with pytest.raises(TooLarge):
        _ = [part async for part in client.download((await client.ticket(number)).attachments[0])]


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/x", "file:///etc/passwd", "https://evil.tld/x"]
)
async def test_a_link_to_anywhere_else_is_not_followed(platform: FreshdeskPlatform, url: str) -> None:
    client = await connect(platform)
    with pytest.raises(DomainError):
        _ = [part async for part in client.download(AttachmentData(attachment_id="1", name="x", url=url))]


async def test_half_a_character_in_one_ticket_costs_nothing(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """A database keeps neither NUL nor half a surrogate pair; Freshdesk's JSON may hold both."""
    made = add_tickets(freshdesk.account, [0, 1])
    freshdesk.account.update_ticket(int(made[0]), subject="a\x00b", updated_at=at(0))
    pages = await pages_of(await connect(platform))
    assert pages[0].tickets[0].title == "ab"
    assert parser.clean(json.loads('{"a": "x\\ud800"}')) == {"a": "x?"}


async def test_the_key_is_in_no_log_no_error_and_no_repr(
    freshdesk: FreshdeskSimulator, platform: FreshdeskPlatform
) -> None:
    """(000-54)"""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), level="TRACE")
    client = await connect(platform)
    seen = [repr(client), repr(client._transport), repr(vars(client._transport))]
    for fault in ("html_500", "reset"):
        freshdesk.faults.add(fault, times=4)
        with pytest.raises(UpstreamFailed) as failed:
            await client.check()
        seen += [repr(failed.value), str(failed.value.__cause__), str(failed.value.members)]
    logger.remove(sink)
    secrets = (KEY, base64.b64encode(f"{KEY}:X".encode()).decode())
    assert lines
    assert not [text for text in seen + lines for secret in secrets if secret in text]


async def test_a_moment_with_a_zone_of_its_own_is_understood() -> None:
    assert parser.moment("2026-01-02T12:00:00+09:00") == datetime(2026, 1, 2, 3, tzinfo=UTC)
    for wrong in ("yesterday", "", None, 5, "0001-01-01T00:00:00+23:59", "2026-13-01T00:00:00Z"):
        assert parser.moment(wrong) is None

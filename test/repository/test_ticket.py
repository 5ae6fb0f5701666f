"""The rows of tickets and their messages, on both databases."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unicodedata import normalize
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from backend.core.error import Invalid, TicketNotFound, VersionConflict
from backend.database.base import Database
from backend.database.model import ArticleRow, ConversationRow, EntityRow, IntegratedObjectRow, TicketRow, table_of
from backend.dto.tenant import Limits, Tenant
from backend.dto.ticket import ArticleData, AttachmentData, ConversationData, TicketData, TicketFilter
from backend.repository.article import ArticleRepository
from backend.repository.conversation import ConversationRepository
from backend.repository.integrated_object import IntegratedObjectRepository
from backend.repository.tenant import AllTenants, TenantRepository
from backend.repository.ticket import TicketRepository
from backend.repository.upsert import upsert
from test.engine_fixture import of_everyone

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def make_ticket(number: int = 1, **changes: Any) -> TicketData:
    values: dict[str, Any] = {
        "ticket_id": str(number),
        "title": f"결제 오류 {number}",
        "description": "<p>카드 결제가 <b>안 됩니다</b>.</p>",
        "status": 2,
        "status_name": "open",
        "priority": 1,
        "requester_email": f"customer{number}@example.com",
        "requester_name": "김고객",
        "assignee_email": "agent@example.com",
        "tags": ("billing",),
        "custom_fields": {"cf_region": "서울"},
        "platform_created_at": NOW,
        "platform_updated_at": NOW + timedelta(minutes=number),
        "original": {"id": number, "subject": f"결제 오류 {number}"},
    }
    return TicketData(**(values | changes))


def make_message(number: int = 1, **changes: Any) -> ConversationData:
    values: dict[str, Any] = {
        "conversation_id": f"c{number}",
        "content": f"<div>메시지 {number}</div>",
        "message_type": "public",
        "author_type": "customer",
        "author_email": "customer1@example.com",
        "platform_created_at": NOW + timedelta(minutes=number),
        "platform_updated_at": NOW + timedelta(minutes=number),
    }
    return ConversationData(**(values | changes))


class Rows:
    """The repositories of a tenant, a transaction a call."""

    def __init__(self, database: Database, tenant_id: str = "alpha", platform: str = "freshdesk") -> None:
        self.database = database
        self.tenant_id = tenant_id
        self.platform = platform

    async def do(self, work: Any) -> Any:
        return await self.database.write(lambda c: work(TicketRepository(c, self.tenant_id)))

    async def put(self, *tickets: TicketData, now: datetime = NOW) -> dict[str, str]:
        done = await self.do(lambda r: r.put(self.platform, tickets, now))
        return {ticket_id: put.outcome for ticket_id, put in done.items()}

    async def talk(self, ticket_id: str, *items: ConversationData, now: datetime = NOW) -> bool:
        return await self.do(lambda r: r.put_conversations(self.platform, ticket_id, items, now))

    async def find(self, ticket_id: str) -> Any:
        return await self.do(lambda r: r.find(ticket_id, self.platform))

    async def ids(self, limit: int = 100, **wanted: Any) -> list[str]:
        found = await self.do(lambda r: r.list(TicketFilter(**wanted), limit))
        assert await self.do(lambda r: r.count(TicketFilter(**wanted))) == len(found)
        return [one.data.ticket_id for one in found]

    async def count(self, model: Any) -> int:
        table = table_of(model)
        return await self.database.read(
            of_everyone(lambda c: c.scalar(select(func.count()).where(table.c.tenant_id == self.tenant_id)) or 0)
        )


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


async def test_a_ticket_is_kept_as_the_platform_has_it(rows: Rows) -> None:
    """(003-8) Numbers of status and priority, the platform's own moments, and a title of any length."""
    data = make_ticket(
        1, title="가" * 3000, source=2, type="Question", resolved_at=LATER, custom_fields={"a": {"b": [1]}}
    )
    assert await rows.put(data, now=LATER) == {"1": "added"}
    kept = await rows.find("1")
    assert kept.data == replace(data, original={})
    assert (kept.version, kept.is_processed, kept.created_at) == (1, False, LATER)
    assert kept.data.platform_created_at == NOW  # not the moment of import


async def test_the_same_ticket_again_writes_nothing(rows: Rows) -> None:
    """(000-7) A second reading of what did not change."""
    await rows.put(make_ticket())
    kept = await rows.find("1")
    await rows.do(lambda r: r.mark_processed([(kept.id, kept.content_hash)]))
    before = await rows.find("1")
    assert await rows.put(make_ticket(), make_ticket(2), now=LATER) == {"1": "unchanged", "2": "added"}
    assert await rows.find("1") == before
    assert before.is_processed


async def test_many_readings_at_once_leave_one_row(rows: Rows) -> None:
    """(000-7, 003-8) The database decides, so nothing is stored twice however many read at the same time."""
    some = [make_ticket(number) for number in range(1, 21)]
    outcomes = await asyncio.gather(*(rows.put(*some) for _ in range(8)))
    assert await rows.count(TicketRow) == 20
    assert await rows.count(IntegratedObjectRow) == 20
    assert sum(outcome == "added" for done in outcomes for outcome in done.values()) == 20


async def test_a_change_is_a_new_version_that_is_not_processed_and_keeps_its_creation(rows: Rows) -> None:
    """(000-9, 000-12) `created_at` and the id stay; nothing of the caller's is changed."""
    data = make_ticket()
    await rows.put(data)
    first = await rows.find("1")
    await rows.do(lambda r: r.mark_processed([(first.id, first.content_hash)]))
    changed = make_ticket(status=4, status_name="resolved", platform_updated_at=LATER)
    assert await rows.put(changed, now=LATER) == {"1": "changed"}
    second = await rows.find("1")
    assert (second.id, second.created_at, second.version) == (first.id, NOW, 2)
    assert (second.updated_at, second.is_processed, second.data.status) == (LATER, False, 4)
    assert data == make_ticket()


async def test_an_older_state_that_comes_late_never_overwrites_a_newer_one(rows: Rows) -> None:
    await rows.put(make_ticket(title="new", platform_updated_at=LATER))
    assert await rows.put(make_ticket(title="old", platform_updated_at=NOW), now=LATER) == {"1": "unchanged"}
    assert (await rows.find("1")).data.title == "new"


async def test_of_two_states_in_one_page_the_newer_counts(rows: Rows) -> None:
    old, new = make_ticket(title="old"), make_ticket(title="new", platform_updated_at=LATER)
    await rows.put(new, old)
    assert (await rows.find("1")).data.title == "new"


async def test_a_later_moment_alone_is_kept_but_leaves_the_index_as_it_is(rows: Rows) -> None:
    await rows.put(make_ticket())
    kept = await rows.find("1")
    await rows.do(lambda r: r.mark_processed([(kept.id, kept.content_hash)]))
    assert await rows.put(make_ticket(platform_updated_at=LATER)) == {"1": "unchanged"}
    touched = await rows.find("1")
    assert (touched.data.platform_updated_at, touched.version, touched.is_processed) == (LATER, 1, True)


async def test_links_of_attachments_that_run_out_are_no_change(rows: Rows) -> None:
    def files(url: str) -> tuple[AttachmentData, ...]:
        return (AttachmentData(attachment_id="9", name="a.png", size=3, url=url),)

    await rows.put(make_ticket(attachments=files("https://a/1")))
    assert await rows.put(make_ticket(attachments=files("https://a/2"))) == {"1": "unchanged"}
    assert await rows.talk("1", make_message(attachments=files("https://a/1")))
    assert not await rows.talk("1", make_message(attachments=files("https://a/2")))


async def test_equal_ids_of_kinds_platforms_and_tenants_stay_apart(rows: Rows, database: Database) -> None:
    """(000-8) Ticket 1, article 1 and message 1, twice: none overwrites another."""
    article = ArticleData(article_id="1", title="A", description="<p>a</p>", audience="customer", published=True)
    for tenant in ("alpha", "beta"):
        for platform in ("freshdesk", "api"):
            one = Rows(database, tenant, platform)
            await one.put(make_ticket(1, title=f"{tenant} {platform}"))
            await one.talk("1", make_message(conversation_id="1", content=f"{tenant} {platform}"))
            await database.write(lambda c: ArticleRepository(c, tenant).put(platform, [article], NOW))  # noqa: B023 - awaited at once
    for tenant in ("alpha", "beta"):
        of = Rows(database, tenant)
        assert await of.count(IntegratedObjectRow) == 6
        for platform in ("freshdesk", "api"):
            one = Rows(database, tenant, platform)
            found = await one.find("1")
            (message,) = await one.do(lambda r, found=found: r.conversations(found.id, 10))
            assert found.data.title == message.data.content == f"{tenant} {platform}"


def test_columns_that_say_whose_a_row_is_cannot_be_changed() -> None:
    """(000-9, 003-14) No mass assignment: the columns are named by us, and these are refused even so."""
    for name in ("tenant_id", "id", "created_at", "ticket_id"):
        with pytest.raises(ValueError, match=name):
            upsert(_NoConnection(), table_of(TicketRow), [{}], key=("ticket_id",), change=["title", name])  # type: ignore[arg-type]


class _NoConnection:
    class dialect:
        name = "sqlite"


async def test_hostile_keys_of_custom_fields_are_only_data(rows: Rows) -> None:
    """(000-9, 003-13)"""
    hostile = {"tenant_id": "beta", "id": "0", "created_at": "1970", "__proto__": {}, "'; DROP TABLE tickets;--": 1}
    await rows.put(make_ticket(custom_fields=hostile, original={"tenant_id": "beta"}))
    kept = await rows.find("1")
    assert (kept.tenant_id, kept.created_at, kept.data.custom_fields) == ("alpha", NOW, hostile)


async def test_what_no_database_can_hold_is_mended_and_stops_nothing(rows: Rows) -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = {"a": deep}
    odd = make_ticket(
        1,
        title="a\0b\ud800c",
        description="<" * 300_000,
        status=10**12,
        requester_email=f" {'X' * 400}@example.com ",
        requester_name="n" * 999,
        custom_fields={"n\0": "\udfff", "huge": 10**400, "long": 2**64, "deep": deep},
        original={"deep": deep, "nul": "\0"},
    )
    assert await rows.put(odd, make_ticket(2)) == {"1": "added", "2": "added"}
    kept = (await rows.find("1")).data
    assert kept.title == "a\ufffdb\ufffdc"
    assert kept.status == 2**31 - 1
    assert len(kept.requester_email or "") == 254
    assert kept.custom_fields["long"] == str(2**64)
    assert kept.custom_fields["n\ufffd"] == "\ufffd"
    assert await rows.put(odd, make_ticket(2)) == {"1": "unchanged", "2": "unchanged"}


@pytest.mark.parametrize("ticket_id", ["", "x" * 65, "a\0"])
async def test_an_id_that_cannot_be_kept_is_refused_rather_than_cut(rows: Rows, ticket_id: str) -> None:
    with pytest.raises(Invalid):
        await rows.put(make_ticket(ticket_id=ticket_id))


async def test_more_than_one_statement_holds(rows: Rows) -> None:
    some = [make_ticket(number) for number in range(1, 1202)]
    assert set((await rows.put(*some)).values()) == {"added"}
    assert set((await rows.put(*some)).values()) == {"unchanged"}
    assert await rows.count(TicketRow) == 1201
    assert await rows.do(lambda r: len(r.known("freshdesk", [str(n) for n in range(2000)]))) == 1201


# messages


async def test_messages_are_kept_with_their_own_moments_and_may_be_empty(rows: Rows) -> None:
    """(003-10, 003-16)"""
    await rows.put(make_ticket())
    items = [make_message(2, content=""), make_message(1, message_type="private", author_type="agent")]
    assert await rows.talk("1", *items)
    kept = await rows.find("1")
    found = await rows.do(lambda r: r.conversations(kept.id, 10))
    assert [one.data for one in found] == [items[1], items[0]]
    assert (kept.conversations, kept.version, found[0].ticket) == (2, 2, kept.id)
    public = await rows.do(lambda r: r.conversations(kept.id, 10, include_private=False))
    assert [one.data for one in public] == [items[0]]


async def test_the_same_messages_again_write_nothing_and_exactly_these_stay(rows: Rows) -> None:
    await rows.put(make_ticket())
    one, two, three = (make_message(number) for number in (1, 2, 3))
    assert await rows.talk("1", one, two)
    kept = await rows.find("1")
    await rows.do(lambda r: r.mark_processed([(kept.id, kept.content_hash)]))
    assert not await rows.talk("1", two, one, now=LATER)
    assert (await rows.find("1")).is_processed
    assert await rows.talk("1", two, three, now=LATER)
    now = await rows.find("1")
    assert (now.is_processed, now.conversations) == (False, 2)
    found = await rows.do(lambda r: r.conversations(kept.id, 10))
    assert [message.data.conversation_id for message in found] == ["c2", "c3"]
    assert [message.created_at for message in found] == [NOW, LATER]
    gone = await rows.do(lambda r: IntegratedObjectRepository(r._connection, "alpha").get_by_tenant("conversation"))
    assert {one.data.original_id: one.deleted_at is None for one in gone} == {"c1": False, "c2": True, "c3": True}


async def test_messages_go_on_where_a_page_ended(rows: Rows) -> None:
    await rows.put(make_ticket())
    await rows.talk("1", *(make_message(number, platform_created_at=NOW) for number in range(25)))
    kept = await rows.find("1")
    seen: list[str] = []
    after: tuple[datetime, UUID] | None = None
    while page := await rows.do(lambda r, after=after: r.conversations(kept.id, 10, after)):
        seen += [one.data.conversation_id for one in page]
        after = (NOW, page[-1].id)
    assert sorted(seen) == sorted(f"c{number}" for number in range(25))


async def test_messages_of_a_ticket_that_is_not_there_are_refused(rows: Rows, database: Database) -> None:
    """(003-10) Every message has its ticket, of the same tenant."""
    await Rows(database, "beta").put(make_ticket())
    with pytest.raises(TicketNotFound):
        await rows.talk("1", make_message())


async def test_a_message_that_moved_to_another_ticket_is_there_once(rows: Rows) -> None:
    await rows.put(make_ticket(1), make_ticket(2))
    await rows.talk("1", make_message(1), make_message(2))
    await rows.talk("2", make_message(1))
    assert await rows.count(ConversationRow) == 2
    two = await rows.find("2")
    assert [one.data.conversation_id for one in await rows.do(lambda r: r.conversations(two.id, 5))] == ["c1"]


async def test_a_mark_is_only_set_where_the_content_is_still_the_same(rows: Rows) -> None:
    await rows.put(make_ticket())
    kept = await rows.find("1")
    await rows.talk("1", make_message())
    await rows.do(lambda r: r.mark_processed([(kept.id, kept.content_hash)]))
    assert not (await rows.find("1")).is_processed
    assert not await rows.do(lambda r: r.set_summary(kept.id, {"problem": "x"}, kept.content_hash))
    now = await rows.find("1")
    assert await rows.do(lambda r: r.set_summary(kept.id, {"problem": "x"}, now.content_hash))
    assert (await rows.find("1")).summary == {"problem": "x", "content": now.content_hash}
    assert [one.id for one in await rows.do(lambda r: r.unprocessed(10))] == [kept.id]


# what happens at the platform


async def test_deleted_and_spam_tickets_leave_the_list_and_come_back(rows: Rows) -> None:
    await rows.put(make_ticket(1), make_ticket(2), make_ticket(3))
    ids = {number: (await rows.find(str(number))).id for number in (1, 2, 3)}
    assert await rows.do(lambda r: r.remove("freshdesk", ["1", "404"], now=NOW, deleted=True)) == [ids[1]]
    assert await rows.do(lambda r: r.remove("freshdesk", ["1"], now=NOW, deleted=True)) == []
    assert await rows.do(lambda r: r.remove("freshdesk", ["2"], now=NOW, spam=True)) == [ids[2]]
    assert await rows.ids() == ["3"]
    assert await rows.ids(deleted=True, spam=None) == ["1"]
    known = await rows.do(lambda r: r.known("freshdesk", ["1", "2"]))
    assert (known["1"].deleted, known["2"].spam) == (True, True)
    assert await rows.put(make_ticket(1), now=LATER) == {"1": "changed"}
    assert await rows.ids() == ["3", "1"]


async def test_a_merge_is_remembered_when_the_platform_no_longer_says_it(rows: Rows) -> None:
    await rows.put(make_ticket(1), make_ticket(2))
    await rows.do(lambda r: r.remove("freshdesk", ["1"], now=NOW, merged_into="2"))
    await rows.put(make_ticket(1, title="x", platform_updated_at=LATER))
    assert (await rows.find("1")).data.merged_into == "2"


async def test_what_a_complete_reading_did_not_meet_is_named(rows: Rows) -> None:
    await rows.put(*(make_ticket(number) for number in range(1, 8)))
    await rows.put(make_ticket(99), now=LATER)  # came by a webhook while the reading was under way
    left: list[str] = []
    after: UUID | None = None
    while True:
        some, after = await rows.do(
            lambda r, after=after: r.unseen("freshdesk", {"1", "2", "5"}, taken_before=LATER, after=after, limit=3)
        )
        left += some
        if after is None:
            break
    assert sorted(left) == ["3", "4", "6", "7"]


async def test_purging_a_platform_leaves_nothing_of_it_and_nothing_else_is_touched(
    rows: Rows, database: Database
) -> None:
    other, own = Rows(database, "beta"), Rows(database, platform="api")
    for one in (rows, other, own):
        await one.put(make_ticket(1), make_ticket(2))
        await one.talk("1", make_message(conversation_id=f"{one.platform}"))
    assert await rows.do(lambda r: r.purge("freshdesk", limit=1)) == 1
    assert await rows.do(lambda r: r.purge("freshdesk")) == 1
    for one, model, number in (
        (rows, TicketRow, 2),
        (rows, ConversationRow, 1),
        (rows, IntegratedObjectRow, 3),
        (other, TicketRow, 2),
        (other, ConversationRow, 1),
        (other, IntegratedObjectRow, 3),
    ):
        assert await one.count(model) == number
    assert {one.platform for one in await rows.do(lambda r: r.list(TicketFilter(), 10))} == {"api"}


# lists


async def test_a_list_has_an_order_and_goes_on_where_a_page_ended(rows: Rows) -> None:
    """(000-11, 003-11) Equal moments too: none twice, none missed."""
    await rows.put(*(make_ticket(number, platform_updated_at=NOW + timedelta(number // 7)) for number in range(1, 50)))
    seen: list[str] = []
    before: tuple[datetime, UUID] | None = None
    while page := await rows.do(lambda r, before=before: r.list(TicketFilter(), 10, before)):
        seen += [one.data.ticket_id for one in page]
        last = page[-1]
        assert last.data.platform_updated_at is not None
        before = (last.data.platform_updated_at, last.id)
    assert len(seen) == len(set(seen)) == 49
    assert [int(number) // 7 for number in seen] == sorted((number // 7 for number in range(1, 50)), reverse=True)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({"status": (2,)}, {"1", "4"}),
        ({"status": (4, 5)}, {"2", "3"}),
        ({"priority": (4,)}, {"3"}),
        ({"assignee_email": "AGENT@example.com"}, {"1", "2"}),
        ({"requester_email": "customer3@example.com"}, {"3"}),
        ({"tag": "billing"}, {"1", "2"}),
        ({"tag": "bill"}, set()),
        ({"tag": ","}, set()),
        ({"tag": '환"불'}, {"3"}),
        ({"is_processed": True}, set()),
        ({"is_processed": False, "status": (2,), "priority": (1,)}, {"1"}),
        ({"updated_from": NOW + timedelta(minutes=2), "updated_to": NOW + timedelta(minutes=3)}, {"2"}),
        ({"created_from": NOW - timedelta(days=1)}, {"1", "2", "3"}),
        ({"created_to": NOW - timedelta(days=1)}, {"4"}),
        ({"created_from": NOW - timedelta(days=3), "created_to": NOW - timedelta(days=3)}, set()),
        ({"text": "결제"}, {"1", "2", "3"}),
        ({"text": normalize("NFD", "결제")}, {"1", "2", "3"}),
        ({"text": "한글"}, {"4"}),
        ({"tag": normalize("NFD", '환"불')}, {"3"}),
        ({"text": "REFUND 100%"}, {"4"}),
        ({"text": "_"}, set()),
        ({"text": "#3"}, {"3"}),
        ({"platform": "api"}, set()),
        ({"platform": "freshdesk"}, {"1", "2", "3", "4"}),
    ],
)
async def test_each_filter_finds_what_it_says(rows: Rows, wanted: dict[str, Any], ids: set[str]) -> None:
    """(003-11) Typed filters; `updated_*` is the platform's time, not that of the import."""
    await rows.put(
        make_ticket(1),
        make_ticket(2, status=4, tags=("urgent", "billing")),
        make_ticket(3, status=5, priority=4, assignee_email=None, tags=('환"불', "x", "y")),
        make_ticket(
            4,
            priority=2,
            assignee_email="b@example.com",
            title=normalize("NFD", "Refund 100% please, 한글"),  # as a Mac writes it
            tags=(),
            platform_created_at=NOW - timedelta(days=3),
        ),
        now=LATER,
    )
    assert set(await rows.ids(**wanted)) == ids


async def test_what_is_too_long_to_be_looked_through_in_an_index_is_found_all_the_same(rows: Rows) -> None:
    tags = tuple(f"태그-{number}" for number in range(300))
    await rows.put(
        make_ticket(1, tags=tags, title=f"{'가' * 1900} needle"), make_ticket(2), make_ticket(3, tags=("a\n:b",))
    )
    assert await rows.ids(tag="태그-299") == await rows.ids(text="NEEDLE") == ["1"]
    assert await rows.ids(tag="billing") == ["2"]
    assert await rows.ids(text="2") == ["2"]
    assert await rows.ids(tag="b") == []


async def test_a_page_of_what_is_looked_through_has_the_true_total(rows: Rows) -> None:
    await rows.put(*(make_ticket(number) for number in range(1, 12)), make_ticket(12, title="other", tags=()))
    for wanted in (
        TicketFilter(text="결제"),
        TicketFilter(tag="billing"),
        TicketFilter(status=(2,), platform="freshdesk"),
    ):
        every = await rows.do(lambda r: r.list(wanted, 100))  # noqa: B023 - awaited at once
        before: tuple[datetime, UUID] | None = None
        seen: list[UUID] = []
        while True:
            found, total = await rows.do(lambda r: r.page(wanted, 4, before))  # noqa: B023 - awaited at once
            assert total == len(every)
            if not found:
                break
            seen += [one.id for one in found]
            before = (found[-1].data.platform_updated_at, found[-1].id)
        assert seen == [one.id for one in every]


async def test_a_ticket_is_found_by_both_of_its_ids_and_by_no_other_tenant(rows: Rows, database: Database) -> None:
    """(003-12)"""
    await rows.put(make_ticket(7))
    kept = await rows.find("7")
    assert await rows.do(lambda r: r.find(str(kept.id))) == kept == await rows.do(lambda r: r.get(kept.id))
    await Rows(database, platform="api").put(make_ticket(7))
    with pytest.raises(Invalid):
        await rows.do(lambda r: r.find("7"))
    stranger = Rows(database, "beta")
    for ticket_id in ("7", str(kept.id), str(uuid4()), "", "\0", "\ud800", "x" * 5000):
        with pytest.raises(TicketNotFound):
            await stranger.do(lambda r, ticket_id=ticket_id: r.find(ticket_id))
    for work in (lambda r: r.get(kept.id), lambda r: r.delete(kept.id), lambda r: r.update(kept.id, 1, kept.data, NOW)):
        with pytest.raises(TicketNotFound):
            await stranger.do(work)
    assert await stranger.do(lambda r: r.remove("freshdesk", ["7"], now=NOW, deleted=True)) == []
    assert await rows.find("7") == kept


async def test_of_two_changes_to_one_version_the_second_is_refused(rows: Rows) -> None:
    """(003-14) No lost updates."""
    await rows.put(make_ticket())
    kept = await rows.find("1")
    changes = [replace(kept.data, title=title) for title in ("one", "two")]
    done = await asyncio.gather(
        *(rows.do(lambda r, data=data: r.update(kept.id, kept.version, data, LATER)) for data in changes),
        return_exceptions=True,
    )
    assert [type(one) for one in done].count(VersionConflict) == 1
    (written,) = [one for one in done if not isinstance(one, BaseException)]
    assert written == await rows.find("1")
    assert (written.version, written.created_at) == (2, NOW)


async def test_statistics_count_everything_once(rows: Rows, database: Database) -> None:
    """(003-15)"""
    await Rows(database, "beta").put(make_ticket(1))
    await rows.put(
        make_ticket(1),
        make_ticket(2),
        make_ticket(3, status=9, status_name="고객 대기", priority=4),
        make_ticket(4),
        make_ticket(5),
    )
    one = await rows.find("1")
    await rows.do(lambda r: r.mark_processed([(one.id, one.content_hash)]))
    await rows.do(lambda r: r.remove("freshdesk", ["4"], now=NOW, spam=True))
    await rows.do(lambda r: r.remove("freshdesk", ["5"], now=NOW, deleted=True))
    found = await rows.do(lambda r: r.statistics())
    assert found.total == 3
    assert found.by_status == {"open": 2, "고객 대기": 1}
    assert found.by_priority == {"low": 2, "urgent": 1}
    assert (found.processed, found.unprocessed, found.spam, found.deleted) == (1, 2, 1, 1)
    assert (await rows.do(lambda r: r.statistics("api"))).total == 0


async def test_messages_are_listed_over_tickets(rows: Rows) -> None:
    """(003-16)"""
    await rows.put(make_ticket(1), make_ticket(2))
    await rows.talk("1", make_message(1), make_message(2, author_email="Agent@example.com", message_type="private"))
    await rows.talk("2", make_message(3))

    async def ids(**wanted: Any) -> list[str]:
        def work(repository: TicketRepository) -> list[str]:
            messages = ConversationRepository(repository._connection, "alpha")
            found = [one.data.conversation_id for one in messages.list(limit=10, **wanted)]
            assert messages.count(**wanted) == len(found)
            return found

        return await rows.do(work)

    assert await ids() == ["c3", "c2", "c1"]
    assert await ids(include_private=False) == ["c3", "c1"]
    assert await ids(author_email="agent@EXAMPLE.com") == ["c2"]
    assert await ids(created_from=NOW + timedelta(minutes=2), created_to=NOW + timedelta(minutes=3)) == ["c2"]
    several = await rows.do(lambda r: r.conversations_of([one.id for one in r.list(TicketFilter(), 10)]))
    assert sorted(len(found) for found in several.values()) == [1, 2]


async def test_removing_a_ticket_takes_its_messages_along(rows: Rows) -> None:
    await rows.put(make_ticket(1))
    await rows.talk("1", make_message(1))
    kept = await rows.find("1")
    await rows.do(lambda r: r.delete(kept.id))
    for model in (TicketRow, ConversationRow, IntegratedObjectRow):
        assert await rows.count(model) == 0


# integrated objects


async def test_objects_are_listed_in_order_by_kind_and_platform_page_by_page(rows: Rows) -> None:
    """(000-3, 000-11) An order, a cursor, a filter by platform and a bound on the limit."""
    for number in range(1, 31):
        await rows.put(make_ticket(number), now=NOW + timedelta(seconds=number // 3))
    await rows.talk("1", make_message(), now=LATER)

    async def page(*args: Any, **wanted: Any) -> list[Any]:
        return await rows.do(
            lambda r: IntegratedObjectRepository(r._connection, "alpha").get_by_tenant(*args, **wanted)
        )

    assert len(await page("ticket")) == 30
    assert len(await page(limit=10**9)) == 31
    assert [one.data.original_id for one in await page("conversation")] == ["c1"]
    assert await page(platform="api") == []
    seen: list[UUID] = []
    before = None
    while found := await page(limit=7, before=before):
        seen += [one.id for one in found]
        before = (found[-1].updated_at, found[-1].id)
    assert len(seen) == len(set(seen)) == 31
    first = (await page("ticket"))[-1]
    assert first.data.integrated_content.endswith("카드 결제가 안 됩니다.")
    assert first.data.original_data == {
        "id": int(first.data.original_id),
        "subject": f"결제 오류 {first.data.original_id}",
    }


# articles


def make_article(number: int = 1, **changes: Any) -> ArticleData:
    values: dict[str, Any] = {
        "article_id": str(number),
        "title": f"환불 안내 {number}",
        "description": "<p>7일 안에</p>",
        "audience": "customer",
        "published": True,
        "path": ("결제", "환불"),
        "tags": ("refund",),
        "platform_created_at": NOW,
        "platform_updated_at": NOW + timedelta(minutes=number),
    }
    return ArticleData(**(values | changes))


async def test_articles_are_put_listed_by_audience_and_kept_only_as_long_as_they_are_there(database: Database) -> None:
    async def do(work: Any, tenant: str = "alpha") -> Any:
        return await database.write(lambda c: work(ArticleRepository(c, tenant)))

    articles = [
        make_article(1),
        make_article(2, audience="member"),
        make_article(3, audience="agent"),
        make_article(4, published=False),
    ]
    await do(lambda r: r.put("freshdesk", articles, NOW), "beta")
    done = await do(lambda r: r.put("freshdesk", articles, NOW))
    assert {put.outcome for put in done.values()} == {"added"}
    assert {put.outcome for put in (await do(lambda r: r.put("freshdesk", articles, LATER))).values()} == {"unchanged"}
    for audience, ids in (("customer", ["1"]), ("member", ["2", "1"]), ("agent", ["4", "3", "2", "1"])):
        found = await do(lambda r, audience=audience: r.list(audience=audience, limit=10))
        assert [one.data.article_id for one in found] == ids
        assert await do(lambda r, audience=audience: r.count(audience=audience)) == len(ids)
    assert (await do(lambda r: r.find("1", "freshdesk"))).data == articles[0]

    waiting = await do(lambda r: r.unprocessed(10))
    await do(lambda r: r.mark_processed([(one.id, one.content_hash) for one in waiting]))
    changed = make_article(2, audience="agent", platform_updated_at=LATER)
    assert (await do(lambda r: r.put("freshdesk", [changed], LATER)))["2"].outcome == "changed"
    assert [one.data.article_id for one in await do(lambda r: r.unprocessed(10))] == ["2"]
    late = make_article(2, audience="customer")
    assert (await do(lambda r: r.put("freshdesk", [late], LATER)))["2"].outcome == "unchanged"

    gone = await do(lambda r: r.keep_only("freshdesk", ["2", "3"]))
    assert {one.id for one in waiting if one.data.article_id in {"1", "4"}} == set(gone)
    assert await do(lambda r: r.count()) == 2
    assert await do(lambda r: r.count(), "beta") == 4
    assert await Rows(database).count(ArticleRow) == 2


async def test_a_translation_is_closed_with_its_original_and_goes_by_its_own_name(database: Database) -> None:
    """(000-8, 000-25) In the transaction that closes the original, and not before; an opened one waits to be read."""

    async def do(work: Any, tenant: str = "alpha") -> Any:
        return await database.write(lambda c: work(ArticleRepository(c, tenant)))

    english = make_article(1, article_id="1:en", title="Refunds", language="en", translation_of="1", tags=())
    for tenant in ("alpha", "beta"):
        await do(lambda r: r.put("freshdesk", [make_article(1, language="ko"), english], NOW), tenant)
    assert (await do(lambda r: r.find("1:en", "freshdesk"))).data == english
    assert await do(lambda r: r.translations("freshdesk")) == [("1:en", "1", "en")]
    assert await do(lambda r: r.primary_language("freshdesk")) == "ko"
    both = [row.id for row in await do(lambda r: r.list(limit=10))]
    assert set((await do(lambda r: r.originals(both))).values()) == {"freshdesk:1"}
    assert await do(lambda r: r.originals(both), "beta") == {}

    waiting = await do(lambda r: r.unprocessed(10))
    closed = make_article(1, language="ko", audience="member")
    await do(lambda r: r.put("freshdesk", [closed], LATER))
    assert (await do(lambda r: r.find("1:en", "freshdesk"))).data.audience == "member"
    # What is being indexed meanwhile was read before, and does not count as this.
    await do(lambda r: r.mark_processed([(one.id, one.content_hash) for one in waiting]))
    assert len(await do(lambda r: r.unprocessed(10))) == 2
    await do(lambda r: r.put("freshdesk", [make_article(1, language="ko", audience="customer")], LATER))
    assert (await do(lambda r: r.find("1:en", "freshdesk"))).data.audience == "member"
    await do(lambda r: r.put("freshdesk", [make_article(1, language="ko", published=False)], LATER))
    assert (await do(lambda r: r.find("1:en", "freshdesk"))).data.audience == "agent"
    await do(lambda r: r.put("freshdesk", [make_article(1, language="ko"), english], LATER))
    assert (await do(lambda r: r.find("1:en", "freshdesk"))).data.audience == "customer"
    assert (await do(lambda r: r.find("1:en", "freshdesk"), "beta")).data.audience == "customer"

    assert len(await do(lambda r: r.keep_only("freshdesk", ["1"]))) == 1
    assert await do(lambda r: r.translations("freshdesk")) == []


async def test_what_no_language_model_has_summarised_is_found_page_by_page(rows: Rows) -> None:
    await rows.put(*(make_ticket(number) for number in range(1, 8)))
    tickets = {number: await rows.find(str(number)) for number in range(1, 8)}
    await rows.do(lambda r: r.mark_processed([(one.id, one.content_hash) for n, one in tickets.items() if n != 7]))

    def write(r: TicketRepository) -> None:
        r.set_summary(tickets[1].id, {"model": "gpt"}, tickets[1].content_hash)
        r.set_summary(tickets[2].id, {"model": "rules"}, tickets[2].content_hash)
        r.set_summary(tickets[3].id, {"model": "gpt"}, tickets[3].content_hash)

    await rows.do(write)
    await rows.talk("3", make_message())  # what was summarised is not what it is now
    changed = await rows.find("3")
    await rows.do(lambda r: r.mark_processed([(changed.id, changed.content_hash)]))
    await rows.do(lambda r: r.remove("freshdesk", ["5"], now=LATER, spam=True))

    found, place = [], None
    for _ in range(5):
        some, place = await rows.do(lambda r, place=place: r.unsummarized(2, place, rules="rules"))
        found += [one.id for one in some]
        if place is None:
            break
    assert place is None
    assert found == [tickets[number].id for number in (6, 4, 3, 2)]


@pytest.mark.parametrize("status", ["active", "suspended"])
async def test_tenants_are_found_by_what_they_chose(database: Database, status: Any) -> None:
    def put(connection: Any) -> None:
        for name, settings in (("alpha", {"summaries": "all"}), ("beta", {"summaries": "on_demand"}), ("gamma", {})):
            made = Tenant(
                tenant_id=name,
                name=name,
                status=status,
                plan="",
                limits=Limits(),
                platform=None,
                domain=None,
                settings=settings,
                version=1,
                created_at=NOW,
                updated_at=NOW,
            )
            TenantRepository(connection, name).insert(made)

    await database.write(put)
    found = await database.read(lambda c: AllTenants(c).that_chose("summaries", "all"))
    assert list(found) == (["alpha"] if status == "active" else [])


async def test_rows_are_written_in_the_order_of_their_keys_so_that_no_two_writers_wait_for_each_other(
    database: Database,
) -> None:
    def put(connection: Any) -> list[str]:
        rows: list[dict[str, Any]] = [
            {"tenant_id": "acme", "label": "tag", "key": key, "name": key, "properties": {}, "updated_at": NOW}
            for key in ("c", "a", "b")
        ]
        written = upsert(
            connection,
            table_of(EntityRow),
            rows,
            key=("tenant_id", "label", "key"),
            change=("name",),
            returning=("key",),
        )
        return [row.key for row in written]

    assert await database.write(of_everyone(put)) == ["a", "b", "c"]

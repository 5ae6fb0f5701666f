"""Tickets that a tenant keeps no longer go, with all that was made of them, and do not come back (I-6)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core.desk.retention import horizon, is_over
from backend.core.error import Unavailable
from backend.database.base import Database
from backend.dto.desk import Feedback, Summary
from backend.dto.knowledge_graph import EntityKey
from backend.dto.principal import OPERATE, Principal
from backend.dto.tenant import AuditFilter, TenantChange
from backend.dto.ticket import TicketData
from backend.repository.audit import AuditRepository
from backend.repository.feedback import FeedbackRepository, NoteRepository
from backend.repository.summary import SummaryRepository
from backend.repository.ticket import TicketRepository
from backend.service import retention
from backend.service.retention import RetentionService
from backend.service.tenant import TenantService
from backend.util.id_generator import new_id
from test.purge.rows import counts
from test.repository.test_ticket import make_message, make_ticket
from test.sync.desk import Office

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=31)
OPERATOR = Principal("default", "operator", scopes=frozenset({OPERATE}))


class Elsewhere:
    """Stands for index, files and graph."""

    def __init__(self) -> None:
        self.index: list[UUID] = []
        self.files: list[tuple[str, str]] = []
        self.graph: list[EntityKey] = []
        self.fails = False

    async def forget_threads(self, tenant_id: str) -> None:
        assert tenant_id == "acme"

    async def forget(self, tenant_id: str, sources: Sequence[EntityKey]) -> None:
        assert tenant_id == "acme"
        self.graph += sources

    async def remove(self, tenant_id: str, *what: Any) -> int:
        assert tenant_id == "acme"
        if self.fails:
            raise Unavailable("The index cannot be reached.")
        if len(what) == 1:
            self.index += what[0]
            return 0
        platform, numbers = what
        self.files += [(platform, number) for number in numbers]
        return len(numbers)


def service_of(database: Database, elsewhere: Elsewhere, now: datetime = NOW) -> RetentionService:
    stand_in: Any = elsewhere
    return RetentionService(
        database, stand_in, stand_in, stand_in, lambda: now, forget_threads=elsewhere.forget_threads
    )


async def keep_for(database: Database, tenant_id: str, days: int | None) -> None:
    tenants = TenantService(database, lambda: NOW)
    tenant = await tenants.ensure(tenant_id)
    await tenants.update(OPERATOR, tenant_id, TenantChange(settings={"retention_days": days}), tenant.version)


TICKETS = {
    "closed": make_ticket(1, status=5, platform_updated_at=OLD),
    "resolved": make_ticket(2, status=4, platform_updated_at=OLD),
    "spam": make_ticket(3, spam=True, platform_updated_at=OLD),
    "merged": make_ticket(4, merged_into="1", platform_updated_at=OLD),
    "open": make_ticket(5, status=2, platform_updated_at=OLD),
    "recent": make_ticket(6, status=5, platform_updated_at=NOW - timedelta(days=29)),
}
STAYING = ["5", "6"]


async def fill(database: Database, tenant_id: str) -> None:
    def work(connection: Any) -> None:
        tickets = TicketRepository(connection, tenant_id)
        tickets.put("freshdesk", list(TICKETS.values()), OLD)
        for ticket in TICKETS.values():
            number = ticket.ticket_id
            tickets.put_conversations("freshdesk", number, [make_message(int(number))], OLD)
            NoteRepository(connection, tenant_id).claim("freshdesk", f"key {number}", number, OLD)
            FeedbackRepository(connection, tenant_id).add(_feedback(tenant_id, number))
        for age in (OLD, NOW):
            SummaryRepository(connection, tenant_id).put(_summary(str(age)), age)

    await database.write(work)


def _feedback(tenant_id: str, number: str) -> Feedback:
    return Feedback(
        feedback_id=new_id(),
        tenant_id=tenant_id,
        user_id="kim",
        kind="accept",
        platform="freshdesk",
        ticket_id=number,
        run_id=None,
        thread_id=None,
        draft="a customer's words",
        final=None,
        comment=None,
        created_at=OLD,
    )


def _summary(digest: str) -> Summary:
    return Summary(
        problem="p",
        cause="c",
        solution="s",
        result="r",
        keywords=(),
        language="ko",
        model="m",
        prompt="1",
        digest=digest,
    )


async def numbers(database: Database, tenant_id: str) -> list[str]:
    def read(connection: Any) -> list[str]:
        known = TicketRepository(connection, tenant_id).known("freshdesk", [str(n) for n in range(1, 8)])
        return sorted(known)

    return await database.read(read)


async def test_what_is_done_with_and_old_goes_with_all_that_hangs_on_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    for tenant_id, days in (("acme", 30), ("other", None)):
        await keep_for(database, tenant_id, days)
        await fill(database, tenant_id)
    before = await counts(database, "other")
    elsewhere = Elsewhere()
    for _ in range(2):  # once more finds nothing
        await service_of(database, elsewhere).sweep()
    assert await numbers(database, "acme") == STAYING
    left = await counts(database, "acme")
    assert [left[name] for name in ("tickets", "conversations", "feedback", "written_notes")] == [2, 2, 2, 2]
    assert left["integrated_objects"] == 4
    assert left["summaries"] == 1
    gone = {("freshdesk", str(number)) for number in range(1, 5)}
    assert (len(set(elsewhere.index)), set(elsewhere.files)) == (4, gone)
    assert EntityKey("ticket", "freshdesk:1") in elsewhere.graph
    assert await counts(database, "other") == before
    log = await database.read(lambda c: AuditRepository(c, "acme").list(AuditFilter(action="tickets.expired"), 5))
    assert [(entry.actor, entry.target, entry.detail) for entry in log] == [
        ("server", None, {"tickets": 4, "attachments": 4})
    ]


async def test_what_cannot_be_made_unfindable_stays_in_the_tables(database: Database) -> None:
    """The rows say what is still to be removed, so they go last."""
    await keep_for(database, "acme", 30)
    await fill(database, "acme")
    elsewhere = Elsewhere()
    elsewhere.fails = True
    await service_of(database, elsewhere).sweep()
    assert len(await numbers(database, "acme")) == 6
    elsewhere.fails = False
    await service_of(database, elsewhere).sweep()
    assert await numbers(database, "acme") == STAYING


async def test_what_may_be_on_its_way_into_the_index_waits_for_the_next_sweep(database: Database) -> None:
    """Or its text would come into the index after it was taken out."""
    await keep_for(database, "acme", 30)
    ticket = TICKETS["closed"]

    def put(connection: Any) -> Any:
        tickets = TicketRepository(connection, "acme")
        tickets.put("freshdesk", [ticket], NOW)
        return tickets.find("1")

    kept = await database.write(put)
    await service_of(database, Elsewhere()).sweep()
    assert await numbers(database, "acme") == ["1"]
    await database.write(lambda c: TicketRepository(c, "acme").mark_processed([(kept.id, kept.content_hash)]))
    await service_of(database, Elsewhere()).sweep()
    assert await numbers(database, "acme") == []


async def test_what_changes_while_it_is_removed_stays(database: Database) -> None:
    await keep_for(database, "acme", 30)
    await fill(database, "acme")

    class Changing(Elsewhere):
        async def remove(self, tenant_id: str, *what: Any) -> int:
            news = make_ticket(1, status=2, platform_updated_at=NOW)  # its customer writes again
            await database.write(lambda c: TicketRepository(c, "acme").put("freshdesk", [news], NOW))
            return await super().remove(tenant_id, *what)

    await service_of(database, Changing()).sweep()
    assert await numbers(database, "acme") == ["1", *STAYING]
    kept = await database.read(lambda c: TicketRepository(c, "acme").find("1"))
    assert not kept.is_processed  # so that it is found again


async def test_a_collection_does_not_bring_back_what_the_retention_removed(office: Office) -> None:
    desk = office.desk
    desk.now = NOW - timedelta(days=100)
    for number in (1, 2, 3):
        desk.write(number, status=5)
    desk.write(4)
    desk.now = NOW
    desk.write(5, status=5)
    await office.collect("full")
    assert len(await office.titles()) == 5
    await keep_for(office.database, "acme", 30)
    await service_of(office.database, Elsewhere()).sweep()
    assert await office.titles() == ["Ticket 4", "Ticket 5"]
    asked = desk.count("conversations")
    job = await office.collect("full", reread=True)
    assert job.status == "success"
    assert await office.titles() == ["Ticket 4", "Ticket 5"]
    assert desk.count("conversations") - asked == 2  # nothing is asked for what would not be kept
    job = await office.collect("ticket", ticket_ids=["1"])  # a webhook names it
    assert await office.titles() == ["Ticket 4", "Ticket 5"]
    desk.write(1, status=2)  # its customer writes again
    await office.collect()
    assert await office.titles() == ["Ticket 1", "Ticket 4", "Ticket 5"]


async def test_one_that_is_closed_at_last_is_noted_before_it_goes(office: Office) -> None:
    """What is here as open and there as closed long ago must not stay here as open."""
    desk = office.desk
    desk.now = NOW - timedelta(days=100)
    desk.write(1)
    await office.collect("full")
    desk.write(1, status=5)
    await keep_for(office.database, "acme", 30)
    await office.collect()
    assert await office.titles() == ["Ticket 1"]
    await service_of(office.database, Elsewhere()).sweep()
    assert await office.titles() == []


@given(
    st.builds(
        lambda status, spam, deleted, merged, age: make_ticket(
            1,
            status=status,
            spam=spam,
            deleted=deleted,
            merged_into=merged,
            platform_updated_at=None if age is None else NOW - timedelta(days=age),
        ),
        st.integers(2, 7),
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, "9"]),
        st.sampled_from([None, 0, 29, 30, 31, 4000]),
    )
)
def test_only_what_is_done_with_can_be_over(ticket: TicketData) -> None:
    over = is_over(ticket, horizon(NOW, 30))
    done = ticket.status in {4, 5} or ticket.spam or ticket.deleted or ticket.merged_into is not None
    updated = ticket.platform_updated_at
    assert over == (done and updated is not None and (NOW - updated).days > 30)
    assert not is_over(ticket, horizon(NOW, None))

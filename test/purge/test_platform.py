"""What was collected from a platform goes with what was made of it, and nothing else (000-57)."""

from dataclasses import replace
from typing import Any

from backend.database.base import Database
from backend.dto.knowledge_graph import Entity, EntityKey, Relation
from backend.dto.ticket import TicketData
from backend.repository.feedback import FeedbackRepository, NoteRepository
from backend.repository.installation import AllInstallations, PlatformEventRepository
from backend.repository.knowledge_graph import KnowledgeGraphRepository
from backend.repository.ticket import TicketRepository
from backend.service import platform_removal
from backend.service.platform_removal import PlatformRemoval
from test.freshdesk.test_removal import Parts
from test.purge.rows import FAR, fill
from test.purge.test_retention import NOW, OLD, _feedback

TICKETS = [Entity(label="ticket", key=f"freshdesk:{number}", name=f"#{number}") for number in range(1, 6)]
CODE = Entity(label="error_code", key="E-1042", name="E-1042")
KEPT_CODE = Entity(label="error_code", key="E-2000", name="E-2000")
PRODUCT = Entity(label="product", key="pay", name="Pay")
COMPANY = Entity(label="company", key="freshdesk:9", name="9")
OTHER_DESK = Entity(label="ticket", key="api:1", name="#1")


def _mentions(ticket: Entity, what: Entity) -> Relation:
    return Relation(source=ticket.id, type="mentions", target=what.id, properties={})


async def _live(database: Database, tenant_id: str) -> None:
    def work(connection: Any) -> None:
        graph = KnowledgeGraphRepository(connection, tenant_id)
        graph.put_entities([*TICKETS, CODE, KEPT_CODE, PRODUCT, COMPANY, OTHER_DESK], NOW)
        graph.put_relations([_mentions(ticket, CODE) for ticket in TICKETS], NOW)
        graph.put_relations([_mentions(OTHER_DESK, KEPT_CODE)], NOW)
        notes = NoteRepository(connection, tenant_id)
        for platform in ("freshdesk", "api"):
            notes.claim(platform, "key", "1", NOW)
            notes.written(platform, "key", "7")
        FeedbackRepository(connection, tenant_id).add(_feedback(tenant_id, "1"))

    await database.write(work)


async def _left(database: Database, tenant_id: str) -> tuple[list[EntityKey], list[str | None], int]:
    def read(connection: Any) -> tuple[list[EntityKey], list[str | None], int]:
        found = KnowledgeGraphRepository(connection, tenant_id).find(None, "", 50)
        notes = NoteRepository(connection, tenant_id)
        written = [notes.find(platform, "key") for platform in ("freshdesk", "api")]
        return sorted(one.id for one in found), written, len(FeedbackRepository(connection, tenant_id).list(limit=9))

    return await database.read(read)


async def test_graph_notes_and_feedback_of_a_platform_go_with_it(database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr(platform_removal, "BATCH", 2)
    for tenant_id in ("alice", "mallory"):
        await _live(database, tenant_id)
    before = await _left(database, "mallory")
    parts = Parts()
    await PlatformRemoval(database, parts, parts, parts, forget_threads=parts.forget_threads).purge(
        "alice", "freshdesk"
    )
    kept = sorted(one.id for one in (KEPT_CODE, PRODUCT, OTHER_DESK))
    assert await _left(database, "alice") == (kept, [None, "7"], 0)
    assert await _left(database, "mallory") == before
    assert len(before[0]) == 10


async def test_webhooks_are_remembered_for_a_while_only(database: Database) -> None:
    await fill(database, "alice")  # one that is not old, at FAR

    def work(connection: Any) -> list[int]:
        events = PlatformEventRepository(connection, "alice")
        for number in range(5):
            events.add("freshdesk", str(number), OLD)
        removed = [AllInstallations(connection).forget_events(NOW, 3) for _ in range(3)]
        assert NOW < FAR
        assert events.seen("alice", "alice")
        return removed

    assert await database.write(work) == [3, 2, 0]


async def test_feedback_of_no_platform_goes_with_the_ticket_that_it_names_and_not_else(database: Database) -> None:
    given = [
        replace(_feedback("alice", "1"), platform=None, comment="of a ticket that is gone"),
        replace(_feedback("alice", "kept-1"), platform=None, comment="of another desk's ticket"),
        replace(_feedback("alice", "1"), platform=None, ticket_id=None, comment="of no ticket"),
        replace(_feedback("alice", "1"), platform="api", comment="of another platform"),
    ]

    def work(connection: Any) -> list[str | None]:
        ticket = TicketData(ticket_id="kept-1", title="Kept", description="", status=2, status_name="Open", priority=1)
        TicketRepository(connection, "alice").put("api", [ticket], NOW)
        every = FeedbackRepository(connection, "alice")
        for feedback in given:
            every.add(feedback)
        every.purge("freshdesk")
        return [one.comment for one in every.list(limit=9)]

    left = await database.write(work)
    assert set(left) == {"of another desk's ticket", "of no ticket", "of another platform"}

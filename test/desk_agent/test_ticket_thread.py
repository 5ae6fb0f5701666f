"""A thread that was about a ticket goes with the ticket: nothing of its words is left in any table (I-6)."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from langgraph_sdk import get_client
from sqlalchemy import Connection, insert, select

from backend.container import part
from backend.database.model import Base, WebhookDeliveryRow, table_of
from backend.database.tenant_scope import EVERYONE, name_tenant
from backend.dto.ticket import TicketData
from backend.repository.ticket import TicketRepository
from test.desk_agent.conftest import ALICE, MALLORY, NOW, House, message

MARKER = "quetzalcoatl"
SAID_ON_THREADS = ("threads", "thread_metadata", "runs", "run_events", "checkpoints", "writes", "ticket_threads")
OLD = datetime(2020, 1, 1, tzinfo=UTC)


async def _put(house: House, tenant: str = "default", **changes: Any) -> None:
    """Take in a ticket with the marker in all that is said in it."""
    values: dict[str, Any] = {
        "ticket_id": "77",
        "title": f"Refund of a broken order {MARKER}",
        "description": f"I would like a refund of the broken order {MARKER}. How long does a refund take?",
        "status": 5,
        "status_name": "closed",
        "priority": 2,
        "requester_name": "Minji Kim",
        "platform_created_at": OLD,
        "platform_updated_at": OLD,
    }

    def work(connection: Connection) -> None:
        tickets = TicketRepository(connection, tenant)
        tickets.put("freshdesk", [TicketData(**(values | changes))], NOW)
        tickets.put_conversations(
            "freshdesk", "77", [message(f"77-{tenant}", f"We look at {MARKER}.", kind="note")], NOW
        )

    await house.container.database().write(work)
    await _index(house, tenant)


async def _index(house: House, tenant: str = "default") -> None:
    async for _ in house.container.support_index().work(tenant):
        pass


async def _talk(house: House) -> list[str]:
    """Have the ticket read through every door; return the threads."""
    draft = await house.draft("77")
    decided = await house.draft("77")
    await house.decide(decided["run_id"], action="edit", text=f"No {MARKER}.", write_note=True)
    async with get_client(url=house.url, headers={"Authorization": f"Bearer {ALICE}"}) as client:
        by_name, summary = await client.threads.create(), await client.threads.create()
        said: dict[str, Any] = {"messages": [{"role": "user", "content": "ticket 77"}]}
        await client.runs.wait(by_name["thread_id"], "copilot", input=said)
        await client.runs.wait(summary["thread_id"], "summary", input={"ticket_id": "77"})
        # A thread that goes on with another ticket still has what it said of the first one.
        await client.runs.wait(summary["thread_id"], "summary", input={"ticket_id": "60"})
    copied = (await house.http.post(f"/threads/{draft['thread_id']}/copy")).json()
    return [draft["thread_id"], decided["thread_id"], by_name["thread_id"], summary["thread_id"], copied["thread_id"]]


async def _tables_with(house: House, word: str) -> set[str]:
    def read(connection: Connection) -> set[str]:
        name_tenant(connection, EVERYONE)
        return {
            str(table.name)
            for table in Base.metadata.sorted_tables
            for row in connection.execute(select(table))
            if any(word in (one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)) for one in row)
        }

    return await house.container.database().read(read)


async def _there(house: House, threads: Sequence[str]) -> list[int]:
    return [(await house.http.get(f"/threads/{thread}")).status_code for thread in threads]


async def test_a_ticket_that_is_deleted_at_its_platform_takes_its_threads_with_it(house: House) -> None:
    await _put(house)
    await _put(house, "other")
    threads = await _talk(house)
    other = await house.draft("42")
    theirs = await house.stranger.post("/api/v1/tickets/77/drafts", json={})
    assert theirs.status_code == 200
    assert {"threads", "runs", "checkpoints"} <= await _tables_with(house, MARKER)

    await house.container.database().write(  # as a collection or a webhook's reading leaves it
        lambda c: TicketRepository(c, "default").remove("freshdesk", ["77"], now=NOW, deleted=True)
    )
    await _index(house)

    assert await _there(house, threads) == [404] * 5
    assert await _there(house, [other["thread_id"]]) == [200]
    async with house.client(MALLORY) as stranger:
        assert (await stranger.get(f"/threads/{theirs.json()['thread_id']}")).status_code == 200


async def test_a_deleted_ticket_is_read_on_no_thread(house: House) -> None:
    await _put(house)
    draft = await house.draft("77")
    await house.container.database().write(
        lambda c: TicketRepository(c, "default").remove("freshdesk", ["77"], now=NOW, deleted=True)
    )
    refused = await house.http.post("/api/v1/tickets/77/drafts", json={})
    assert refused.status_code == 404, refused.text
    # The index has not come to it yet, so the draft still waits: nothing is written for it any more.
    path = f"/api/v1/drafts/{draft['run_id']}/decision"
    decided = await house.http.post(path, json={"action": "accept", "write_note": True})
    assert decided.status_code == 404, decided.text
    assert house.source.notes == []


async def test_nothing_of_a_ticket_is_left_when_its_time_is_over(house: House) -> None:
    await _put(house)
    threads = await _talk(house)
    own = (await house.http.get("/api/v1/tenant")).json()
    kept = {"settings": {"retention_days": 30}, "version": own["version"]}
    answer = await house.http.patch("/api/v1/tenant", json=kept, headers={"If-Match": f'"{own["version"]}"'})
    assert answer.status_code == 200, answer.text

    await house.container.retention_service().apply("default")

    assert await _there(house, threads) == [404] * 5
    assert await _tables_with(house, MARKER) == set()


async def test_what_a_run_still_does_is_stopped_when_a_platform_is_purged(house: House) -> None:
    await _put(house)
    threads = await _talk(house)
    draft = await house.draft("77")
    house.source.gate, house.source.came = asyncio.Event(), asyncio.Event()
    decision = {"action": "accept", "write_note": True}
    deciding = asyncio.create_task(house.http.post(f"/api/v1/drafts/{draft['run_id']}/decision", json=decision))
    async with asyncio.timeout(10):
        await house.source.came.wait()  # the run is in the middle of writing the note

    await part.removal(house.container).purge("default", "freshdesk")

    assert (await deciding).status_code != 200 or (await deciding).json()["status"] != "success"
    assert await _there(house, [*threads, draft["thread_id"]]) == [404] * 6
    assert await _tables_with(house, MARKER) == set()


async def test_a_ticket_of_the_tenants_own_takes_its_threads_with_it(house: House) -> None:
    body = {"title": "Refund", "description": f"I would like a refund of the broken order {MARKER}. How long?"}
    made = (await house.http.post("/api/v1/tickets", json=body)).json()["items"][0]
    await _index(house)
    draft = await house.draft(made["id"])
    assert (await house.http.delete(f"/api/v1/tickets/{made['id']}")).status_code == 204
    assert await _there(house, [draft["thread_id"]]) == [404]
    assert await _tables_with(house, MARKER) == set()


async def test_what_a_dead_server_left_is_swept(house: House) -> None:
    await _put(house)
    threads = await _talk(house)
    await house.container.database().write(  # its rows are gone, and the server died before it came to the threads
        lambda c: TicketRepository(c, "default").purge("freshdesk", limit=100)
    )
    await house.container.ticket_thread_service().sweep()
    assert await _there(house, threads) == [404] * 5


async def test_a_summary_that_was_made_while_its_ticket_went_is_swept(house: House) -> None:
    await _put(house)
    assert (await house.http.get("/api/v1/tickets/77/summary")).status_code == 200
    await house.container.database().write(lambda c: TicketRepository(c, "default").purge("freshdesk", limit=100))
    assert await _tables_with(house, MARKER) & {"summaries"} == {"summaries"}
    await house.container.ticket_thread_service().sweep()
    assert "summaries" not in await _tables_with(house, MARKER)


async def test_what_was_still_to_be_told_of_a_run_goes_too(house: House) -> None:
    await _put(house)
    draft = await house.draft("77")
    delivery = {
        "delivery_id": UUID(int=1),
        "tenant_id": "default",
        "run_id": UUID(draft["run_id"]),
        "url": "https://hooks.example.com",
        "body": MARKER.encode(),
        "attempts": 1,
        "due_at": datetime(2099, 1, 1, tzinfo=UTC),
        "created_at": NOW,
    }

    def work(connection: Connection) -> None:
        connection.execute(insert(table_of(WebhookDeliveryRow)).values(delivery))
        TicketRepository(connection, "default").remove("freshdesk", ["77"], now=NOW, deleted=True)

    await house.container.database().write(work)
    await _index(house)
    assert await _tables_with(house, MARKER) & {*SAID_ON_THREADS, "webhook_deliveries"} == set()

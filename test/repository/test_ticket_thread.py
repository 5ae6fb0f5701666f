"""Which threads hold what an agent read of a ticket, on a database where two write at once."""

import asyncio
from uuid import uuid4

from sqlalchemy import Connection, func, select, text
from sqlalchemy.util import await_only

from backend.database.model import TicketThreadRow, table_of
from backend.database.postgres import PostgresDatabase
from backend.database.tenant_scope import name_tenant
from backend.dto.thread import Thread
from backend.repository.thread import ThreadRepository
from backend.repository.ticket import TicketRepository
from backend.repository.ticket_thread import TicketThreadRepository
from test.repository.test_ticket import NOW, make_ticket


async def test_two_that_read_a_ticket_on_one_thread_at_once_tie_it_once(prepared_postgres_url: str) -> None:
    database = PostgresDatabase(prepared_postgres_url)
    await database.open()
    thread_id = uuid4()
    first_has_tied = asyncio.Event()

    def fill(connection: Connection) -> None:
        TicketRepository(connection, "acme").put("api", [make_ticket(1)], NOW)
        ThreadRepository(connection, "acme").insert(Thread(thread_id, "acme", "idle", None, {}, NOW, NOW))

    def tie(connection: Connection) -> None:
        ticket = TicketRepository(connection, "acme").find("1").id
        TicketThreadRepository(connection, "acme").tie(ticket, thread_id)

    def tie_first(connection: Connection) -> None:
        tie(connection)
        first_has_tied.set()
        waiting = text("SELECT count(*) FROM pg_locks WHERE transactionid = pg_current_xact_id()::xid AND NOT granted")
        while not connection.scalar(waiting):  # until the second one waits for what this one commits
            await_only(asyncio.sleep(0))

    async def tie_second() -> None:
        await first_has_tied.wait()
        await database.write(tie)

    def count(connection: Connection) -> int:
        name_tenant(connection, "acme")
        return connection.scalar(select(func.count()).select_from(table_of(TicketThreadRow))) or 0

    await database.write(fill)
    async with asyncio.timeout(60):
        await asyncio.gather(database.write(tie_first), tie_second())
    assert await database.read(count) == 1
    await database.close()

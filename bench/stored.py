"""What many stored threads cost those who list them."""

import statistics
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
from rich.table import Table
from sqlalchemy import Connection

from backend.database.migrate import migrate
from backend.database.sqlite import SqliteDatabase
from backend.dto.principal import DEFAULT_TENANT
from backend.dto.thread import Thread
from backend.repository.thread import ThreadRepository
from bench.client import Client
from bench.scenario import INPUT
from bench.side import Door, measured_graphs, server

FEW, MANY = 100, 10_000
ASKED, WARM = 200, 20
OWNERS = 50
SAID = {"type": "human", "content": "x" * 200, "id": "1"}
ASKS: dict[str, tuple[str, Any]] = {
    "search by metadata": ("/threads/search", {"metadata": {"owner": "owner-7"}, "limit": 10}),
    "search, newest 10": ("/threads/search", {}),
    "search, fields without states": ("/threads/search", {"select": ["thread_id", "status", "metadata"]}),
    "count": ("/threads/count", {}),
    "count by metadata": ("/threads/count", {"metadata": {"owner": "owner-7"}}),
    "history of a thread": ("/threads/{thread}/history", {"limit": 10}),
}


async def stored_threads(folder: Path) -> Table:
    """Ask two servers, one with few threads and one with many, in turns; return the medians."""
    table = Table(
        *("p50", f"{FEW} threads", f"{MANY:,} threads", "÷", "must", "aim", "reached"),
        title="Stored threads",
        title_justify="left",
    )
    folders = {count: folder / f"stored_{count}" for count in (FEW, MANY)}
    for count, one in folders.items():
        await fill(one / "data", count)
    async with AsyncExitStack() as stack:
        few, many = [await stack.enter_async_context(server(one, {}, **measured_graphs())) for one in folders.values()]
        sides = [
            (count, await stack.enter_async_context(Client(door.port)), await _talked(door))
            for count, door in ((FEW, few), (MANY, many))
        ]
        for name, (path, body) in ASKS.items():
            times: dict[int, list[float]] = {FEW: [], MANY: []}
            for number in range(ASKED + WARM):
                for count, client, thread in sides:
                    took = await _asked(client, path.format(thread=thread), body, count)
                    if number >= WARM:
                        times[count].append(took)
            left, right = (statistics.median(found) * 1000 for found in times.values())
            ratio = right / left
            reached = "aim" if ratio <= 1.1 and right <= 1 else "must" if ratio <= 1.5 else "short"
            cells = (f"{left:.2f} ms", f"{right:.2f} ms", f"{ratio:.2f}", "≤ 1.50", "≤ 1.10, ≤ 1 ms", reached)
            table.add_row(name, *cells)
    return table


async def fill(folder: Path, count: int) -> None:
    """Make a server's data with threads that each have metadata and a state."""
    path = folder / "sqlite-data" / "daedap" / "sqlite.db"
    await migrate(SqliteDatabase(path, foreign_keys=False))
    database = SqliteDatabase(path)
    await database.open()
    now = datetime.now(UTC)
    values = orjson.Fragment(orjson.dumps({"messages": [SAID] * 4}))

    def work(connection: Connection) -> None:
        threads = ThreadRepository(connection, DEFAULT_TENANT)
        for number in range(count):
            at = now - timedelta(seconds=number)
            # An owner has two threads among few and many alike, so that the same is found.
            owner = f"owner-{number % OWNERS if number < 2 * OWNERS else number}"
            thread = Thread(uuid4(), DEFAULT_TENANT, "idle", "echo", {"owner": owner, "graph_id": "echo"}, at, at)
            threads.insert(thread)
            threads.settle(thread.thread_id, "idle", at, values=values)

    await database.write(work)
    await database.close()


async def _talked(door: Door) -> str:
    """Return a thread with five runs."""
    async with Client(door.port) as client:
        thread: str = orjson.loads((await client.post("/threads", {}))[1])["thread_id"]
        for _ in range(5):
            path = f"/threads/{thread}/runs/wait"
            status, answer = await client.post(path, {"assistant_id": "echo", "input": INPUT})
            assert status == 200, answer
    return thread


async def _asked(client: Client, path: str, body: Any, count: int) -> float:
    """Ask once; return the seconds it took."""
    began = time.perf_counter()
    status, answer = await client.post(path, body)
    took = time.perf_counter() - began
    assert status == 200, answer
    found = orjson.loads(answer)
    if path.endswith("/count"):
        assert found == (2 if body else count + 1), found
    else:
        assert len(found) == (2 if "metadata" in body else 10), len(found)
    return took

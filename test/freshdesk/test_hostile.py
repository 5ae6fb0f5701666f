"""Collecting from a Freshdesk that answers as it should not, written by hand: our simulator shares our assumptions."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from backend.core.collector.freshdesk.limiter import Limiters
from backend.core.collector.freshdesk.network import FreshdeskNetwork
from backend.core.collector.freshdesk.platform import FreshdeskPlatform
from backend.core.collector.platform import SupportSource
from test.sync.desk import KIM, Desk, Office, open_database, open_office

Reply = bytes | Callable[[str], bytes]


def reply(body: Any, status: str = "200 OK", **headers: str) -> bytes:
    """Return an answer as it goes over the wire."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n{head}\r\n".encode() + data


def ticket(number: Any, **values: Any) -> dict[str, Any]:
    plain = {"id": number, "subject": f"Ticket {number}", "status": 2, "updated_at": "2026-01-02T00:00:00Z"}
    return plain | values


@dataclass
class Enemy:
    """Answers by the first pattern that is found in a path below `/api/v2`, the last added first; else with `[]`."""

    answers: list[tuple[str, Reply]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def says(self, pattern: str, answer: Reply) -> None:
        self.answers.insert(0, (pattern, answer))

    def has(self, *tickets: dict[str, Any], **headers: str) -> None:
        self.says(r"^/agents/me", reply({"id": 1, "contact": {"name": "Kim"}}))
        self.says(r"^/tickets\?", lambda path: reply([] if "filter=" in path else list(tickets), **headers))
        for one in tickets:
            self.says(rf"^/tickets/{one['id']}\?", reply(one | {"conversations": []}))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split()[1].decode().partition("/api/v2")[2]
                self.asked.append(path)
                answer = next((each for pattern, each in self.answers if re.search(pattern, path)), reply([]))
                writer.write(answer(path) if callable(answer) else answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
def enemy() -> Enemy:
    return Enemy()


@asynccontextmanager
async def besieged(enemy: Enemy, folder: Path) -> AsyncIterator[Office]:
    """Open the collecting from it."""
    server = await asyncio.start_server(enemy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def at_once(seconds: float) -> None:
        await asyncio.sleep(0)

    network = FreshdeskNetwork(f"http://127.0.0.1:{port}")
    platform = FreshdeskPlatform(network, Limiters(5), timeout=5, patience=5, sleep=at_once)

    async def source(tenant_id: str, name: str) -> SupportSource:
        return await platform.connect("acme", SecretStr("key"))

    async with open_database(folder / "rows.db") as database, open_office(database, Desk(), source) as office:
        yield office
    await platform.close()
    server.close()


async def test_a_ticket_that_is_answered_with_another_is_not_lost(enemy: Enemy, tmp_path: Path) -> None:
    """It is an issue, as one that cannot be read, and is read again by the next collection."""
    enemy.has(ticket(1), ticket(2))
    enemy.says(r"^/tickets/1\?", reply(ticket(2) | {"conversations": []}))
    async with besieged(enemy, tmp_path) as office:
        job = await office.collect("full")
        issues, _ = await office.service.issues(KIM, job.job_id)
        assert (job.status, job.counts.failed, [one.original_id for one in issues]) == ("success", 1, ["1"])
        assert await office.titles() == ["Ticket 2"]
        enemy.says(r"^/tickets/1\?", reply(ticket(1) | {"conversations": []}))
        assert (await office.collect()).counts.failed == 0
        assert await office.titles() == ["Ticket 1", "Ticket 2"]


@pytest.mark.parametrize(
    "answer",
    [
        reply(b"", "302 Found", Location="http://169.254.169.254/latest/meta-data"),
        reply(gzip.compress(b"[" + b" " * 50_000_000 + b"]"), Content_Encoding="gzip", Content_Type="application/json"),
        reply(b"[" * 100_000 + b"]" * 100_000),
        reply(b"<html>Back soon</html>", Content_Type="text/html"),
        reply({"tickets": []}),
        reply([], X_Padding="x" * 500_000),
        reply([], "999 What"),
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    ],
    ids=["redirect", "gzip", "deep", "page", "object", "headers", "status", "empty", "protocol"],
)
async def test_an_answer_that_is_no_list_ends_a_collection_with_a_reason_and_removes_nothing(
    enemy: Enemy, tmp_path: Path, answer: bytes
) -> None:
    enemy.has(ticket(1))
    async with besieged(enemy, tmp_path) as office:
        assert (await office.collect("full")).status == "success"
        enemy.says(r"^/tickets\?", answer)
        job = await office.collect("full")
        assert job.status == "error"
        assert job.error is not None
        assert "169.254" not in job.error
        assert await office.titles() == ["Ticket 1"]


async def test_where_the_next_page_is_said_to_be_nobody_is_asked(enemy: Enemy, tmp_path: Path) -> None:
    """Of `Link` it is believed that there is one; lists that never end are left."""
    link = '<http://169.254.169.254/api/v2/tickets?page=2>; rel="next"'
    enemy.has(ticket(1))
    enemy.says(r"^/tickets/1\?", reply(ticket(1) | {"conversations": [{"id": n, "body": "x"} for n in range(1, 11)]}))
    enemy.says(r"^/tickets/1/conversations", reply([{"id": 1, "body": "x"}], Link=link))
    enemy.says(r"^/solutions/categories\?", reply([{"id": 1, "name": "A"}], Link=link))
    async with besieged(enemy, tmp_path) as office:
        job = await office.collect("full")
        assert (job.status, job.counts.conversations) == ("success", 1)
        assert len(enemy.asked) < 1000


async def test_ids_and_times_of_any_kind_cost_only_their_item(enemy: Enemy, tmp_path: Path) -> None:
    good = [
        ticket("3"),
        ticket(4, updated_at="2026-01-02T09:00:00+09:00"),
        ticket(5, requester_id={}, tags="x", custom_fields=[], attachments={}, stats=7, requester="x", source=2**80),
        ticket(6, subject="\ud800 half", description="a\x00b", type="y" * 100_000, tags=["z" * 1_000_000]),
    ]
    bad = [
        *(ticket(number) for number in (None, True, -1, 0, 2**70, 1.5, [1], "seven")),
        *(ticket(20 + n, updated_at=at) for n, at in enumerate((None, 5, "yesterday", "0001-01-01T00:00:00+14:00"))),
        *(ticket(30 + n, status=status) for n, status in enumerate((None, "2", -1, 2**40))),
    ]
    enemy.has(*good, *bad)
    async with besieged(enemy, tmp_path) as office:
        job = await office.collect("full")
        assert (job.status, job.counts.changed, job.counts.failed) == ("success", len(good), len(bad))
        again = await office.collect()
        assert (again.status, again.counts.changed, again.counts.failed) == ("success", 0, len(bad))

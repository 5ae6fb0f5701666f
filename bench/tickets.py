"""How long lists and statistics of a support desk take, with few and with many tickets: `python -m bench.tickets`."""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection

from backend.database.migrate import migrate
from backend.database.sqlite import SqliteDatabase
from backend.dto.principal import DEFAULT_TENANT, Principal
from backend.dto.ticket import STATUS_NAMES, ConversationData, TicketData, TicketFilter
from backend.repository.ticket import TicketRepository
from backend.service.ticket import ConversationFilter, TicketService

FEW, MANY = 200, 20_000
MUST = 30.0
"""Milliseconds that 95 of 100 answers may take."""
ASKED = 40
BATCH = 200
START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = "결제 환불 로그인 배송 오류 카드 계정 비밀번호 주문 취소 login refund card order invoice password".split()
ME = Principal(DEFAULT_TENANT, "bench")

FILTERS: dict[str, TicketFilter] = {
    "list": TicketFilter(),
    "list, of a status": TicketFilter(status=(2, 3)),
    "list, of a rare status": TicketFilter(status=(9,)),
    "list, of a priority": TicketFilter(priority=(4,)),
    "list, of an assignee": TicketFilter(assignee_email="agent3@example.com"),
    "list, of a requester": TicketFilter(requester_email="customer17@example.com"),
    "list, of a tag": TicketFilter(tag="vip"),
    "list, unprocessed": TicketFilter(is_processed=False),
    "list, of a week": TicketFilter(updated_from=START, updated_to=START + timedelta(7)),
    "list, of a word": TicketFilter(text="refund"),
    "list, of a word that none has": TicketFilter(text="zzzz"),
    "list, of a number": TicketFilter(text="#150"),
    "list, of several": TicketFilter(status=(2,), priority=(1, 2), assignee_email="agent3@example.com"),
    "list, spam": TicketFilter(spam=True, deleted=None),
}


def ticket(number: int) -> TicketData:
    """Return a ticket of some kilobytes, the same for the same number."""
    chance = random.Random(number)
    status = chance.choice((2, 3, 4, 5, 5, 5)) if number % 500 else 9
    text = " ".join(chance.choices(WORDS, k=chance.choice((30, 100, 300))))
    at = START + timedelta(minutes=10 * number)
    return TicketData(
        ticket_id=str(number),
        title=" ".join(chance.choices(WORDS, k=5)),
        description=f"<div><p>{text}</p></div>",
        status=status,
        status_name=STATUS_NAMES.get(status, "waiting"),
        priority=chance.choice((1, 1, 1, 2, 2, 3, 4)),
        requester_email=f"customer{number % 900}@example.com",
        requester_name="김고객",
        assignee_email=f"agent{number % 12}@example.com",
        tags=("vip", "billing") if number % 40 == 0 else ("billing",),
        custom_fields={"region": chance.choice(("서울", "부산"))},
        spam=number % 97 == 0,
        platform_created_at=at,
        platform_updated_at=at,
        original={"id": number, "description": text, "subject": "x"},
    )


def messages(number: int) -> list[ConversationData]:
    at = START + timedelta(minutes=10 * number)
    return [
        ConversationData(
            conversation_id=f"{number}-{each}",
            content="<p>감사합니다. 확인하겠습니다.</p>" * 5,
            message_type="private" if each == 2 else "public",
            author_type="agent" if each % 2 else "customer",
            author_email=f"customer{number % 900}@example.com",
            platform_created_at=at + timedelta(minutes=each),
        )
        for each in range(5)
    ]


async def fill(database: SqliteDatabase, count: int) -> tuple[float, float]:
    """Put tickets as a collection does, then all of them again; return the seconds of both."""

    def work(at: int) -> Callable[[Connection], Any]:
        some = [ticket(number) for number in range(at, min(at + BATCH, count))]
        return lambda c: TicketRepository(c, DEFAULT_TENANT).put("freshdesk", some, START)

    def talk(at: int) -> Callable[[Connection], None]:
        def said(connection: Connection) -> None:
            tickets = TicketRepository(connection, DEFAULT_TENANT)
            for number in range(at, min(at + 20, count)):
                tickets.put_conversations("freshdesk", str(number), messages(number), START)

        return said

    took = []
    for again in (False, True):
        began = time.perf_counter()
        for at in range(0, count, BATCH):
            await database.write(work(at), durable=False)
        took.append(time.perf_counter() - began)
        if not again:
            for at in range(0, count, 20):
                await database.write(talk(at), durable=False)
    return took[0], took[1]


async def measured(ask: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Return median and 95th percentile in ms."""
    await ask()
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        await ask()
        times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return statistics.median(times), times[int(len(times) * 0.95)]


def asks(service: TicketService) -> dict[str, Callable[[], Awaitable[object]]]:
    def listed(wanted: TicketFilter) -> Callable[[], Awaitable[object]]:
        return lambda: service.list(ME, wanted, limit=20)

    async def second_page() -> None:
        first = await service.list(ME, TicketFilter(), limit=100)
        last = first.items[-1]
        assert last.data.platform_updated_at is not None
        await service.list(ME, TicketFilter(), limit=20, before=(last.data.platform_updated_at, last.id))

    agent = ConversationFilter(author_email="customer17@example.com")
    return {
        **{name: listed(wanted) for name, wanted in FILTERS.items()},
        "page of 100, then the next 20": second_page,
        "statistics": lambda: service.statistics(ME),
        "messages of an author": lambda: service.list_conversations(ME, agent),
        "messages": lambda: service.list_conversations(ME, ConversationFilter()),
        "objects": lambda: service.list_objects(ME),
    }


async def compared(folder: Path, many: int) -> Table:
    """Measure everything on two databases; return the table of figures and ratios."""
    table = Table(
        *("p50 / p95 in ms", f"{FEW} tickets", f"{many:,} tickets", "÷ p50", "must", "reached"),
        title="Tickets in SQLite, through the service",
        title_justify="left",
    )
    figures: dict[int, dict[str, tuple[float, float]]] = {}
    written: dict[int, tuple[float, float]] = {}
    for count in (FEW, many):
        path = folder / f"{count}.db"
        is_filled = path.exists()
        await migrate(SqliteDatabase(path, foreign_keys=False))
        database = SqliteDatabase(path)
        await database.open()
        if not is_filled:
            written[count] = await fill(database, count)
        figures[count] = {name: await measured(ask) for name, ask in asks(TicketService(database)).items()}
        await database.close()
    for name, (few, few_slow) in figures[FEW].items():
        median, slow = figures[many][name]
        reached = "must" if slow <= MUST else "short"
        table.add_row(
            name,
            f"{few:.2f} / {few_slow:.2f}",
            f"{median:.2f} / {slow:.2f}",
            f"{median / few:.1f}",
            f"≤ {MUST:.0f}",
            reached,
        )
    for name, place in (("tickets a second, new", 0), ("tickets a second, unchanged", 1)):
        rates = [f"{count / written[count][place]:,.0f}" if count in written else "" for count in (FEW, many)]
        table.add_row(name, *rates, "", "", "")
    return table


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=MANY)
    parser.add_argument("--folder", type=Path, help="keep the databases here, and use those that are there")
    options = parser.parse_args()
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = options.folder or Path(temporary)
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        console.print(await compared(folder, options.tickets))


if __name__ == "__main__":
    uvloop.run(main())

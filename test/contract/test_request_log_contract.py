"""What the request log promises, on SQLite and on PostgreSQL. (000-34, 002-6)"""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from backend.core.error import Unavailable
from backend.core.request_log import RequestLog
from backend.database.base import Database, Work
from backend.dto.principal import Principal
from backend.dto.request_log import RequestLine
from backend.service.request_log import DatabaseRequestLog, RequestLogMode, RequestLogService
from backend.util.id_generator import new_id
from test.engine_fixture import ALICE, MALLORY, FakeClock


@pytest.fixture
def log(database: Database, clock: FakeClock) -> RequestLog:
    return DatabaseRequestLog(database, clock, keep_days=30)


def line(clock: FakeClock, tenant_id: str = "default", **other: Any) -> RequestLine:
    values: dict[str, Any] = {
        "log_id": new_id(),
        "tenant_id": tenant_id,
        "user_id": "alice",
        "request_id": "r-1",
        "method": "GET",
        "path": "/api/v1/threads",
        "status": 200,
        "milliseconds": 1.5,
        "created_at": clock(),
    }
    return RequestLine(**values | other)


async def test_lines_come_back_as_they_were_the_newest_first(log: RequestLog, clock: FakeClock) -> None:
    lines = [line(clock, status=200 + number, path=f"/가/{number}") for number in range(5)]
    for one in lines:
        log.add(one)
    await log.flush()
    assert await log.list("default", limit=10) == lines[::-1]


async def test_pages_are_whole_and_do_not_overlap(log: RequestLog, clock: FakeClock) -> None:
    lines = [line(clock) for _ in range(7)]
    for one in lines:
        log.add(one)
    await log.flush()
    pages: list[RequestLine] = []
    while page := await log.list("default", limit=3, before=pages[-1].log_id if pages else None):
        pages += page
    assert pages == lines[::-1]


async def test_a_tenant_sees_its_own_alone(log: RequestLog, clock: FakeClock) -> None:
    mine, other = line(clock), line(clock, "other")
    log.add(mine)
    log.add(other)
    await log.flush()
    assert await log.list("default", limit=10) == [mine]
    assert await log.list("other", limit=10) == [other]
    assert await log.list("default", limit=10, before=other.log_id) == [mine]


async def test_what_was_kept_long_enough_is_removed_of_all_tenants(log: RequestLog, clock: FakeClock) -> None:
    for number in range(1200):
        log.add(line(clock, "other" if number % 2 else "default"))
    clock.advance(timedelta(days=29).total_seconds())
    young = line(clock)
    log.add(young)
    await log.flush()
    assert await log.sweep() == 0
    clock.advance(timedelta(days=2).total_seconds())
    assert await log.sweep() == 1200
    assert await log.list("default", limit=10) == [young]
    assert await log.list("other", limit=10) == []


async def test_a_batch_that_is_full_of_tenants_is_written(log: RequestLog, clock: FakeClock) -> None:
    for number in range(600):
        log.add(line(clock, f"tenant-{number % 7}"))
    await log.flush()
    assert sum([len(await log.list(f"tenant-{number}", limit=200)) for number in range(7)]) == 600


# What goes into it, and that nobody waits for it.


class Stuck:
    """A database that answers when it is told to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.answers = asyncio.Event()
        self.fails = False

    async def write(self, work: Work[Any], *, durable: bool = True) -> Any:
        await self.answers.wait()
        if self.fails:
            raise Unavailable("The database does not answer.")
        return await self._database.write(work, durable=durable)

    async def read(self, work: Work[Any]) -> Any:
        return await self._database.read(work)


async def test_nobody_waits_for_it_and_what_is_too_much_is_dropped_and_counted(
    file: Database, clock: FakeClock, caplog_text: list[str]
) -> None:
    stuck: Any = Stuck(file)
    log = DatabaseRequestLog(stuck, clock, keep_days=30, most=10, seconds=0)
    await log.open()
    for _ in range(25):
        log.add(line(clock))
    assert log.dropped == 15
    stuck.answers.set()
    await log.close()
    assert len(await log.list("default", limit=50)) == 10
    assert any("15 lines of the request log were dropped" in said for said in caplog_text)


async def test_lines_wait_while_the_database_is_away(file: Database, clock: FakeClock) -> None:
    stuck: Any = Stuck(file)
    stuck.answers.set()
    stuck.fails = True
    log = DatabaseRequestLog(stuck, clock, keep_days=30)
    log.add(line(clock))
    with pytest.raises(Unavailable):
        await log.flush()
    stuck.fails = False
    await log.flush()
    assert len(await log.list("default", limit=50)) == 1


async def test_a_batch_that_cannot_be_written_does_not_hold_up_the_next(file: Database, clock: FakeClock) -> None:
    log = DatabaseRequestLog(file, clock, keep_days=30)
    first, second = line(clock), line(clock)
    for one in (first, first, second):  # the same key again is refused
        log.add(one)
        await log.flush()
    assert await log.list("default", limit=50) == [second, first]
    assert log.dropped == 1


@pytest.fixture
def caplog_text() -> Any:
    from loguru import logger

    said: list[str] = []
    sink = logger.add(said.append, format="{message}")
    yield said
    logger.remove(sink)


@pytest.mark.parametrize(("mode", "kept"), [("off", []), ("errors", [500, 400]), ("all", [500, 400, 200])])
async def test_the_mode_says_what_goes_into_it(
    file: Database, clock: FakeClock, mode: RequestLogMode, kept: list[int]
) -> None:
    log = DatabaseRequestLog(file, clock, keep_days=30)
    service = RequestLogService(log, clock, mode)
    for status in (200, 400, 500):
        service.saw(ALICE, "r", "GET", "/x", status, 0.01)
        service.saw(None, "r", "GET", "/x", status, 0.01)
    await log.flush()
    assert [one.status for one in await service.list(ALICE, limit=10)] == kept
    assert await service.list(MALLORY, limit=10) == []


async def test_what_no_column_takes_is_cut_or_replaced(database: Database, clock: FakeClock) -> None:
    log = DatabaseRequestLog(database, clock, keep_days=30)
    service = RequestLogService(log, clock, "all")
    service.saw(Principal("default", "\ud800" * 300), "r", "X" * 99, "/\x00" + "a" * 9999, 200, 0.0123456)
    await log.flush()
    (found,) = await service.list(Principal("default", "x"), limit=10)
    assert (len(found.user_id), len(found.method), len(found.path)) == (255, 16, 2000)
    assert found.milliseconds == 12.346


async def test_the_sweep_reads_no_more_than_an_index(file: Database, clock: FakeClock) -> None:
    def plan(connection: Connection) -> str:
        query = "SELECT tenant_id FROM request_log WHERE created_at < 'x' ORDER BY created_at LIMIT 5"
        return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all())

    assert "ix_request_log_age" in await file.read(plan)

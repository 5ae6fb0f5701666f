"""Usage reports: their days, groups, bounds and tables, on both databases. (000-34)"""

import csv
import io
import math
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from backend.core.error import Invalid
from backend.database.base import Database
from backend.dto.tenant import Limits
from backend.dto.usage import Usage, UsageGroup, UsageRecord, UsageReport, UsageSum
from backend.repository.usage import UsageRepository
from backend.schema.usage import csv_of
from backend.service.budget import Budget
from backend.service.limit import LimitBook, no_limits
from backend.service.usage import MOST_GROUPS, UsageService
from backend.util.id_generator import new_id
from backend.util.local_day import day_of, day_start, offsets
from test.engine_fixture import ALICE, MALLORY, FakeClock

SEOUL = "Asia/Seoul"


def service_of(database: Database, clock: FakeClock, zone: str = SEOUL) -> UsageService:
    budget = Budget(database, LimitBook(no_limits, Limits()), clock, zone=ZoneInfo(zone))
    return UsageService(database, budget, clock, zone=ZoneInfo(zone))


async def used(database: Database, *made: tuple[datetime, dict[str, Any]]) -> None:
    def work(connection: Connection) -> None:
        for at, other in made:
            values = {"tenant_id": "default", "user_id": "alice", "agent": "assistant", "model": "default"} | other
            usage = Usage(values["model"], 10, 5, values.get("cost", 0.25), 2, 1.5, values.get("estimated", False))
            record = UsageRecord(new_id(), values["tenant_id"], values["user_id"], usage, at, values["agent"])
            UsageRepository(connection, values["tenant_id"]).add_many([record])

    await database.write(work)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def test_days_are_those_of_seoul(database: Database, clock: FakeClock) -> None:
    await used(
        database,
        (at("2026-02-28T14:59:59.999999"), {}),
        (at("2026-02-28T15:00:00"), {"estimated": True}),
        (at("2026-03-01T14:59:59"), {}),
        (at("2026-03-01T15:00:00"), {}),
        (at("2026-03-02T15:00:00"), {}),
        (at("2026-03-01T10:00:00"), {"tenant_id": "other"}),
    )
    report = await service_of(database, clock).report(ALICE, "day", date(2026, 3, 1), date(2026, 3, 2))
    assert [(key, found.runs) for key, found in report.groups] == [("2026-03-01", 2), ("2026-03-02", 1)]
    assert report.total == UsageSum(
        runs=3, calls=6, input_tokens=30, output_tokens=15, cost=0.75, latency=4.5, estimated=1
    )
    assert report.complete


async def test_days_are_right_where_clocks_are_changed(database: Database, clock: FakeClock) -> None:
    moments = [at("2026-03-07T00:30:00") + timedelta(hours=number) for number in range(72)]
    await used(database, *((moment, {}) for moment in moments))
    new_york = ZoneInfo("America/New_York")
    service = service_of(database, clock, "America/New_York")
    report = await service.report(ALICE, "day", date(2026, 3, 6), date(2026, 3, 10))
    expected: dict[str, int] = {}
    for moment in moments:
        day = str(day_of(moment, new_york))
        expected[day] = expected.get(day, 0) + 1
    assert {key: found.runs for key, found in report.groups} == expected
    assert expected["2026-03-08"] == 23, "a day of 23 hours"


@pytest.mark.parametrize(
    ("group_by", "keys"),
    [("user", ["alice", "bob"]), ("agent", ["assistant", "summary", None]), ("model", ["default", "gpt-5"])],
)
async def test_groups_come_with_what_cost_most_first(
    database: Database, clock: FakeClock, group_by: UsageGroup, keys: list[str | None]
) -> None:
    now = clock()
    await used(
        database,
        (now, {"cost": 3.0}),
        (now, {"user_id": "bob", "agent": "summary", "model": "gpt-5", "cost": 2.0}),
        (now, {"agent": None, "cost": 0.5}),
        (now, {"tenant_id": "other", "user_id": "mallory", "cost": 99.0}),
    )
    service = service_of(database, clock)
    report = await service.report(ALICE, group_by)
    assert [key for key, _ in report.groups] == keys
    assert math.isclose(report.total.cost, 5.5)
    own = await service.own_report(ALICE, group_by)
    assert own.total.runs == 2
    assert [key for key, _ in (await service.report(MALLORY, "user")).groups] == ["mallory"]


async def test_the_total_is_of_all_groups_also_of_what_is_not_listed(file: Database, clock: FakeClock) -> None:
    now = clock()
    await used(file, *((now, {"user_id": f"user-{number}"}) for number in range(MOST_GROUPS + 5)))
    report = await service_of(file, clock).report(ALICE, "user")
    assert len(report.groups) == MOST_GROUPS
    assert report.total.runs == MOST_GROUPS + 5
    assert not report.complete


async def test_nothing_used_is_a_report_too(database: Database, clock: FakeClock) -> None:
    clock.now = at("2026-01-31T15:00:00")  # 1 February in Seoul
    report = await service_of(database, clock).report(ALICE, "day")
    assert (report.since, report.until, report.groups) == (date(2026, 1, 3), date(2026, 2, 1), ())
    assert report.total == UsageSum()


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (date(2026, 3, 2), date(2026, 3, 1)),
        (date(2024, 1, 1), date(2026, 1, 1)),
        (date(1, 1, 1), date(1, 1, 1)),
        (None, date(1, 1, 1)),
        (date(9999, 12, 31), date(9999, 12, 31)),
        (date(9000, 1, 1), None),
    ],
)
async def test_days_that_cannot_be_reported_are_refused(
    file: Database, clock: FakeClock, since: date | None, until: date | None
) -> None:
    with pytest.raises(Invalid):
        await service_of(file, clock).report(ALICE, "day", since, until)


@pytest.mark.parametrize("plan_for", ["SELECT sum(cost) FROM usage WHERE tenant_id='a' AND created_at >= '2026'"])
async def test_a_reading_goes_by_an_index(file: Database, plan_for: str) -> None:
    found = await file.read(lambda connection: connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {plan_for}").all())
    assert "ix_usage_tenant_time" in str(found)


@given(
    st.dates(date(1990, 1, 1), date(2037, 1, 1)),
    st.integers(0, 400 * 24 * 60),
    st.sampled_from(["Asia/Seoul", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC", "Africa/Cairo"]),
)
def test_each_moment_of_a_span_has_the_offset_of_its_zone(begin: date, minutes: int, name: str) -> None:
    zone = ZoneInfo(name)
    since = day_start(begin, zone).astimezone(UTC)
    until = since + timedelta(days=400)
    moment = since + timedelta(minutes=minutes) - timedelta(seconds=1) * (minutes > 0)
    found = offsets(zone, since, until)
    ahead = next((ahead for end, ahead in found if moment < end), found[-1][1])
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    assert timedelta(minutes=ahead) == offset
    assert len(found) <= 6


def test_a_cell_that_a_spreadsheet_would_compute_is_a_text() -> None:
    """(A11)"""
    users = ["=1+1", "+A1", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", 'a"b,c', "김민수", None]
    report = UsageReport(
        since=date(2026, 1, 1),
        until=date(2026, 1, 1),
        group_by="user",
        groups=tuple((user, UsageSum(runs=1, input_tokens=2, output_tokens=3)) for user in users),
        total=UsageSum(),
        complete=True,
    )
    head, *rows = csv.reader(io.StringIO(csv_of(report), newline=""))
    assert head[:6] == ["user", "runs", "calls", "input_tokens", "output_tokens", "tokens"]
    assert rows[0][1:6] == ["1", "0", "2", "3", "5"]
    for user, row in zip(users, rows, strict=True):
        assert row[0] == (f"'{user}" if user and user[0] in "=+-@\t\r\n" else user or "")

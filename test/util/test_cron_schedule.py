"""When schedules fire; the changes of the clocks are those of the time zone database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.util.cron_schedule import next_firing


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("schedule", "timezone", "after", "fires"),
    [
        ("*/5 * * * *", None, "2026-11-21T12:00:00+00:00", "2026-11-21T12:05:00+00:00"),
        ("0 9 * * MON-FRI", None, "2026-11-21T12:00:00+00:00", "2026-11-23T09:00:00+00:00"),
        ("0 9 * * mon-fri", "Asia/Seoul", "2026-11-21T12:00:00+00:00", "2026-11-23T00:00:00+00:00"),
        ("@daily", None, "2026-11-21T12:00:00+00:00", "2026-11-22T00:00:00+00:00"),
        ("0 0 L * *", None, "2027-02-03T00:00:00+00:00", "2027-02-28T00:00:00+00:00"),
        ("0 0 13 * 5", None, "2026-11-21T00:00:00+00:00", "2026-11-27T00:00:00+00:00"),  # the 13th, or a Friday
        ("0 0 29 2 *", None, "2026-11-21T00:00:00+00:00", "2028-02-29T00:00:00+00:00"),
        ("15,45 8-10/2 1 JAN,jul *", None, "2026-11-21T00:00:00+00:00", "2027-01-01T08:15:00+00:00"),
        # 02:30 does not come on 2027-03-14 in New York: the clocks go from 02:00 to 03:00.
        ("30 2 * * *", "America/New_York", "2027-03-13T12:00:00-05:00", "2027-03-14T03:00:00-04:00"),
        # 01:30 comes twice on 2026-11-01: it fires in the first hour, and not again in the second.
        ("30 1 * * *", "America/New_York", "2026-11-01T00:00:00-04:00", "2026-11-01T01:30:00-04:00"),
        ("30 1 * * *", "America/New_York", "2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"),
        ("30 1 * * *", "America/New_York", "2026-11-01T01:10:00-05:00", "2026-11-02T01:30:00-05:00"),
        # What repeats within the hour goes on through both hours.
        ("*/30 * * * *", "America/New_York", "2026-11-01T01:30:00-04:00", "2026-11-01T01:00:00-05:00"),
    ],
)
def test_a_schedule_fires_when_its_clock_says(schedule: str, timezone: str | None, after: str, fires: str) -> None:
    firing = next_firing(schedule, timezone, at(after))
    assert firing == at(fires)
    assert firing.tzinfo is UTC


@pytest.mark.parametrize(
    "schedule",
    [
        *("", "bad", "* * * *", "*/5 * * * * *", "60 * * * *", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "@often"),
        *(
            "0 0 30 2 *",
            "0 0 */31 * 1#5",
            "² * * * *",
            "1/1/1 * * * *",
            "* * * * *" + " " * 300 + "*",
            "1," * 400 + "1",
        ),
    ],
)
def test_what_is_no_schedule_or_never_fires_is_refused(schedule: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid cron schedule|never fires"):
        next_firing(schedule, None, at("2026-11-21T12:00:00+00:00"))


@pytest.mark.parametrize("timezone", ["", "Mars/Olympus", "Asia", "../UTC", "/etc/localtime", "\0", "x" * 300])
def test_what_is_no_time_zone_is_refused(timezone: str) -> None:
    with pytest.raises(ValueError, match="Invalid timezone"):
        next_firing("* * * * *", timezone, at("2026-11-21T12:00:00+00:00"))


_MINUTES = st.sampled_from(["*", "*/7", "0", "30", "5,59", "10-20/3"])
_HOURS = st.sampled_from(["*", "*/6", "0", "1", "2", "3", "0-4", "23"])


@given(
    minute=_MINUTES,
    hour=_HOURS,
    timezone=st.sampled_from(["America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Seoul"]),
    after=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_each_firing_is_behind_the_one_before_within_a_day_or_so(
    minute: str, hour: str, timezone: str, after: datetime
) -> None:
    moment = after
    for _ in range(5):
        following = next_firing(f"{minute} {hour} * * *", timezone, moment)
        assert moment < following <= moment + timedelta(hours=50)
        moment = following

"""When a cron fires: five fields (minute, hour, day of month, month, day of week), in a time zone.

Names (`MON-FRI`, `JAN`), ranges, steps, lists, `L` (the last day), `5#2` (the second Friday) and nicknames (`@daily`)
are understood; when both days are restricted, either is enough (crontab(5)). Around a change of the clocks the rules of
Debian's cron hold: a fixed time that is skipped fires right after the change, one that comes twice fires once, and what
repeats within the hour goes on by the minutes that really pass.
"""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

MAX_LENGTH = 255
"""Characters of a schedule or of a time zone's name."""
_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def next_firing(schedule: str, timezone: str | None, after: datetime) -> datetime:
    """Return the first moment behind `after` at which `schedule` fires, in UTC; `timezone` is an IANA name.

    Raises:
        ValueError: the schedule or the time zone is none, or the schedule never fires.
    """
    zone = _zone(timezone)
    fields = _NICKNAMES.get(schedule.strip().lower(), schedule)
    if len(fields) > MAX_LENGTH or len(fields.split()) != 5:
        raise ValueError(_not_a_schedule(schedule, "it needs five fields"))
    try:
        firings = CronSim(fields, after.astimezone(zone))
    except CronSimError as error:
        raise ValueError(_not_a_schedule(schedule, str(error).lower())) from None
    for firing in firings:
        # In the hour that comes twice, a fixed time is found in its first half, also by who asks in the second.
        if firing > after:
            return firing.astimezone(UTC)
    raise ValueError(f"The schedule {schedule!r} never fires.")


def _zone(name: str | None) -> tzinfo:
    if name is None or name == "UTC":
        return UTC
    try:
        if len(name) <= MAX_LENGTH:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # also the name of a folder, or of a path
        pass
    raise ValueError(f"Invalid timezone: {name[:80]!r}. Use an IANA name, such as 'Asia/Seoul'.")


def _not_a_schedule(schedule: str, reason: str) -> str:
    return (
        f"Invalid cron schedule: {schedule[:80]!r} ({reason})."
        " Write minute, hour, day of month, month and day of week: '*/5 * * * *' is every five minutes."
    )

"""Days as people have them: from midnight to midnight in a time zone, whatever the clocks there do."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

_MINUTE = timedelta(minutes=1)


def day_of(moment: datetime, zone: tzinfo) -> date:
    """Return the day that it is in the zone."""
    return moment.astimezone(zone).date()


def day_start(day: date, zone: tzinfo) -> datetime:
    """Return the moment at which a day begins, in the zone's own time."""
    return datetime.combine(day, time(), zone)


def offsets(zone: tzinfo, since: datetime, until: datetime) -> list[tuple[datetime, int]]:
    """Return how many minutes the zone is ahead of UTC in a span of time, and each time until when that is so.

    The last is until `until`. A zone that keeps its clocks as they are has one entry; a year has three at most.
    """
    found: list[tuple[datetime, int]] = []
    # In UTC, since a sum of local times is one of what clocks show.
    at, until = since.astimezone(UTC), until.astimezone(UTC)
    while at < until:
        following = min(at + timedelta(days=1), until)
        if _offset(at, zone) != _offset(following, zone):
            change = _change(at, following, zone)
            found.append((change, _offset(at, zone)))
            at = change
        else:
            at = following
    found.append((until, _offset(until - _MINUTE, zone)))
    return found


def _change(early: datetime, late: datetime, zone: tzinfo) -> datetime:
    """Return the minute at which the offset changes between two moments."""
    before = _offset(early, zone)
    low, high = 0, int((late - early) / _MINUTE)  # before the change; at it or after
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(early + middle * _MINUTE, zone) == before:
            low = middle
        else:
            high = middle
    return early + high * _MINUTE


def _offset(moment: datetime, zone: tzinfo) -> int:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None  # a zone always knows
    return int(offset / _MINUTE)

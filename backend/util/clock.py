"""The time."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time now, with its zone."""
    return datetime.now(UTC)

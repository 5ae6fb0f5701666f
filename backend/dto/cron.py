"""Runs that come again and again."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from backend.dto.principal import Principal

OnRunCompleted = Literal["delete", "keep"]
CronSortField = Literal["cron_id", "assistant_id", "thread_id", "next_run_date", "end_time", "created_at", "updated_at"]


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule, and the run that it starts."""

    cron_id: UUID
    owner: Principal
    """Who made it: its runs are theirs."""
    assistant_id: UUID
    thread_id: UUID | None
    """The thread of all its runs; None for a new one each time."""
    schedule: str
    timezone: str | None
    """IANA name; None for UTC."""
    end_time: datetime | None
    """Behind this moment it does not fire."""
    enabled: bool
    on_run_completed: OnRunCompleted | None
    """What becomes of a thread that was made for one run; None when it has a thread of its own."""
    next_run_date: datetime | None
    """None when no firing is left before `end_time`."""
    payload: dict[str, Any]
    """What was asked for: the fields of the run among it."""
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class CronSearch:
    """Which crons are looked for; None leaves a condition out."""

    assistant_id: UUID | None = None
    thread_id: UUID | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    """What theirs must contain."""


@dataclass(frozen=True, slots=True)
class CronDraft:
    """A cron that is asked for."""

    assistant_id: UUID
    schedule: str
    timezone: str | None = None
    end_time: datetime | None = None
    enabled: bool = True
    on_run_completed: OnRunCompleted | None = None
    """None for `delete`."""
    payload: dict[str, Any] = field(default_factory=dict)
    """All of the above and the fields of the run, as they were sent."""
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CronChange:
    """What is to be another in a cron; None leaves a thing as it is."""

    schedule: str | None = None
    timezone: str | None = None
    end_time: datetime | None = None
    has_end_time: bool = False
    """Whether `end_time` was given: None takes the old one away."""
    enabled: bool | None = None
    on_run_completed: OnRunCompleted | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    """What was sent; its fields replace those of the cron's payload."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Merged into the cron's."""

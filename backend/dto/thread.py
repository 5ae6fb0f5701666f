"""A conversation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

ThreadStatus = Literal["idle", "busy", "interrupted", "error"]
TtlStrategy = Literal["delete", "keep_latest"]


ThreadSort = Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"]


@dataclass(frozen=True, slots=True)
class TtlRule:
    """How long a thread may rest before it is removed, or all its checkpoints but the latest."""

    strategy: TtlStrategy
    minutes: float

    def since(self, moment: datetime) -> "ThreadTtl":
        return ThreadTtl(self.strategy, self.minutes, moment + timedelta(minutes=self.minutes))


@dataclass(frozen=True, slots=True)
class ThreadTtl:
    """When a thread that rests is removed, or all its checkpoints but the latest."""

    strategy: TtlStrategy
    minutes: float
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ThreadClaim:
    """A person has taken a thread over: while it lasts, no agent begins to work on it."""

    user_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Thread:
    thread_id: UUID
    tenant_id: str
    status: ThreadStatus
    agent: str | None
    """The agent of its last run."""
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    state_updated_at: datetime | None = None
    config: dict[str, Any] = field(default_factory=dict)
    ttl: ThreadTtl | None = None
    claim: ThreadClaim | None = None
    """Also one that has run out and was not yet cleared away."""

    def claimed(self, now: datetime) -> ThreadClaim | None:
        """Return the claim that holds at a moment."""
        return self.claim if self.claim is not None and self.claim.until > now else None


@dataclass(frozen=True, slots=True)
class ThreadState:
    """What the last run left on a thread, as JSON: kept beside the thread, so that lists need no checkpoint.

    Where it is only handed on, `values` is JSON already (`orjson.Fragment`).
    """

    values: Any = None
    interrupts: dict[str, Any] = field(default_factory=dict)
    """By task, the list of what each task waits for."""
    error: Any = None


@dataclass(frozen=True, slots=True)
class ThreadQuery:
    """Which threads are looked for, and in which order."""

    ids: tuple[UUID, ...] | None = None
    metadata: dict[str, Any] | None = None
    """What their metadata contain."""
    values: Any = None
    """What their values contain."""
    status: ThreadStatus | None = None
    sort_by: ThreadSort = "updated_at"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class ChannelSize:
    """How often a channel's value was saved, and the bytes of all its versions."""

    versions: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StorageSize:
    """What a thread's checkpoints take; `checkpoint_bytes` is what they take beside the channels' values."""

    checkpoints: int
    checkpoint_bytes: int
    channels: Mapping[str, ChannelSize]
    writes: int
    write_bytes: int

"""Collecting from a platform: its jobs, their progress, what went wrong with single items."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

SyncKind = Literal["full", "incremental", "ticket"]
"""`ticket` reads single tickets again, which a webhook named."""
SyncStatus = Literal["pending", "running", "paused", "success", "error", "cancelled"]
SyncStage = Literal["tickets", "removed", "articles", "attachments", "index", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCounts:
    """What a job has done until now."""

    tickets: int = 0
    """Read."""
    changed: int = 0
    """Written: new, or not as they were."""
    conversations: int = 0
    articles: int = 0
    attachments: int = 0
    removed: int = 0
    indexed: int = 0
    failed: int = 0
    requests: int = 0
    """Made to the platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncJob:
    job_id: UUID
    tenant_id: str
    platform: str
    kind: SyncKind
    status: SyncStatus
    stage: SyncStage
    counts: SyncCounts
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    error: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 0
    wanted: Literal["pause", "cancel"] | None = None
    """What somebody asked for and the job has not done yet."""

    @property
    def ended(self) -> bool:
        return self.status in {"success", "error", "cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncIssue:
    """An item that could not be taken in; the rest was."""

    object_type: str
    original_id: str
    code: str
    reason: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncCursor:
    """Up to where a tenant's objects of one kind were read."""

    platform: str
    object_type: str
    updated_since: datetime | None
    """Of the platform's clock: all that changed before it is here."""
    complete: bool
    """Whether a collection ever came to its end."""
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformState:
    """What is here of one platform, and how it came."""

    platform: str
    tickets: int
    articles: int
    attachments: int
    unprocessed: int
    """Tickets that are not in the index as they stand."""
    cursors: tuple[SyncCursor, ...]
    last_job: SyncJob | None

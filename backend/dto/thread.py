"""A conversation."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

ThreadStatus = Literal["idle", "busy", "interrupted", "error"]


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

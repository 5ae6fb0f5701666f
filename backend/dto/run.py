"""One execution of an agent on a thread."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

RunStatus = Literal["queued", "pending", "running", "success", "error", "timeout", "interrupted"]
"""`queued` waits for the thread's active run to end; on the wire it is shown as `pending`."""
ACTIVE: tuple[RunStatus, ...] = ("pending", "running")
ENDED: tuple[RunStatus, ...] = ("success", "error", "timeout", "interrupted")

MultitaskStrategy = Literal["reject", "enqueue", "interrupt", "rollback"]
Durability = Literal["sync", "async", "exit"]
CancelAction = Literal["interrupt", "rollback"]
Dialect = Literal["chat"]
"""Which encoder writes the run's events."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a caller asks for; JSON all through, so that a run can be taken up again from its row."""

    agent: str
    input: Any = None
    """The graph's input; None with `resume`, or to go on from where the thread stands."""
    resume: Any = None
    has_resume: bool = False
    """Whether `resume` answers an interrupt (None is an answer too)."""
    model: str | None = None
    """A model alias; None for the default."""
    multitask_strategy: MultitaskStrategy = "enqueue"
    durability: Durability = "async"
    timeout: float | None = None
    """Seconds; None for the server's limit."""
    recursion_limit: int = 50
    metadata: dict[str, Any] = field(default_factory=dict)
    configurable: dict[str, Any] = field(default_factory=dict)
    dialect: Dialect = "chat"


@dataclass(frozen=True, slots=True)
class Run:
    run_id: UUID
    thread_id: UUID
    tenant_id: str
    user_id: str
    status: RunStatus
    attempt: int
    """How often it was begun: the fencing token of every write of an attempt."""
    request: RunRequest
    cancel_action: CancelAction | None
    result: dict[str, Any] | None
    """The last event's data, once it has ended."""
    created_at: datetime
    updated_at: datetime

    @property
    def ended(self) -> bool:
        return self.status in ENDED

"""One execution of an agent on a thread."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

RunStatus = Literal["queued", "pending", "running", "success", "error", "timeout", "interrupted"]
"""`queued` waits for the thread's active run to end, or for its time; on the wire it is shown as `pending`."""
ACTIVE: tuple[RunStatus, ...] = ("pending", "running")
ENDED: tuple[RunStatus, ...] = ("success", "error", "timeout", "interrupted")

MultitaskStrategy = Literal["reject", "enqueue", "interrupt", "rollback"]
Durability = Literal["sync", "async", "exit"]
CancelAction = Literal["interrupt", "rollback"]
IfMissing = Literal["reject", "create"]
Dialect = Literal["chat", "agent", "protocol"]
"""Which encoder writes the run's events: the chat API's, the Agent Server's (version 1), its thread protocol's (2)."""
StreamMode = Literal[
    "values", "updates", "messages", "messages-tuple", "custom", "tasks", "checkpoints", "debug", "events"
]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a caller asks for; JSON all through, so that a run can be taken up again from its row."""

    agent: str
    """The graph."""
    input: Any = None
    """The graph's input; None with `resume`, or to go on from where the thread stands."""
    resume: Any = None
    has_resume: bool = False
    """Whether `resume` answers an interrupt (None is an answer too)."""
    model: str | None = None
    """A model alias; None for the default."""
    sampling: dict[str, Any] = field(default_factory=dict)
    """How the caller wants the answer written: `temperature`, `top_p`, `max_tokens`, `stop`, `seed`,
    `presence_penalty`, `frequency_penalty`. A model that does not know one of them is not told."""
    multitask_strategy: MultitaskStrategy = "enqueue"
    durability: Durability = "async"
    timeout: float | None = None
    """Seconds; None for the server's limit."""
    recursion_limit: int | None = 50
    """None for LangGraph's own."""
    metadata: dict[str, Any] = field(default_factory=dict)
    configurable: dict[str, Any] = field(default_factory=dict)
    dialect: Dialect = "chat"

    # What the Agent Server API adds.
    assistant_id: str | None = None
    """None for the graph's default assistant."""
    assistant_configurable: dict[str, Any] = field(default_factory=dict)
    """What of `configurable` the assistant gave: the thread keeps it for later runs."""
    update: Any = None
    """State that goes with the command: a mapping, or a list of pairs."""
    goto: Any = None
    """Where the command goes: a node's name, `{"node", "input"}`, or a list of these."""
    context: dict[str, Any] | None = None
    tags: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    """Further keys of LangChain's configuration: `run_name`, `max_concurrency`."""
    tracer: dict[str, Any] | None = None
    """LangSmith's `project_name` and `example_id`, for graphs that are traced there."""
    interrupt_before: list[str] | Literal["*"] | None = None
    interrupt_after: list[str] | Literal["*"] | None = None
    stream_mode: list[StreamMode] = field(default_factory=lambda: ["values"])
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    checkpoint: dict[str, Any] | None = None
    """Where to go on or fork from: `checkpoint_id`, `checkpoint_ns`, `checkpoint_map`."""
    webhook: str | None = None
    strict_resume: bool = False
    """Whether an answer to an interrupt that does not wait fails the run."""
    temporary: bool = False
    """Whether its thread was made for it alone and goes with it."""
    priority: int = 0
    """Of the runs that wait for a place, the least begins first (`dto/priority.py`)."""
    fairness: str | None = None
    """The group that takes turns with the others of the same priority; None for that of all who have none."""

    scopes: list[str] | None = None
    """What its caller may, where that is not all: calls of its graph to this server may no more."""

    @property
    def kept(self) -> bool:
        """Whether the store keeps its events, so that readers can come back after a restart."""
        return self.dialect == "chat" or self.stream_resumable

    @property
    def has_command(self) -> bool:
        return self.has_resume or self.update is not None or self.goto is not None


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
    start_at: datetime | None = None
    """Before this moment it does not begin."""
    ended_at: datetime | None = None
    cancel_reason: str | None = None
    """Why it was asked to stop, where that was said."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

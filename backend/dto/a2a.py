"""Agent2Agent: messages, tasks and what is told of them, in no dialect."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

TaskState = Literal["submitted", "working", "input-required", "completed", "canceled", "failed"]
TERMINAL: frozenset[TaskState] = frozenset({"completed", "canceled", "failed"})
HistoryScope = Literal["context", "task"]
"""Whether a task tells of the whole conversation that it is in, or of itself alone."""


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class DataPart:
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file, as base64 or by its address."""

    base64: str | None
    url: str | None
    media_type: str | None
    name: str | None


Part = TextPart | DataPart | FilePart


@dataclass(frozen=True, slots=True)
class TaskId:
    """The thread, and the run that began the task; written `thread:run`."""

    thread_id: UUID
    run_id: UUID

    def __str__(self) -> str:
        return f"{self.thread_id}:{self.run_id}"

    @classmethod
    def find(cls, text: str) -> "TaskId | None":
        """Return the id that `text` writes, if it writes one."""
        thread, _, run = text.partition(":")
        if len(thread) != 36 or len(run) != 36:
            return None
        try:
            return cls(UUID(thread), UUID(run))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class A2AMessage:
    message_id: str
    by_user: bool
    parts: tuple[Part, ...]
    task_id: TaskId | None = None
    """None where it is of no task, as what a thread held before."""


@dataclass(frozen=True, slots=True)
class Artifact:
    artifact_id: str
    name: str
    description: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class TaskStatus:
    state: TaskState
    at: datetime
    said: A2AMessage | None = None


@dataclass(frozen=True, slots=True)
class Task:
    task_id: TaskId
    status: TaskStatus
    history: tuple[A2AMessage, ...] = ()
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    task_id: TaskId
    status: TaskStatus
    final: bool = False


@dataclass(frozen=True, slots=True)
class ArtifactUpdate:
    task_id: TaskId
    artifact: Artifact


TaskEvent = Task | StatusUpdate | ArtifactUpdate


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """Which tasks of an assistant are looked for, the newest first."""

    context_id: UUID | None = None
    state: TaskState | None = None
    changed_after: datetime | None = None
    limit: int = 50
    offset: int = 0

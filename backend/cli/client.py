"""What commands ask for, whoever does it: this process, or the server that owns the data folder."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from backend.dto.knowledge import FileReport


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    agent: str = "answer"
    model: str | None = None
    thread_id: UUID | None = None

    def body(self) -> dict[str, Any]:
        """Return it as `POST /api/v1/chat` takes it."""
        asked: dict[str, Any] = {"message": self.text, "agent": self.agent, "model": self.model}
        return asked | {"thread_id": str(self.thread_id) if self.thread_id else None}


class Said(NamedTuple):
    """An event of a run (`docs/events.md`)."""

    name: str
    data: dict[str, Any]


class Client(Protocol):
    """Does a tenant's bidding. Closing one of these generators before its end stops what it follows."""

    def ask(self, question: Question) -> AsyncGenerator[Said]:
        """Begin a run and yield what it says, up to `done` or `error`."""

    def resume(self, run_id: UUID, answer: Any) -> AsyncGenerator[Said]:
        """Answer a run that waits, and yield what the new run says."""

    def ingest(self, paths: Sequence[Path]) -> AsyncGenerator[list[FileReport]]:
        """Take in files and folders; yield what became of the files, each once.

        Raises:
            CommandError: the server stopped before the last file.
        """

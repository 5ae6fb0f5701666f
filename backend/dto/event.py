"""What a run says, and where a reader stands in it."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Self
from uuid import UUID

ChatEventName = Literal["start", "token", "citation", "refusal", "tool", "usage", "interrupt", "error", "done"]


class Cursor(NamedTuple):
    """A place in the events of a run: attempts in order, and in each its events in order. Written `attempt-seq`."""

    attempt: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor that `text` writes; `-1` and the empty text are the beginning.

        Raises:
            ValueError: it is neither.
        """
        if text in {"", "-1"}:
            return cls(0, 0)
        attempt, dash, seq = text.partition("-")
        if not (dash and len(text) <= 20 and _digits(attempt) and _digits(seq)):
            raise ValueError(f"{text[:40]!r} is not an event id of this stream.")
        return cls(int(attempt), int(seq))

    def __str__(self) -> str:
        return f"{self.attempt}-{self.seq}"


class ThreadCursor(NamedTuple):
    """A place in the events of all of a thread's runs. Written `RUN_ID/ATTEMPT-SEQ`."""

    run_id: UUID
    cursor: Cursor

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor that `text` writes; `-1` and the empty text are before the first run.

        Raises:
            ValueError: it is neither.
        """
        if text in {"", "-1"}:
            return cls(UUID(int=0), START)
        run_id, _, cursor = text.partition("/")
        if len(run_id) != 36:
            raise ValueError(f"{text[:60]!r} is not an event id of this stream.")
        return cls(UUID(run_id), Cursor.parse(cursor))

    def __str__(self) -> str:
        return f"{self.run_id}/{self.cursor}"


START = Cursor(0, 0)
"""Before the first event."""


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9  # the columns have 32 bits


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a run: `data` is JSON, serialized once, whatever the number of readers."""

    cursor: Cursor
    name: str
    data: bytes

    @property
    def ends_run(self) -> bool:
        """Whether no event follows this one."""
        return self.name in {"done", "error", "end"}

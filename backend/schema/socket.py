"""What clients say over `/ws/chat` and Socket.IO: the same calls with the same fields."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictBool, StringConstraints

from backend.dto.event import START, Cursor
from backend.dto.run import CancelAction
from backend.schema.chat import ChatRequest, Storable
from backend.schema.hand_over import LEAST_SECONDS, MOST_SECONDS

IdempotencyKey = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")]


class Call(BaseModel):
    """A call refuses fields that it does not know."""

    model_config = ConfigDict(extra="forbid")


class ChatCall(ChatRequest):
    """Ask a question; its thread's events follow."""

    idempotency_key: IdempotencyKey | None = None


class After(Call):
    """The last event that the client has of a thread."""

    run_id: UUID
    id: Annotated[str, StringConstraints(pattern=r"^(-1|[0-9]{1,9}-[0-9]{1,9})?$")] = ""

    @property
    def cursor(self) -> tuple[UUID, Cursor]:
        return self.run_id, Cursor.parse(self.id) if self.id else START


class JoinCall(Call):
    """Follow a thread: what came after `after`, then all of its runs."""

    thread_id: UUID
    after: After | None = Field(None, description="None: from the run that is active now.")


class LeaveCall(Call):
    thread_id: UUID


class CancelCall(Call):
    run_id: UUID
    action: CancelAction = "interrupt"


class ResumeCall(Call):
    run_id: UUID
    answer: Annotated[JsonValue, Storable]


class ClaimCall(Call):
    """Take a thread over from the agents, or keep it for longer."""

    thread_id: UUID
    seconds: int = Field(900, ge=LEAST_SECONDS, le=MOST_SECONDS)


class ReleaseCall(Call):
    """Give a thread back to the agents."""

    thread_id: UUID


class TypingCall(Call):
    thread_id: UUID
    typing: StrictBool = True


class PingCall(Call):
    pass

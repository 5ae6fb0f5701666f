"""A run on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StrictBool

from backend.dto.run import CancelAction, Run
from backend.schema.chat import Storable

WireStatus = Literal["pending", "running", "success", "error", "timeout", "interrupted"]


class RunRead(BaseModel):
    """One execution of an agent on a thread."""

    run_id: UUID
    thread_id: UUID
    agent: str
    model: str | None = Field(description="The alias that was asked for; None for the default.")
    status: WireStatus = Field(description="A run that waits for the one before it is `pending` too.")
    attempt: int = Field(description="How often it was begun; above 1 after the server had died.")
    multitask_strategy: str
    durability: str
    metadata: dict[str, Any]
    result: dict[str, Any] | None = Field(description="The data of its last event, once it has ended.")
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, run: Run) -> Self:
        return cls(
            run_id=run.run_id,
            thread_id=run.thread_id,
            agent=run.request.agent,
            model=run.request.model,
            status="pending" if run.status == "queued" else run.status,
            attempt=run.attempt,
            multitask_strategy=run.request.multitask_strategy,
            durability=run.request.durability,
            metadata=run.request.metadata,
            result=run.result,
            created_at=run.created_at,
            updated_at=run.updated_at,
        )


class RunList(BaseModel):
    """Runs, newest first."""

    items: list[RunRead]
    next: UUID | None = Field(None, description="Ask with it as `before` for the next page; None when there is none.")


class CancelRequest(BaseModel):
    """How to stop a run."""

    model_config = ConfigDict(extra="forbid")

    action: CancelAction = Field(
        "interrupt", description="`interrupt` keeps what was done so far; `rollback` undoes the run."
    )


class ResumeRequest(BaseModel):
    """The answer to an interrupt."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"answer": {"approved": True}, "stream": False}}
    )

    answer: Annotated[JsonValue, Storable] = Field(
        description="What `interrupt()` returns in the graph; null is an answer too."
    )
    stream: StrictBool = Field(False, description="True: the events of the new run, instead of its end.")

"""Bodies about runs that are there."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class CancelBody(BaseModel):
    """Which runs are cancelled at once: those in a status, or those of a list."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["pending", "running", "all"] | None = None
    thread_id: UUID | None = None
    run_ids: Annotated[list[UUID], Field(max_length=1000)] | None = None

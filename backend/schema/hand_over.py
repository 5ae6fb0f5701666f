"""A thread in a person's hands."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from backend.dto.thread import ThreadClaim

LEAST_SECONDS = 30
MOST_SECONDS = 86_400


class ClaimRequest(BaseModel):
    """For how long a thread is taken over."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"seconds": 900}})

    seconds: int = Field(900, ge=LEAST_SECONDS, le=MOST_SECONDS, description="From now on; claim again to renew.")


class ClaimRead(BaseModel):
    """Who has a thread; all but its id is null while the agents do."""

    thread_id: UUID
    user_id: str | None
    until: datetime | None

    @classmethod
    def of(cls, thread_id: UUID, claim: ThreadClaim | None) -> "ClaimRead":
        user_id, until = (None, None) if claim is None else (claim.user_id, claim.until)
        return cls(thread_id=thread_id, user_id=user_id, until=until)

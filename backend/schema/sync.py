"""Collecting from platforms, on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from backend.dto.sync import PlatformState, SyncCounts, SyncCursor, SyncIssue, SyncJob, SyncKind, SyncStage, SyncStatus

Platform = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,20}$")]
TicketNumber = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

JOB_EXAMPLES: dict[str, Any] = {
    "incremental": {"summary": "What has changed", "value": {"kind": "incremental"}},
    "full": {"summary": "Everything; what is gone at the platform goes here", "value": {"kind": "full"}},
    "ticket": {"summary": "Single tickets", "value": {"kind": "ticket", "ticket_ids": ["1042"]}},
}


class SyncJobCreate(BaseModel):
    """What to collect."""

    model_config = ConfigDict(extra="forbid")

    kind: SyncKind = Field("incremental", description="`full` also finds what was deleted for good at the platform.")
    platform: Platform = "freshdesk"
    ticket_ids: Annotated[list[TicketNumber], Field(max_length=500)] = Field(
        default_factory=list, description="The tickets of a job of kind `ticket`, by the platform's numbers."
    )
    reread: bool = Field(False, description="`full` reads the messages of unchanged tickets too.")

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if (self.kind == "ticket") != bool(self.ticket_ids):
            raise ValueError("`ticket_ids` belongs to the kind `ticket`, which needs it.")
        if self.reread and self.kind != "full":
            raise ValueError("`reread` belongs to the kind `full`.")
        return self

    def options(self) -> dict[str, Any]:
        return {
            **({"ticket_ids": sorted(set(self.ticket_ids))} if self.ticket_ids else {}),
            **({"reread": True} if self.reread else {}),
        }


class SyncCountsRead(BaseModel):
    """What a job has done until now."""

    tickets: int = Field(examples=[1200], description="Read in lists, or one by one.")
    changed: int = Field(examples=[37], description="Written: new, or not as they were.")
    conversations: int = Field(examples=[180], description="Messages of the tickets that were written.")
    articles: int
    attachments: int
    removed: int = Field(description="Tickets and articles that are gone at the platform, or spam there.")
    indexed: int
    failed: int = Field(description="Items that could not be taken in (`/issues`); each collection tries them again.")
    requests: int = Field(description="Made to the platform.")

    @classmethod
    def of(cls, counts: SyncCounts) -> Self:
        return cls(**{name: getattr(counts, name) for name in cls.model_fields})


class SyncJobRead(BaseModel):
    """A collection: how far it is, and how it ended."""

    job_id: UUID
    platform: str = Field(examples=["freshdesk"])
    kind: SyncKind
    status: SyncStatus
    wanted: str | None = Field(None, description="`pause` or `cancel` was asked for, and has not happened yet.")
    stage: SyncStage
    counts: SyncCountsRead
    error: str | None = Field(None, description="Why it could not go on; `/resume` lets it, where it was.")
    attempt: int = Field(description="How often it was begun: a server that stops hands it to the next start.")
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, job: SyncJob) -> Self:
        return cls(
            job_id=job.job_id,
            platform=job.platform,
            kind=job.kind,
            status=job.status,
            wanted=job.wanted,
            stage=job.stage,
            counts=SyncCountsRead.of(job.counts),
            error=job.error,
            attempt=job.attempt,
            created_at=job.created_at,
            updated_at=job.updated_at,
            ended_at=job.ended_at,
        )


class SyncJobList(BaseModel):
    """Jobs, the newest first."""

    items: list[SyncJobRead]
    next: UUID | None = Field(None, description="Ask with it as `before` for the next page; None when there is none.")
    total: int


class SyncIssueRead(BaseModel):
    """An item that could not be taken in; the rest was."""

    object_type: str = Field(
        examples=["ticket"],
        description="`ticket`, `conversation`, `article`, or `folder`: a part of the knowledge base nobody could see.",
    )
    original_id: str = Field(examples=["1042"])
    code: str = Field(examples=["upstream-timeout"])
    reason: str
    created_at: datetime

    @classmethod
    def of(cls, issue: SyncIssue) -> Self:
        return cls(
            object_type=issue.object_type,
            original_id=issue.original_id,
            code=issue.code,
            reason=issue.reason,
            created_at=issue.created_at,
        )


class SyncIssueList(BaseModel):
    """What a job could not take in, in the order of kind and id."""

    items: list[SyncIssueRead]
    next: str | None = Field(None, description="Ask with it as `after` for the next page; None when there is none.")
    total: int


class SyncCursorRead(BaseModel):
    """Up to where objects of one kind were read."""

    object_type: str = Field(
        examples=["ticket"],
        description="`ticket`, `deleted`, `spam`, `article`, or `article:en` for translations to a language.",
    )
    updated_since: datetime | None = Field(description="Of the platform's clock: all that changed before it is here.")
    complete: bool = Field(description="Whether a collection ever came to its end.")
    updated_at: datetime

    @classmethod
    def of(cls, cursor: SyncCursor) -> Self:
        return cls(
            object_type=cursor.object_type,
            updated_since=cursor.updated_since,
            complete=cursor.complete,
            updated_at=cursor.updated_at,
        )


class PlatformStateRead(BaseModel):
    """What is here of one platform."""

    platform: str
    tickets: int
    articles: int
    attachments: int
    unprocessed: int = Field(description="Tickets that are not in the index as they stand.")
    cursors: list[SyncCursorRead]
    last_job: SyncJobRead | None

    @classmethod
    def of(cls, state: PlatformState) -> Self:
        return cls(
            platform=state.platform,
            tickets=state.tickets,
            articles=state.articles,
            attachments=state.attachments,
            unprocessed=state.unprocessed,
            cursors=[SyncCursorRead.of(cursor) for cursor in state.cursors],
            last_job=None if state.last_job is None else SyncJobRead.of(state.last_job),
        )


class SyncStatusRead(BaseModel):
    """What is here of each platform, and how it came."""

    platforms: list[PlatformStateRead]

    @classmethod
    def of(cls, states: Sequence[PlatformState]) -> Self:
        return cls(platforms=[PlatformStateRead.of(state) for state in states])

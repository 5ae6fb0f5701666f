"""Drafts of replies to tickets, what is decided about them, and feedback."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, model_validator

from backend.dto.desk import Feedback, FeedbackKind
from backend.schema.chat import Metadata, Name, Storable

Long = Annotated[str, StringConstraints(max_length=50_000), Storable]
Short = Annotated[str, StringConstraints(max_length=2_000), Storable]
TicketId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), Storable]

DRAFT_EXAMPLES: dict[str, Any] = {
    "stream": {
        "summary": "초안을 스트림으로 받기",
        "value": {"instruction": "환불 규정을 짧게 안내해 주세요.", "stream": True},
    },
    "wait": {"summary": "Wait for the draft", "value": {}},
}


class DraftRequest(BaseModel):
    """How a reply is to be drafted."""

    model_config = ConfigDict(extra="forbid")

    instruction: Short = Field("", description="What the reply should say, or how; for the model, not the customer.")
    platform: Annotated[str, StringConstraints(max_length=20)] | None = Field(
        None, description="Where two platforms use the same id."
    )
    thread_id: UUID | None = Field(None, description="The thread to go on with; a new one when left out.")
    model: Name | None = Field(None, description="A model's alias; the default one when left out.")
    stream: StrictBool = Field(False, description="Whether the draft is sent as it comes (server-sent events).")
    metadata: Metadata = Field(default_factory=dict)


class Decision(BaseModel):
    """What becomes of a draft."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"action": "edit", "text": "안녕하세요. 환불해 드렸습니다.", "write_note": True}]
        },
    )

    action: FeedbackKind
    text: Long | None = Field(None, description="The changed reply, for `edit`.")
    comment: Annotated[str, StringConstraints(max_length=5_000), Storable] = Field("", description="Why.")
    write_note: StrictBool = Field(False, description="Whether the reply is written to the ticket as a private note.")
    stream: StrictBool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.action == "edit" and not (self.text and self.text.strip()):
            raise ValueError("`edit` needs the changed `text`.")
        if self.action != "edit" and self.text is not None:
            raise ValueError("`text` belongs to `edit`.")
        if self.action == "reject" and self.write_note:
            raise ValueError("A rejected draft is not written to the ticket.")
        return self


class FeedbackCreate(BaseModel):
    """Feedback about a draft or an answer that was not decided on through the copilot."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "kind": "edit",
                    "draft": "We refund within 30 days.",
                    "final": "We refund within 14 days.",
                    "ticket_id": "1001",
                }
            ]
        },
    )

    kind: FeedbackKind
    draft: Long = Field(description="What was proposed.")
    final: Long | None = Field(None, description="What was sent instead.")
    comment: Annotated[str, StringConstraints(max_length=5_000), Storable] | None = None
    ticket_id: TicketId | None = None
    platform: Annotated[str, StringConstraints(max_length=20), Storable] | None = None
    run_id: UUID | None = None


class FeedbackRead(BaseModel):
    feedback_id: UUID
    user_id: str
    kind: FeedbackKind
    platform: str | None
    ticket_id: str | None
    run_id: UUID | None
    thread_id: UUID | None
    draft: str
    final: str | None
    comment: str | None
    metadata: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, feedback: Feedback) -> Self:
        names = cls.model_fields.keys() - {"metadata"}
        return cls(**{name: getattr(feedback, name) for name in names}, metadata=dict(feedback.metadata))


class FeedbackList(BaseModel):
    items: list[FeedbackRead]
    next: str | None
    total: int
    by_kind: dict[Literal["accept", "edit", "reject"], int]

"""Crons on the wire of the Agent Server API."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, field_validator

from backend.dto.assistant import SortOrder
from backend.dto.cron import Cron, CronChange, CronDraft, CronSortField, OnRunCompleted
from backend.service.run_request import RunBody

CronField = Literal[
    "cron_id",
    "assistant_id",
    "thread_id",
    "user_id",
    "end_time",
    "schedule",
    "timezone",
    "payload",
    "next_run_date",
    "metadata",
    "on_run_completed",
    "enabled",
    "created_at",
    "updated_at",
]


def _zoned(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


Moment = Annotated[datetime, AfterValidator(_zoned), Field(description="Without an offset it is UTC.")]


class CronCreate(RunBody):
    """A schedule, and the fields of the run that it starts. What else is sent is kept in the cron's payload."""

    model_config = ConfigDict(extra="allow")

    schedule: str = Field(description="Minute, hour, day of month, month, day of week; or a nickname like `@daily`.")
    timezone: str | None = Field(None, description="An IANA name; UTC when left out.")
    end_time: Moment | None = None
    enabled: StrictBool = True
    on_run_completed: OnRunCompleted | None = Field(
        None, description="What becomes of the thread that is made for each run: `delete` (the default) or `keep`."
    )

    @field_validator("enabled", mode="before")
    @classmethod
    def _yes(cls, value: Any) -> Any:
        return True if value is None else value

    def draft(self, assistant_id: UUID, payload: dict[str, Any], metadata: dict[str, Any]) -> CronDraft:
        """Return what is asked for; `payload` and `metadata` as the rules of the project left them."""
        return CronDraft(
            assistant_id=assistant_id,
            schedule=self.schedule,
            timezone=self.timezone,
            end_time=self.end_time,
            enabled=self.enabled,
            on_run_completed=self.on_run_completed,
            payload=payload,
            metadata=metadata,
        )


class CronPatch(RunBody):
    """What to change: metadata are merged, all else replaces what was; a null `end_time` takes the old one away."""

    model_config = ConfigDict(extra="allow")

    assistant_id: UUID | str = ""
    schedule: str = ""
    timezone: str = ""
    end_time: Moment | None = None
    enabled: StrictBool = True
    on_run_completed: OnRunCompleted | None = None

    @field_validator("assistant_id")
    @classmethod
    def _fixed(cls, value: UUID | str) -> UUID | str:
        raise ValueError("the assistant of a cron cannot be changed: make another cron")

    def change(self, payload: dict[str, Any], metadata: dict[str, Any]) -> CronChange:
        """Return what is asked for; `payload` and `metadata` as the rules of the project left them.

        Values that were not sent, or are empty, leave what is there.
        """
        sent = self.model_fields_set
        return CronChange(
            schedule=self.schedule if "schedule" in sent else None,
            timezone=self.timezone if "timezone" in sent else None,
            end_time=self.end_time,
            has_end_time="end_time" in sent,
            enabled=self.enabled if "enabled" in sent else None,
            on_run_completed=self.on_run_completed,
            payload=payload,
            metadata=metadata,
        )


class CronFilter(BaseModel):
    """Which crons are meant; all that is given must hold."""

    model_config = ConfigDict(extra="ignore")

    assistant_id: UUID | str | None = Field(None, description="An assistant, or a graph's name for its default one.")
    thread_id: UUID | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] | None = Field(None, description="Contained in the cron's, nested objects too.")


class CronSearchBody(CronFilter):
    """Which crons are meant, and how to list them."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 10
    offset: Annotated[int, Field(ge=0, lt=2**31)] = 0
    sort_by: CronSortField | None = None
    sort_order: SortOrder | None = None
    select: list[CronField] | None = Field(None, description="Only these fields.")


def sent_fields(body: RunBody) -> dict[str, Any]:
    """Return a body as it was sent, as JSON."""
    fields = body.model_dump(exclude_unset=True)
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields.items()}


def cron_wire(cron: Cron) -> dict[str, Any]:
    """Return a cron as clients read it."""
    return {
        "cron_id": cron.cron_id,
        "assistant_id": cron.assistant_id,
        "thread_id": cron.thread_id,
        "user_id": cron.owner.user_id,
        "end_time": cron.end_time,
        "schedule": cron.schedule,
        "timezone": cron.timezone,
        "payload": cron.payload,
        "next_run_date": cron.next_run_date,
        "metadata": cron.metadata,
        "on_run_completed": cron.on_run_completed,
        "enabled": cron.enabled,
        "created_at": cron.created_at,
        "updated_at": cron.updated_at,
    }

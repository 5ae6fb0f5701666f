"""Summaries of tickets on the wire."""

from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.core.problem import problem
from backend.dto.desk import Summary
from backend.service.summary import MAX_BATCH, SummaryOutcome, TicketSummary
from backend.util.language import Language

TicketKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class SummaryRead(BaseModel):
    """A ticket in five fields; an empty one is not known."""

    problem: str
    cause: str
    solution: str
    result: str
    keywords: list[str] = Field(max_length=3)
    language: Language
    model: str = Field(description="The alias that wrote it; `extractive` where rules did.")
    prompt: str = Field(description="Name, version and language of the prompt.")
    truncated: bool = Field(description="Whether the ticket was too long to be read whole.")
    fallback: bool = Field(description="Whether the model's answer could not be used, so that rules wrote this.")

    @classmethod
    def of(cls, summary: Summary) -> Self:
        return cls(
            problem=summary.problem,
            cause=summary.cause,
            solution=summary.solution,
            result=summary.result,
            keywords=list(summary.keywords),
            language=summary.language,
            model=summary.model,
            prompt=summary.prompt,
            truncated=summary.truncated,
            fallback=summary.fallback,
        )


class TicketSummaryRead(BaseModel):
    """The summary of one ticket."""

    id: UUID
    ticket_id: str
    platform: str
    summary: SummaryRead
    cached: bool = Field(description="Whether it was made before.")

    @classmethod
    def of(cls, made: TicketSummary) -> Self:
        return cls(
            id=made.ticket,
            ticket_id=made.ticket_id,
            platform=made.platform,
            summary=SummaryRead.of(made.summary),
            cached=made.cached,
        )


class SummaryBatch(BaseModel):
    """Which tickets to summarise."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"ticket_ids": ["1001", "1002"], "language": "ko"}}
    )

    ticket_ids: list[TicketKey] = Field(
        min_length=1, max_length=MAX_BATCH, description="The platform's ids, or those of this server."
    )
    language: Language | None = Field(None, description="None: the tenant's, else each ticket's own.")
    model: str | None = Field(None, max_length=100, description="An alias; None is the default.")
    platform: str | None = Field(None, max_length=20, description="Where two platforms use the same id.")


class SummaryItem(BaseModel):
    """What became of one ticket of a batch."""

    ticket_id: str = Field(description="As it was asked for.")
    outcome: Literal["made", "cached", "failed"]
    summary: TicketSummaryRead | None = None
    problem: dict[str, Any] | None = Field(None, description="Why there is none (RFC 9457).")

    @classmethod
    def of(cls, outcome: SummaryOutcome) -> Self:
        if outcome.made is None:
            failure = problem(outcome.error) if outcome.error is not None else None
            return cls(ticket_id=outcome.ticket_id, outcome="failed", problem=failure)
        return cls(
            ticket_id=outcome.ticket_id,
            outcome="cached" if outcome.made.cached else "made",
            summary=TicketSummaryRead.of(outcome.made),
        )


class SummaryBatchRead(BaseModel):
    """What became of a batch, in the order of its ids."""

    items: list[SummaryItem]
    failed: int

"""Tickets that are like another, or like a text."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.dto.desk import SimilarTicket, SimilarTickets

SIMILAR_LIMIT = 50


class TicketSearch(BaseModel):
    """A text that tickets are compared with: a question, an error message, a new customer's words."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": "결제할 때 오류 E-402가 납니다", "limit": 5}]}
    )

    query: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
    limit: int = Field(10, ge=1, le=SIMILAR_LIMIT)


class SimilarTicketRead(BaseModel):
    id: UUID
    ticket_id: str = Field(description="The platform's id.")
    platform: str
    title: str
    excerpt: str = Field(
        description=(
            "What fits best in it, personal data replaced by placeholders. For the desk alone: it may be from a private"
            " note or an attachment."
        )
    )
    status: int
    status_name: str
    priority: int
    solution: str = Field(description="What helped; empty when that is not known. It may come from private notes.")
    url: str | None
    created_at: datetime | None
    updated_at: datetime | None
    score: float = Field(description="0 to 1: likeness, with what was added for being solved, recent or urgent.")
    relevance: float = Field(description="0 to 1: likeness alone.")
    boosts: dict[str, float]

    @classmethod
    def of(cls, found: SimilarTicket) -> "SimilarTicketRead":
        return cls(
            id=found.ticket,
            ticket_id=found.ticket_id,
            platform=found.platform,
            title=found.title,
            excerpt=found.excerpt,
            status=found.status,
            status_name=found.status_name,
            priority=found.priority,
            solution=found.solution,
            url=found.url,
            created_at=found.created_at,
            updated_at=found.updated_at,
            score=found.score,
            relevance=found.relevance,
            boosts=dict(found.boosts),
        )


class SimilarList(BaseModel):
    items: list[SimilarTicketRead]
    evidence: float = Field(description="0 to 1: confidence that any of them is about what was asked.")
    enough: bool = Field(description="Whether that suffices to rely on them.")

    @classmethod
    def of(cls, found: SimilarTickets) -> "SimilarList":
        items = [SimilarTicketRead.of(ticket) for ticket in found.tickets]
        return cls(items=items, evidence=found.evidence, enough=found.enough)

"""Summaries of tickets, for the desk's own people."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.dependency import Caller, Summaries
from backend.core.error import (
    BudgetExceeded,
    Invalid,
    TicketNotFound,
    Unauthorized,
    UnsupportedModel,
    UpstreamFailed,
    UpstreamTimeout,
)
from backend.schema.problem import problems
from backend.schema.summary import SummaryBatch, SummaryBatchRead, SummaryItem, TicketSummaryRead
from backend.util.language import Language

router = APIRouter(tags=["summaries"])


@router.get(
    "/tickets/{ticket_id}/summary",
    summary="Summarise a ticket",
    responses=problems(
        Unauthorized, TicketNotFound, Invalid, UnsupportedModel, BudgetExceeded, UpstreamFailed, UpstreamTimeout
    ),
)
async def get_summary(
    ticket_id: str,
    caller: Caller,
    summaries: Summaries,
    language: Annotated[Language | None, Query(description="None: the tenant's, else the ticket's own.")] = None,
    model: Annotated[str | None, Query(max_length=100, description="An alias; None is the default.")] = None,
    refresh: Annotated[bool, Query(description="Make it anew, though nothing changed.")] = False,
    platform: Annotated[str | None, Query(max_length=20, description="Where two platforms use the same id.")] = None,
) -> TicketSummaryRead:
    """Return problem, cause, solution, result and keywords; made once, until the ticket changes.

    Without a language model, or for a tenant that lets no text out, its own sentences are chosen by rules. Private
    notes are read too: a summary is for the desk, never for a customer.
    """
    return TicketSummaryRead.of(
        await summaries.get(caller, ticket_id, language=language, model=model, refresh=refresh, platform=platform)
    )


@router.post("/summaries", summary="Summarise tickets", responses=problems(Unauthorized, UnsupportedModel))
async def summarize_tickets(asked: SummaryBatch, caller: Caller, summaries: Summaries) -> SummaryBatchRead:
    """Summarise up to 100 tickets, several at once. Each has an outcome of its own: one that fails stops no other."""
    outcomes = await summaries.batch(
        caller, asked.ticket_ids, language=asked.language, model=asked.model, platform=asked.platform
    )
    items = [SummaryItem.of(outcome) for outcome in outcomes]
    return SummaryBatchRead(items=items, failed=sum(item.outcome == "failed" for item in items))

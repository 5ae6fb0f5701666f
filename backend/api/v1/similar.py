"""Tickets that are like another, or like a text."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.dependency import Caller, Similar
from backend.core.error import IndexMismatch, TicketNotFound, Unauthorized, UpstreamFailed
from backend.schema.problem import problems
from backend.schema.similar import SIMILAR_LIMIT, SimilarList, TicketSearch

router = APIRouter(prefix="/tickets", tags=["tickets"])


@router.post("/search", summary="Search tickets", responses=problems(Unauthorized, IndexMismatch, UpstreamFailed))
async def search_tickets(asked: TicketSearch, caller: Caller, similar: Similar) -> SimilarList:
    """Find tickets by what was asked or answered in them, by words and by meaning, the best first."""
    return SimilarList.of(await similar.search(caller, asked.query, limit=asked.limit))


@router.get(
    "/{ticket_id}/similar",
    summary="Find similar tickets",
    responses=problems(Unauthorized, TicketNotFound, IndexMismatch, UpstreamFailed),
)
async def similar_tickets(
    ticket_id: str,
    caller: Caller,
    similar: Similar,
    limit: Annotated[int, Query(ge=1, le=SIMILAR_LIMIT, description="Most of a page.")] = 5,
    platform: Annotated[str | None, Query(max_length=20, description="Where two platforms use the same id.")] = None,
) -> SimilarList:
    """Find other tickets about the same; solved, recent and urgent ones come first among those equally alike."""
    return SimilarList.of(await similar.to_ticket(caller, ticket_id, platform=platform, limit=limit))

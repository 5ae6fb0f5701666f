"""What people did with drafts and answers."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.dependency import Caller, FeedbackStore
from backend.core.error import Invalid, RunNotFound, Unauthorized
from backend.dto.desk import FeedbackKind
from backend.schema.draft import FeedbackCreate, FeedbackList, FeedbackRead
from backend.schema.problem import problems
from backend.service.feedback import Given
from backend.util.cursor import decode_cursor, encode_cursor

router = APIRouter(prefix="/feedback", tags=["feedback"])

LIST_LIMIT = 100


@router.get("", summary="List feedback", responses=problems(Unauthorized, Invalid))
async def list_feedback(
    caller: Caller,
    feedback: FeedbackStore,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="Most of a page.")] = 20,
    before: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    ticket_id: Annotated[str | None, Query(max_length=64, description="The platform's id of a ticket.")] = None,
    kind: Annotated[FeedbackKind | None, Query(description="Of this kind alone.")] = None,
) -> FeedbackList:
    """Return feedback, the newest first, and how much there is of each kind."""
    try:
        behind = decode_cursor(before) if before is not None else None
    except ValueError:
        raise Invalid("`before` is not the `next` of a page of this list.") from None
    found, counts = await feedback.list(caller, limit=limit + 1, before=behind, ticket_id=ticket_id, kind=kind)
    page = found[:limit]
    return FeedbackList(
        items=[FeedbackRead.of(one) for one in page],
        next=encode_cursor(page[-1].created_at, page[-1].feedback_id) if len(found) > limit else None,
        total=sum(counts.values()),
        by_kind={"accept": counts.get("accept", 0), "edit": counts.get("edit", 0), "reject": counts.get("reject", 0)},
    )


@router.post("", summary="Give feedback", status_code=201, responses=problems(Unauthorized, RunNotFound))
async def give_feedback(given: FeedbackCreate, caller: Caller, feedback: FeedbackStore) -> FeedbackRead:
    """Keep what became of a draft or an answer. Decisions about a copilot's draft are kept by themselves."""
    return FeedbackRead.of(await feedback.add(caller, Given(**given.model_dump())))
